import html
import re
from dataclasses import replace

import pytest
from PIL import Image

from catalog import queries
from tests.pictures import bad_files, encoded, jpeg, scene
from tests.webui.conftest import ROOM, import_products, label_matches, room, withdraw

LAMP, CHAIR = (str(box) for box in ROOM)
THIRD = "0.4,0.05,0.55,0.2"


def post(client, data: bytes, name: str = "photo.jpg", field: str = "photo", **options):
    head = f'--frontier\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + b"\r\n--frontier--\r\n"
    return client.post("/search", data=body, content_type="multipart/form-data; boundary=frontier", **options)


def test_home_has_a_form_that_works_without_javascript(client):
    page = client.get("/").text
    assert re.search(r'<form [^>]*action="/search" method="post" enctype="multipart/form-data"', page)
    assert '<input id="photo" class="file" type="file" name="photo"' in page
    assert '<button class="button go" type="submit">' in page
    assert 'class="card"' in page
    assert client.get("/search").location == "/"


def test_upload_leads_to_the_product(site):
    response = site.client.get(site.upload(3))
    assert re.search(r'<span class="card__title">([^<]*)', response.text)[1] == "Chair Model 3 velvet"
    assert "Exact match" in response.text
    assert {"decode", "encode", "search"} <= set(re.findall(r"(\w+);dur=", response.headers["Server-Timing"]))
    assert [path.suffix for path in site.stored()] == [".jpg"]


def test_metadata_and_file_name_are_not_stored(site):
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
def test_bad_upload(shared_site, kind):
    """The page shows one sentence and another upload form; nothing is stored."""
    data, words = bad_files()[kind]
    response = post(shared_site.client, data)
    assert response.status_code == STATUS.get(kind, 415)
    message = re.search(r'role="alert">([^<]*)', response.text)[1]
    assert message.endswith(".")
    assert ("file is empty" if kind == "empty" else words) in message
    assert "data-upload" in response.text
    assert shared_site.stored() == []


@pytest.mark.parametrize("extra", [1_050_000, 3_000_000], ids=["in the file", "in the request"])
def test_too_many_bytes(shared_site, extra):
    response = post(shared_site.client, jpeg() + bytes(extra))
    assert (response.status_code, "1 MB" in response.text) == (413, True)
    assert shared_site.stored() == []


@pytest.mark.parametrize("photo_id", ["0" * 64, "abc", "../catalog", "%2e%2e%2fcatalog.sqlite"])
def test_unknown_photo(client, photo_id):
    assert client.get(f"/results/{photo_id}").status_code == 404
    assert client.get(f"/photos/{photo_id}.jpg").status_code == 404


def test_query_string_is_shown_in_the_form(site):
    query = "box=0,0,0.5,0.5&class=chair&metric=euclidean&text=velvet&price_min=100&price_max=150.5&stock=in"
    page = site.client.get(f"{site.upload(2)}?{query}").text
    for field in (
        'name="box" value="0,0,0.5,0.5"',
        'name="class" value="chair"',
        'name="metric" value="euclidean"',
        'name="text" type="search" value="velvet"',
        r'name="price_min"[^>]*value="100"',
        r'name="price_max"[^>]*value="150.50"',
        r'name="stock"[^>]*checked',
    ):
        assert re.search(field, page), field
    assert re.findall(r'aria-current="true">\s*([A-Z]\w+)', page.partition("<footer")[0]) == [
        "Your",
        "Euclidean",
        "Chair",
    ]


def test_classes_filters_and_text(site):
    url = site.upload(2)
    page = site.client.get(url).text
    assert set(re.findall(r'title="(chair|lamp)"', page)) == {"chair", "lamp"}
    assert re.search(r'Chair <span class="count">6</span>', page)
    assert all(title.startswith("Lamp") for title in site.titles(f"{url}?class=lamp"))
    assert len(site.titles(f"{url}?class=all&price_max=110.5")) == 2
    assert all(re.search("Model [12]$", title) for title in site.titles(f"{url}?class=all&stock=in&price_max=130"))
    assert ">Show all similar products</a>" in site.client.get(f"{url}?price_min=90000").text
    assert "velvet" not in site.titles(f"{url}?class=all")[0]
    assert [title[-6:] for title in site.titles(f"{url}?class=all&text=velvet")] == ["velvet", "velvet"]
    assert "velvet" not in "".join(site.titles(f"{url}?class=all&text=-velvet"))
    assert len(site.titles(f"{url}?class=all&text=velvet+zebra")) == 2
    assert "mentions “zebra”" in site.client.get(f"{url}?class=all&text=zebra+velvet").text
    page = site.client.get(f"{url}?class=lamp&text=velvet").text
    assert "mentions all of “velvet”" in page


