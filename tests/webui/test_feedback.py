"""Shoppers' verdicts on results, the photos kept with them or as a sample, and how shoppers delete them."""

import html
import io
import re
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select

from catalog import review_queue, reviews
from catalog.image_store import ImageStore
from catalog.models import Feedback, ReviewItem, utc_now
from catalog.review_queue import Filter
from tests.webui.conftest import ROOM, label_matches, room, running, withdraw
from vsearch.core.errors import CatalogError
from vsearch.imaging.codec import decode
from vsearch.search.engine import Search
from webui.photo_owners import COOKIE
from webui.review_photos import ReviewPhotos, guess_of
from webui.services import services_of

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://other.example"},
    {"Origin": "null"},
]


def items(site):
    services_of(site.app).sampler.join()
    with site.sessions() as session:
        return review_queue.find(session, Filter(), limit=99)


def photo_id_of(address: str) -> str:
    return re.search(r"/results/(\w+)", address)[1]


def owner_token(site, photo) -> str:
    return services_of(site.app).uploads.owner_token(str(photo))


def proof(site, address: str) -> dict[str, str]:
    """Return the fields with which the API is told who sent a photo."""
    photo = photo_id_of(address)
    return {"photo": photo, "owner": owner_token(site, photo)}


def forms(page: str) -> list[dict[str, str]]:
    """Return the action and hidden fields of each verdict form."""
    found = []
    for form in re.findall(r"<form [^>]*data-feedback>.*?</form>", page, re.DOTALL):
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
        found.append({"action": html.unescape(re.search('action="([^"]*)"', form)[1]), **fields})
    return found


def rate(site, form, verdict="wrong", **options):
    fields = {name: value for name, value in form.items() if name != "action"}
    return site.client.post(form["action"], data=fields | {"verdict": verdict}, **options)


def stored(site) -> bool:
    """Return whether all photos of items are in the image store."""
    store = ImageStore(site.settings.pictures)
    with site.sessions() as session:
        return all(map(store.exists, session.scalars(select(ReviewItem.sha256))))


def test_a_verdict_is_kept_with_the_photo(site):
    """The shopper comes back to the same product on the same page, where the verdict is shown; the last one counts."""
    address = site.upload(3)
    page = site.client.get(f"{address}?class=all&page=2").text
    assert "keep this photo for 180 days" in page
    first, second = forms(page)[:2]
    assert (first["rank"], second["rank"]) == ("6", "7")
    answer = rate(site, second, "similar")
    assert answer.status_code == 303
    assert answer.location == f"{address}?class=all&page=2#result-{second['sku']}"
    rate(site, second, "wrong")
    (item,) = items(site)
    assert (item.source, item.state, item.box) == ("feedback", "open", "")
    assert [(judged.sku, judged.verdict, judged.rank) for judged in item.judged] == [(second["sku"], "wrong", 7)]
    assert item.predicted_class in ("chair", "lamp")
    assert item.uncertainty < 1
    assert item.expires_at - utc_now() > timedelta(days=179)
    assert stored(site)
    assert site.client.get(f"/pictures/{item.sha256}-320.jpg").status_code == 404, "only catalog images are public"
    shown = site.client.get(answer.location).text
    assert shown.count('aria-pressed="true"') == 1
    assert re.search(rf'id="result-{second["sku"]}".*?data-verdict="wrong" aria-pressed="true"', shown, re.DOTALL)


