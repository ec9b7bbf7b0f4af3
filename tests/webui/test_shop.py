import html
import re
from dataclasses import replace

import pytest

from catalog import changes, imports, queries
from catalog.changes import Changes
from catalog.models import utc_now
from tests.pictures import bad_files, encoded, jpeg, scene
from vsearch.index.manifest import MatchThresholds
from webui.services import Currencies, services_of

NO_SUCH_PHOTO = "0" * 64


def post(client, data: bytes, name: str = "photo.jpg", field: str = "photo"):
    """Send a file as the page's form does."""
    head = f'--frontier\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + b"\r\n--frontier--\r\n"
    return client.post("/search", data=body, content_type="multipart/form-data; boundary=frontier")


def test_home_invites_to_send_a_photo(client):
    """The start page works without JavaScript: a form with a file field and a button."""
    response = client.get("/")

    page = response.text
    assert response.status_code == 200
    assert re.search(r'<form [^>]*action="/search" method="post" enctype="multipart/form-data"', page)
    assert '<input id="photo" class="file" type="file" name="photo"' in page
    assert '<button class="button go" type="submit">' in page
    assert page.count('class="card"') > 0


def test_upload_leads_to_the_product(site):
    """A photo of a product leads, by one redirect, to a page with that product first."""
    response = site.client.get(site.upload(3))

    assert response.status_code == 200
    assert re.search(r'<span class="card__title">([^<]*)', response.text)[1] == "Chair Model 3 velvet"
    assert "Exact match" in response.text
    steps = re.findall(r"(\w+);dur=", response.headers["Server-Timing"])
    assert {"decode", "encode", "search", "hydrate"} <= set(steps)


def test_same_photo_same_address(site):
    """A photo sent twice is stored once; its name is the hash of what is stored."""
    assert site.upload(3) == site.upload(3)
    assert [path.suffix for path in site.stored()] == [".jpg"]


def test_nothing_of_the_sender_is_stored(site):
    """Neither the file name nor what the camera wrote into the file survives."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x010F] = "SecretCameraMaker"
    data = encoded(scene(), "JPEG", exif=exif)
    assert b"SecretCameraMaker" in data

    assert post(site.client, data, name="my-home-address.jpg").status_code == 303
    (stored,) = site.stored()
    assert b"SecretCameraMaker" not in stored.read_bytes()
    assert "my-home-address" not in stored.name


STATUS = {"empty": 400, "decompression bomb": 413, "wide bomb": 413, "too many pixels": 413}


@pytest.mark.parametrize("kind", bad_files())
def test_bad_upload(untouched, kind):
    """Each kind of bad file gets a page with one clear sentence and its status; nothing is stored."""
    data, words = bad_files()[kind]

    response = post(untouched.client, data)

    assert response.status_code == STATUS.get(kind, 415)
    sentence = re.search(r'role="alert">([^<]*)', response.text)[1]
    assert sentence.endswith(".")
    assert (words in sentence) == (kind != "empty")
    assert "data-upload" in response.text, "one can try again at once"
    assert untouched.stored() == []


def test_too_many_bytes_in_the_file(untouched):
    """A file just over the limit is refused with the limit."""
    response = post(untouched.client, jpeg() + bytes(1_050_000))

    assert response.status_code == 413
    assert "may have 1 MB" in response.text
    assert untouched.stored() == []


def test_too_many_bytes_in_the_request(site):
    """A request far over the limit is refused before it is read."""
    response = post(site.client, bytes(3_000_000))

    assert response.status_code == 413
    assert "may have 1 MB" in response.text


def test_no_file_chosen(untouched):
    """An empty form says what to do."""
    for response in (
        untouched.client.post("/search"),
        untouched.client.post("/search", data={"photo": "not a file"}),
        post(untouched.client, jpeg(), field="picture"),
        post(untouched.client, b"", name=""),
    ):
        assert response.status_code == 400
        assert "choose a photo first" in response.text
    assert untouched.stored() == []


def test_reloading_the_upload_address_leads_home(client):
    """The address that photos are sent to is no dead end."""
    assert client.get("/search").location == "/"


@pytest.mark.parametrize("photo_id", [NO_SUCH_PHOTO, "abc", "../catalogue", "%2e%2e%2fcatalogue.sqlite"])
def test_photo_that_is_not_kept(client, photo_id):
    """Results of a photo that has expired, or never was, say so."""
    assert client.get(f"/results/{photo_id}").status_code == 404
    assert client.get(f"/photos/{photo_id}.jpg").status_code == 404


def test_address_is_the_state(site):
    """Every wish is in the address, and the page shows it as chosen."""
    address = site.upload(2)
    page = site.client.get(
        f"{address}?box=0,0,0.5,0.5&class=chair&metric=euclidean&text=velvet&price_min=100&price_max=150.5&stock=in"
    ).text

    assert 'name="box" value="0,0,0.5,0.5"' in page
    assert 'name="class" value="chair"' in page
    assert 'name="metric" value="euclidean"' in page
    assert 'name="text" type="search" value="velvet"' in page
    assert re.search(r'name="price_min"[^>]*value="100"', page)
    assert re.search(r'name="price_max"[^>]*value="150.50"', page)
    assert re.search(r'name="stock"[^>]*checked', page)
    chosen = re.findall(r'aria-current="true">\s*([A-Z]\w+)', page)
    assert chosen == ["Euclidean", "Chair"]


def test_class_chips(site):
    """Chips show the classes with the photo's probabilities, and each leads to that class alone."""
    address = site.upload(2)
    page = site.client.get(address).text

    assert set(re.findall(r'title="(chair|lamp)"', page)) == {"chair", "lamp"}
    assert re.search(r"Chair\s*<span class=\"chip__share\">[^<]*\d+%", page)
    assert all(title.startswith("Lamp") for title in site.titles(f"{address}?class=lamp"))
    assert {title[:4] for page in (1, 2, 3) for title in site.titles(f"{address}?class=all&page={page}")} == {
        "Chai",
        "Lamp",
    }