def test_invalid_prices_stay_in_their_fields(site):
    """The other criteria apply; each field has its own message, and its text is escaped."""
    url = site.upload(2)
    response = site.client.get(f"{url}?class=all&price_min=1.200&price_max=110.5&stock=in&text=velvet")
    assert response.status_code == 400
    for field in (
        r'name="price_min"[^>]*value="1.200"[^>]*aria-describedby="price_min_problem"',
        r'id="price_min_problem" role="alert">[^<]*1.200',
        r'name="price_max"[^>]*value="110.50"',
        r'<details class="refine" data-refine open',
    ):
        assert re.search(field, response.text), field
    valid = site.titles(f"{url}?class=all&price_max=110.5")
    assert site.titles(f"{url}?class=all&price_min=x&price_max=110.5") == valid
    page = site.client.get(f"{url}?price_min=cheap&price_max=%22%3E%3Cb%3E").text
    assert page.count('role="alert"') == 2
    assert 'value="&#34;&gt;&lt;b&gt;"' in page


def test_prices_are_filtered_in_the_currency_of_the_catalog(site):
    """If there are several, the page says which one the filter covers."""
    url = site.upload(2) + "?class=all"

    def set_currency(currency, *skus):
        with site.sessions() as session:
            items = [queries.snapshot(session)[sku] for sku in skus]
        import_products(site, changed=tuple(replace(item, currency=currency) for item in items))

    skus = [f"P-{number:02d}" for number in range(11)]
    assert site.titles(f"{url}&price_max=€110.50") == site.titles(f"{url}&price_max=110.5")
    set_currency("CAD", *skus)
    page = site.client.get(f"{url}&price_max=$110.50", follow_redirects=True).text
    assert "Price in CAD" in page
    assert 'name="currency"' not in page
    assert len(site.titles(f"{url}&price_max=110.5")) == 2
    assert site.client.get(f"{url}&price_max=€110.50").status_code == 400
    set_currency("JPY", *skus[:2])
    assert "only products priced in CAD are found" in site.client.get(f"{url}&price_min=1").text
    assert site.titles(f"{url}&price_max=110.5") == []


def test_pages_show_every_product_once(site):
    pages = [f"{site.upload(2)}?class=all&page={number}" for number in (1, 2, 3)]
    titles = [site.titles(page) for page in pages]
    assert ([len(each) for each in titles], len({title for each in titles for title in each})) == ([5, 5, 2], 12)
    assert ['rel="next"' in site.client.get(page).text for page in pages] == [True, True, False]


def test_nothing_close(site, monkeypatch):
    """Less similar products have a heading only if others are similar, on later pages too."""
    url = site.upload(2) + "?class=all"
    label_matches(monkeypatch, 0.56)
    first, second = (site.client.get(f"{url}&page={number}").text for number in (1, 2))
    assert "Nothing close" not in first + second
    assert first.index('match--similar">Similar') < first.index("Less similar") < first.rindex("card__title")
    assert second.index("Less similar") < second.index("card__title")
    label_matches(monkeypatch, 9)
    page = site.client.get(url).text
    assert '<h1 id="found">Nothing close' in page
    assert not re.search('class="match|Less similar', page)


@pytest.mark.parametrize(
    "query",
    [
        *("?price_max=105", "?price_min=132", "?class=lamp&stock=in&text=velvet&page=1", "?class=all&price_max=105"),
        *("?box=0,0,0.3,0.3&price_max=105", "?class=lamp&price_min=1&box=0,0,0.9,0.9&metric=euclidean"),
    ],
)
def test_filters_hide_the_close_products(site, monkeypatch, query):
    """A link removes the filters and keeps the other criteria."""
    url = site.upload(3)
    label_matches(monkeypatch, 0.6)
    page = site.client.get(url + query).text
    assert "1 product would be closer" in page
    unfiltered = html.unescape(re.search(r'<a href="([^"]*)">Remove the filters</a>', page)[1])
    kept = re.findall("class=all|metric=euclidean", query)
    assert unfiltered == url + ("?" + kept[0] if kept else "")
    assert "would be closer" not in site.client.get(unfiltered).text


@pytest.mark.parametrize("query", ["box=1,2,3", "class=spaceship", "metric=manhattan"])
def test_invalid_criteria(site, query):
    url = site.upload()
    response = site.client.get(f"{url}?{query}")
    assert response.status_code == 400
    assert re.search(r'role="alert">[^<]+\.', response.text)
    assert f'href="{url}"' in response.text, "back to the results"


def test_product_page(site):
    """Facts are escaped; variants and similar products follow, without the product itself."""
    page = site.client.get("/products/P-04").text
    for text in (
        "<h1>Chair Model 4 velvet</h1>",
        "€142",
        "Out of stock",
        "A fine piece &amp; &lt;b&gt;well&lt;/b&gt; made.",
        'href="https://shop.example/p"',
        "40 cm",
    ):
        assert text in page
    assert '<a href="/products/P-04' not in page
    assert "Price on request" in site.client.get("/products/P-11").text