@pytest.mark.parametrize("over_api", [False, True])
def test_a_verdict_can_be_taken_back(site, over_api):
    """With the last one, the copy of the photo goes."""
    address = site.upload(3)
    first, second = forms(site.client.get(f"{address}?class=all").text)[:2]

    def take_back(form):
        if over_api:
            fields = {**proof(site, address), "sku": form["sku"], "verdict": "none", "rank": 1}
            return site.client.post("/api/v1/feedback", json=fields).json["kept_until"]
        return rate(site, form, "none", headers={"Accept": "application/json"}).json["kept_until"]

    assert take_back(first) is None, "there was none"
    rate(site, first, "right")
    rate(site, second, "wrong")
    page = site.client.get(f"{address}?class=all").text
    assert page.count('value="none"') == 2, "the buttons of the verdicts take them back"
    assert take_back(first) == f"{utc_now() + timedelta(days=180):%Y-%m-%d}"
    (item,) = items(site)
    assert [judged.sku for judged in item.judged] == [second["sku"]]
    assert take_back(second) is None
    assert items(site) == []
    assert not ImageStore(site.settings.pictures).exists(item.sha256)
    assert site.client.get(address).status_code == 200


def test_only_who_sent_a_photo_rates_and_deletes_it(site):
    """Others with its address, and those who sent an equal photo, see its results and nothing else."""
    address, stranger = site.upload(3), site.app.test_client()
    (form, *_) = forms(site.client.get(address).text)
    equal = stranger.post("/search", data={"photo": (io.BytesIO(site.photo(3)), "photo.jpg")}).location
    assert equal != address
    page = stranger.get(address)
    assert (page.status_code, forms(page.text)) == (200, [])
    assert "/delete" not in page.text
    assert "data-photo-id" not in page.text, "it is none of the stranger's recent photos"
    assert 'method="post"><' not in stranger.get(f"{address}/delete").text
    fields = {name: value for name, value in form.items() if name != "action"} | {"verdict": "wrong"}
    cookie = stranger.get_cookie(COOKIE, path=equal).value
    stolen = {"Cookie": f"{COOKIE}={cookie}"}
    other_token = {"photo": photo_id_of(address), "sku": "P-03", "verdict": "wrong", "rank": 1, "owner": cookie}
    answers = [
        stranger.post(form["action"], data=fields),
        stranger.post(form["action"], data=fields, headers=stolen),
        stranger.post(f"{address}/delete"),
        stranger.post(f"{address}/delete", headers=stolen),
        stranger.post("/api/v1/feedback", json=other_token),
        stranger.delete(f"/api/v1/photos/{photo_id_of(address)}?owner={cookie}"),
    ]
    assert [answer.status_code for answer in answers] == [403] * 6
    assert stranger.delete(f"/api/v1/photos/{photo_id_of(address)}").status_code == 400
    assert items(site) == []
    assert stranger.post(f"{equal}/delete").status_code == 303
    assert site.client.get(address).status_code == 200


def test_the_cookie_is_for_the_pages_of_one_photo(site):
    """It lives as long as anything of the photo may be kept."""
    address = site.upload(3)
    cookie = site.client.get_cookie(COOKIE, path=address)
    assert (cookie.path, cookie.http_only, cookie.same_site) == (address, True, "Lax")
    assert cookie.max_age == 180 * 86_400
    assert site.client.get_cookie(COOKIE) is None
    response = site.client.post(
        "/search", data={"photo": (io.BytesIO(site.photo(3)), "photo.jpg")}, base_url="https://localhost"
    )
    assert "; Secure;" in response.headers["Set-Cookie"]


def test_a_script_gets_json(site):
    (form, *_) = forms(site.client.get(site.upload(3)).text)
    answer = rate(site, form, "right", headers={"Accept": "application/json"})
    kept_until = f"{utc_now() + timedelta(days=180):%Y-%m-%d}"
    assert answer.json == {"sku": "P-03", "verdict": "right", "kept_until": kept_until}