def test_filters(site):
    """Price bounds and stock narrow the page."""
    address = site.upload(2) + "?class=all"

    assert len(site.titles(f"{address}&price_max=110.5")) == 2
    assert len(site.titles(f"{address}&price_min=115&price_max=100")) == 2, "bounds the wrong way round are turned"
    assert all("Model 1" in title or "Model 2" in title for title in site.titles(f"{address}&stock=in&price_max=130"))


def test_a_price_that_cannot_be_read_stays_in_its_field(site):
    """The photo, the other filters and the results stay; a sentence stands at the field."""
    address = site.upload(2)
    response = site.client.get(f"{address}?class=all&price_min=1.200&price_max=110.5&stock=in&text=velvet")
    page = response.text

    assert response.status_code == 400
    assert re.search(r'name="price_min"[^>]*value="1.200"[^>]*aria-describedby="price_min_problem"', page)
    assert re.search(r'id="price_min_problem" role="alert">[^<]*write 1200.00 or 1.20', page)
    assert re.search(r'name="price_max"[^>]*value="110.50"', page)
    assert 'value="velvet"' in page
    assert re.search(r'name="stock"[^>]*checked', page)
    assert re.search(r'<details class="refine" open', page)
    assert "Your photo" in page
    assert site.titles(f"{address}?class=all&price_min=x&price_max=110.5") == site.titles(
        f"{address}?class=all&price_max=110.5"
    )


def test_both_prices_may_be_wrong(site):
    """Each says what is wrong with it, and is shown as it was typed, harmless."""
    page = site.client.get(f"{site.upload()}?price_min=cheap&price_max=%22%3E%3Cb%3E").text

    assert page.count('role="alert"') == 2
    assert 'value="cheap"' in page
    assert 'value="&#34;&gt;&lt;b&gt;"' in page


def test_a_price_with_its_sign(site):
    """As people copy it from the page."""
    address = site.upload(2) + "?class=all"

    assert site.titles(f"{address}&price_max=€110.50") == site.titles(f"{address}&price_max=110.5")
    assert re.search(r'name="price_max"[^>]*value="110.50"', site.client.get(f"{address}&price_max=110,50+€").text)


def test_prices_are_filtered_in_the_currency_of_the_catalogue(site):
    """Not in that of the settings; where products are priced in several, the page says which one it is."""
    address = site.upload(2) + "?class=all"

    def priced(currency, *skus):
        with site.sessions.begin() as session:
            items = [queries.snapshot(session)[sku] for sku in skus]
            changes.apply(session, Changes(changed=tuple(replace(item, currency=currency) for item in items)))
            now = utc_now()
            imports.record(session, feed="f", started_at=now, finished_at=now, state="imported", message="")

    everything = [f"P-{number:02d}" for number in range(11)]
    priced("CAD", *everything)
    page = site.client.get(f"{address}&price_max=$110.50")
    assert page.status_code == 200
    assert "Price in CAD" in page.text
    assert "Only products priced in" not in page.text
    assert len(site.titles(f"{address}&price_max=110.5")) == 2
    assert site.client.get(f"{address}&price_max=€110.50").status_code == 400

    priced("JPY", *everything[:2])
    page = site.client.get(f"{address}&price_min=1").text
    assert "Price in CAD" in page
    assert "Only products priced in CAD meet a price here, not those in JPY." in page
    assert site.titles(f"{address}&price_max=110.5") == [], "10,000 yen are no 100 dollars"