def test_variants_on_a_product_page(site):
    """Each has its name, price and stock."""
    with site.sessions() as session:
        items = [replace(queries.snapshot(session)[sku], variant_group="duo") for sku in ("P-04", "P-05")]
    import_products(site, changed=tuple(items))
    variant, *_ = re.findall(r'<a href="/products/P-05".*?</a>', site.client.get("/products/P-04").text, re.DOTALL)
    assert all(text in variant for text in ("Chair Model 5", "€152.50", "Only 3 left"))


def test_unknown_and_withdrawn_products(site):
    withdraw(site, "P-03")
    for sku in ("nope", "P-03/x", "%27%20OR%201=1", "P-03"):
        assert site.client.get(f"/products/{sku}").status_code == 404


def test_delete_photo(site):
    """A page asks first; its cached encodings are deleted too, those of other photos are not."""
    url, other = site.upload(3), site.upload(4)
    page = site.client.get(f"{url}?class=all").text
    asks = html.unescape(re.search(r'href="([^"]+)">Delete my photo', page)[1])
    page = site.client.get(asks).text
    action = re.search(r'<form [^>]*action="([^"]+)" method="post">', page)[1]
    assert f'href="{url}?class=all"' in page, "the way back"
    assert all(call(f"{url}/delete").status_code == 405 for call in (site.client.put, site.client.delete))
    site.client.get(other)
    encoded = site.engine.serving.encoder.pictures
    response = site.client.post(action)
    assert response.status_code == 303
    assert "photo has been deleted" in site.client.get(response.location).text
    for gone in (url, f"{url}?class=all", f"/photos/{url.rpartition('/')[2]}.jpg"):
        assert site.client.get(gone).status_code == 404
    assert site.client.post(action).status_code == site.client.get(asks).status_code == 404
    assert site.client.get(other).status_code == 200
    assert site.engine.serving.encoder.pictures == encoded, "still cached"
    site.client.get(site.upload(3))
    assert site.engine.serving.encoder.pictures > encoded, "encoded again"


def upload_room(site) -> str:
    return post(site.client, room(), "room.jpg").location


def detected(page: str) -> list[tuple[str, bool]]:
    """Return the boxes that a page links to, and whether each is the current one."""
    links = re.findall(r'<a href="([^"]*)" tabindex="-1" (aria-current="true")?', page)
    return [(re.search(r"box=([^&]*)", url)[1], bool(current)) for url, current in links]


def test_detected_products(detector_site):
    """Both products of the room are among the first; a selected box is searched alone."""
    url = upload_room(detector_site)
    assert {"Chair Model 3 velvet", "Lamp Model 9"} <= set(detector_site.titles(f"{url}?class=all"))
    boxes = detected(detector_site.client.get(f"{url}?class=all").text)
    assert [box for box, _ in boxes] == [LAMP, CHAIR, THIRD]
    assert [current for _, current in boxes].count(True) <= 1

    page = detector_site.client.get(f"{url}?box={CHAIR}").text
    assert detector_site.titles(f"{url}?box={CHAIR}")[0] == "Chair Model 3 velvet"
    assert detected(page) == [(LAMP, False), (CHAIR, True), (THIRD, False)]
    assert re.search(rf'<a class="chip" href="{re.escape(url)}" >Everything</a>', page)
    assert re.search(r'box=0,0,1,1" >The photo as a whole</a>', page)
    page = detector_site.client.get(f"{url}?box=0,0,1,1").text
    assert not any(current for _, current in detected(page))
    assert re.search(r'box=0,0,1,1" aria-current="true">The photo as a whole</a>', page)


def test_shop_without_a_detector(site):
    url = upload_room(site)
    assert "photo__parts" not in site.client.get(url).text
    assert f'<a class="chip" href="{url}" >The whole photo</a>' in site.client.get(f"{url}?box={CHAIR}").text


def test_api_returns_detected_boxes(detector_site):
    """By confidence; each result names the box that found it, and a box can be searched."""
    body = detector_site.client.post("/api/v1/search?class=all", data=room()).get_json()
    boxes = [(found["box"], found["confidence"]) for found in body["boxes"]]
    assert boxes == [(LAMP, 0.99), (CHAIR, 0.98), (THIRD, 0.97)]
    assert {("P-03", CHAIR), ("P-09", LAMP)} <= {(found["sku"], found["box"]) for found in body["results"]}
    alone = detector_site.client.post(f"/api/v1/search?box={CHAIR}", data=room()).get_json()
    assert (alone["results"][0]["sku"], alone["results"][0]["box"]) == ("P-03", CHAIR)
    assert alone["boxes"] == body["boxes"]