def test_the_area_that_found_the_product_is_kept(detector_site):
    site = detector_site
    response = site.client.post("/search", data={"photo": (io.BytesIO(room()), "room.jpg")})
    (form, *_) = [
        form for form in forms(site.client.get(f"{response.location}?class=all").text) if form["sku"] == "P-09"
    ]
    assert form["box"] == str(ROOM[0])
    rate(site, form)
    (item,) = items(site)
    found = site.engine.search(decode(room()), Search(k=1, box=ROOM[0]))
    guess = guess_of(found.predictions)
    assert (item.box, item.predicted_class) == (str(ROOM[0]), guess.class_name)
    assert (item.uncertainty, item.disagreement) == pytest.approx((guess.uncertainty, guess.disagreement), abs=0.01)


@pytest.mark.parametrize("headers", FOREIGN)
def test_other_sites_cannot_send_verdicts(site, headers):
    address = site.upload(3)
    (form, *_) = forms(site.client.get(address).text)
    assert rate(site, form, headers=headers).status_code == 403
    fields = {**proof(site, address), "sku": "P-03", "verdict": "right", "rank": 1}
    assert site.client.post("/api/v1/feedback", json=fields, headers=headers).status_code == 403
    assert items(site) == []
    for allowed in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://localhost"}, {}):
        assert rate(site, form, headers=allowed).status_code == 303


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"verdict": "great"}, 400),
        ({"sku": ""}, 400),
        ({"sku": "none"}, 400),
        ({"sku": "P-03\0"}, 400),
        ({"box": "1,1,0,0"}, 400),
        ({"rank": "0"}, 400),
        ({"rank": "x"}, 400),
        ({"photo": "ab" * 32}, 404),
        ({"photo": "../../etc/passwd"}, 404),
        ({"photo": 7}, 400),
    ],
)
def test_what_is_not_a_verdict_is_refused(site, changed, status):
    fields = {**proof(site, site.upload(3)), "sku": "P-03", "verdict": "right", "rank": 1} | changed
    fields["owner"] = owner_token(site, fields["photo"]) if changed.get("photo") else fields["owner"]
    answer = site.client.post("/api/v1/feedback", json=fields)
    assert answer.status_code == status
    assert answer.json["detail"]
    assert items(site) == []
    assert site.client.post("/api/v1/feedback", data="{").status_code == 415
    assert site.client.post("/api/v1/feedback", data="{", content_type="application/json").status_code == 400


def test_verdicts_count_towards_the_rate_limit(settings):
    with running(settings.model_copy(update={"rate_limit": "3/minute"})) as site:
        fields = {**proof(site, site.upload(3)), "sku": "P-03", "verdict": "right", "rank": 1}
        statuses = [site.client.post("/api/v1/feedback", json=fields).status_code for _ in range(4)]
        services_of(site.app).sampler.join()
    assert statuses == [200, 200, 429, 429]


def test_a_shopper_deletes_the_photo_and_its_copy(site):
    """With its verdicts and labels; also after the upload itself has expired, and over the API."""
    for delete in (
        lambda photo: site.client.post(f"/results/{photo}/delete"),
        lambda photo: site.client.delete(f"/api/v1/photos/{photo}?owner={owner_token(site, photo)}"),
    ):
        for expires in (False, True):
            address = site.upload(3)
            photo = photo_id_of(address)
            (form, *_) = forms(site.client.get(address).text)
            rate(site, form)
            (item,) = items(site)
            with site.sessions.begin() as session:
                reviews.begin(session)
                new = reviews.NewLabel("product", "P-03")
                reviews.label(session, item.item_id, "ann", new, based_on=None, now=utc_now())
            assert services_of(site.app).thumbnails.read(item.sha256, 160)
            if expires:
                services_of(site.app).uploads.delete(photo)
                page = site.client.get(address)
                assert page.status_code == 404
                assert f"{item.expires_at:%B %Y}" in page.text
                assert f'href="/results/{photo}/delete"' in page.text
                assert f'action="/results/{photo}/delete"' in site.client.get(f"/results/{photo}/delete").text
            assert delete(photo).status_code in (303, 204)
            assert items(site) == []
            assert not ImageStore(site.settings.pictures).exists(item.sha256)
            assert not list(site.settings.thumbnails.rglob(f"{item.sha256}*"))
            assert delete(photo).status_code == 404
            assert "keep" not in site.client.get(address).text.partition("<footer")[0]