def test_the_currencies_are_counted_again_after_an_import(site):
    """Not for each request: a large catalogue takes a while to look through."""
    currencies = services_of(site.app).currencies

    def imported(currency):
        with site.sessions.begin() as session:
            items = [replace(item, currency=currency) for item in queries.snapshot(session).values() if item.currency]
            changes.apply(session, Changes(changed=tuple(items)))
            now = utc_now()
            imports.record(session, feed="f", started_at=now, finished_at=now, state="imported", message="")

    imported("SEK")
    assert currencies.main() == "SEK"
    imported("NOK")
    assert currencies.all() == ("NOK",)


def test_a_catalogue_without_prices_filters_in_the_currency_of_the_settings(site):
    """There is nothing else to go by."""
    with site.sessions.begin() as session:
        items = [replace(item, price_minor=None, currency="") for item in queries.snapshot(session).values()]
        changes.apply(session, Changes(changed=tuple(items)))
    assert Currencies(site.sessions, "GBP").all() == ("GBP",)


def test_filters_that_nothing_meets(site):
    """An empty page offers the way out."""
    page = site.client.get(f"{site.upload(2)}?price_min=90000").text

    assert "No products match these filters" in page
    assert "Show everything that looks alike" in page


def test_text_moves_up_what_it_describes(site):
    """Words re-order what looks alike."""
    address = site.upload(0) + "?class=all"

    assert "velvet" not in site.titles(address)[0]
    assert "velvet" in "".join(site.titles(f"{address}&text=velvet")[:2])
    assert "None of these mentions “zebra”" in site.client.get(f"{address}&text=zebra").text


def test_paging_covers_everything_once(site):
    """The pages together show every product once, and only the last has no next one."""
    address = site.upload(2) + "?class=all"
    pages = [site.titles(f"{address}&page={number}") for number in (1, 2, 3)]

    assert [len(titles) for titles in pages] == [5, 5, 2]
    assert len({title for titles in pages for title in titles}) == 12
    assert 'rel="next"' in site.client.get(f"{address}&page=2").text
    assert 'rel="next"' not in site.client.get(f"{address}&page=3").text


def test_withdrawn_product_disappears_at_once(site):
    """A product that is no longer sold is not shown, though the index still holds it; the page stays full."""
    address = site.upload(3) + "?class=all"
    with site.sessions.begin() as session:
        changes.apply(session, Changes(withdrawn=("P-03",)))

    titles = site.titles(address)
    assert len(titles) == 5
    assert not any("Model 3" in title for title in titles)
    assert site.client.get("/products/P-03").status_code == 404


def test_nothing_close_is_said(site, monkeypatch):
    """When no product deserves to be called similar, an honest notice stands above the nearest ones."""
    address = site.upload(2)
    assert "Nothing close in this catalogue" not in site.client.get(address).text

    monkeypatch.setattr(MatchThresholds, "match_label", lambda thresholds, score: "nothing close")
    page = site.client.get(address).text
    assert '<h1 id="found">Nothing close in this catalogue</h1>' in page
    assert 'class="match' not in page
    assert "Less alike" not in page


@pytest.mark.parametrize(
    ("query", "heading", "link"),
    [
        ("?price_max=105", "No close match with these filters", "Remove the filters"),
        ("?class=lamp&stock=in&text=velvet&page=1", "No close match with these filters", "Remove the filters"),
        ("?box=0,0,0.3,0.3&price_max=105", "No close match with these filters", "Remove the filters"),
        ("?class=all&price_max=105", "No close match with these filters", "Remove the filters"),
    ],
)
def test_filters_are_named_when_they_leave_nothing_close(site, monkeypatch, query, heading, link):
    """The catalogue is not blamed for it; a link takes the filters away and leaves the rest as it is."""
    address = site.upload(3)
    monkeypatch.setattr(
        MatchThresholds, "match_label", lambda thresholds, score: "similar" if score > 0.99 else "nothing close"
    )
    page = site.client.get(address + query).text
    assert f'<h1 id="found">{heading}</h1>' in page
    assert "Nothing we sell" not in page
    assert "1 product would be closer" in page
    removed = html.unescape(re.search(rf'<a href="([^"]*)">{link}</a>', page)[1])
    kept = re.findall("class=all|text=velvet", query)
    assert removed == address + ("?" + kept[0] if kept else "")
    assert '<h1 id="found">Closest matches</h1>' in site.client.get(removed).text