def test_a_photo_deleted_while_it_is_copied_is_not_kept(site, monkeypatch):
    address = site.upload(3)
    photo = photo_id_of(address)
    (form, *_) = forms(site.client.get(address).text)
    add = reviews.add

    def add_and_delete(*arguments, **options):
        services_of(site.app).uploads.delete(photo)
        return add(*arguments, **options)

    monkeypatch.setattr(reviews, "add", add_and_delete)
    rate(site, form)
    assert items(site) == []


def test_a_withdrawn_product_cannot_be_rated(site):
    (form, *_) = forms(site.client.get(site.upload(3)).text)
    withdraw(site, "P-03")
    assert rate(site, form).status_code == 400
    assert items(site) == []


@contextmanager
def sampling(settings, share=1.0, **changed):
    with running(settings.model_copy(update={"review_sample_share": share, **changed})) as site:
        yield site


def test_searches_without_a_close_match_are_sampled_once(settings, monkeypatch):
    label_matches(monkeypatch, 9)
    with sampling(settings) as site:
        address = site.upload(3)
        assert "may keep a copy for up to 180 days" in site.client.get("/").text
        for query in ("?page=2", "?class=lamp", "?stock=in"):
            site.client.get(address + query)
        assert items(site) == []
        for query in ("", "", "?box=0.1,0.1,0.9,0.9"):
            site.client.get(address + query)
        (item,) = items(site)
        assert (item.source, item.box) == ("nothing close", "")
        assert item.predicted_class in ("chair", "lamp")
        assert stored(site)
        site.client.post(f"{address}/delete")
        assert items(site) == []


def test_searches_with_an_uncertain_class_are_sampled(settings):
    with sampling(settings, route_floor=1.0) as site:
        site.client.get(site.upload(3))
        (item,) = items(site)
        assert item.source == "uncertain"
    with sampling(settings, route_floor=0.0) as site:
        site.client.get(site.upload(4))
        assert len(items(site)) == 1


def test_nothing_is_sampled_by_default(site, monkeypatch):
    label_matches(monkeypatch, 9)
    page = site.client.get(site.upload(3)).text
    assert "may keep" not in page
    assert items(site) == []


@pytest.mark.parametrize("error", [CatalogError("no disk"), ZeroDivisionError()])
def test_a_failure_to_sample_does_not_break_the_search(settings, monkeypatch, caplog, error):
    label_matches(monkeypatch, 9)

    def fail(*arguments):
        raise error

    monkeypatch.setattr(ReviewPhotos, "add", fail)
    with sampling(settings) as site:
        assert site.client.get(site.upload(3)).status_code == 200
        assert items(site) == []
    assert "was not kept" in caplog.text


def test_expired_photos_are_deleted(site):
    (form, *_) = forms(site.client.get(site.upload(3)).text)
    rate(site, form)
    (item,) = items(site)
    photos = services_of(site.app).review_photos
    photos.delete_expired(item.expires_at - timedelta(seconds=1))
    assert len(items(site)) == 1
    photos.delete_expired(item.expires_at)
    assert items(site) == []
    assert not ImageStore(site.settings.pictures).exists(item.sha256)
    with site.sessions() as session:
        assert session.scalars(select(Feedback)).all() == []


def test_the_guess_of_several_networks(site):
    photo = site.pictures[6]
    predictions = site.engine.search(photo).predictions
    guess = guess_of(predictions)
    votes = [predictions.labels(network, "class")[0] for network in predictions.networks]
    assert guess.class_name == predictions.vote("class")[0]
    assert guess.disagreement == sum(vote != guess.class_name for vote in votes) / 2
    assert guess.uncertainty == pytest.approx(1 - predictions.confidence("vote", "class")[0])