def test_weaker_products_stand_apart(site, monkeypatch):
    """What is less alike comes below a heading of its own, on later pages too."""
    address = site.upload(2) + "?class=all"
    monkeypatch.setattr(
        MatchThresholds, "match_label", lambda thresholds, score: "similar" if score > 0.99 else "nothing close"
    )
    first, second = (site.client.get(f"{address}&page={number}").text for number in (1, 2))

    for page in (first, second):
        assert "Nothing close" not in page
        assert "Less alike" in page
    assert first.index('match--similar">Similar') < first.index("Less alike") < first.rindex("card__title")
    assert second.index("Less alike") < second.index("card__title")


@pytest.mark.parametrize(
    "query",
    [
        "box=1,2,3",
        "box=0,0,2,2",
        "class=spaceship",
        "metric=manhattan",
        "price_min=cheap",
        "price_max=-5",
        "stock=maybe",
        "page=0",
        "page=x",
        "page=1000",
        "page=" + "1" * 5000,
    ],
)
def test_senseless_wishes(site, query):
    """A parameter that makes no sense gets a sentence and status 400, not a wrong page."""
    response = site.client.get(f"{site.upload()}?{query}")

    assert response.status_code == 400
    assert re.search(r'role="alert">[^<]+\.', response.text)


def test_unknown_parameters_are_ignored(site):
    """What mail programs and campaigns hang onto addresses does no harm."""
    assert site.client.get(f"{site.upload()}?utm_source=mail&page=").status_code == 200


def test_product_page(site):
    """A product page shows the facts as text, its variants and what looks like it, without itself."""
    response = site.client.get("/products/P-04")
    page = response.text

    assert response.status_code == 200
    assert "<h1>Chair Model 4 velvet</h1>" in page
    assert "€142" in page
    assert "Out of stock" in page
    assert "A fine piece &amp; &lt;b&gt;well&lt;/b&gt; made." in page
    assert 'href="https://shop.example/p"' in page
    assert "40 cm" in page
    assert page.count('href="/products/P-03"') >= 1
    assert "/products/P-04" not in page


def test_product_without_price(client):
    """A product whose feed gives no price can be asked for."""
    assert "Price on request" in client.get("/products/P-11").text


@pytest.mark.parametrize("sku", ["nope", "P-03/x", "%27%20OR%201=1"])
def test_unknown_product(client, sku):
    """An unknown article number is a page that says so."""
    response = client.get(f"/products/{sku}")

    assert response.status_code == 404
    assert "does not sell this product" in response.text


def test_deleting_my_photo(site):
    """A button on the results deletes the photo and what is remembered of it; its address says that it is gone."""
    address, other = site.upload(3), site.upload(4)
    photo = f"/photos/{address.rpartition('/')[2]}.jpg"
    page = site.client.get(address).text
    action = re.search(r'<form action="([^"]+)" method="post"><button[^>]*>Delete my photo', page)[1]
    site.client.get(other)
    encoded = site.engine.serving.encoder.pictures

    response = site.client.post(action)
    assert response.status_code == 303
    assert "Your photo is deleted" in site.client.get(response.location).text
    assert "Your photo is deleted" not in site.client.get("/").text
    for gone in (address, f"{address}?class=all", photo):
        assert site.client.get(gone).status_code == 404
        assert "no longer kept" in site.client.get(gone).text
    assert site.client.post(action).status_code == 404

    assert site.client.get(other).status_code == 200
    assert site.engine.serving.encoder.pictures == encoded, "the other photo is still remembered"
    assert site.upload(3) == address
    site.client.get(address)
    assert site.engine.serving.encoder.pictures > encoded, "this one is encoded anew"


@pytest.mark.parametrize("method", ["get", "head", "put"])
def test_a_link_deletes_nothing(site, method):
    """Crawlers and previews follow links."""
    address = site.upload(3)
    assert getattr(site.client, method)(f"{address}/delete").status_code in (404, 405)
    assert site.client.get(address).status_code == 200
