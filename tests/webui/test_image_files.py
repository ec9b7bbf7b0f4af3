import hashlib
import logging
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update

from catalog.models import Image, Product
from tests.fakes import FakeEncoder
from tests.pictures import encoded, jpeg, noise, png_header, scene
from tests.webui.conftest import running, withdraw
from vsearch.core.errors import SettingsError, UploadsUnavailable
from vsearch.core.settings import Settings
from vsearch.detection.detector import no_detector
from vsearch.imaging.codec import Limits, decode
from webui.image_files import MAX_EXAMPLES, MAX_SIDE, WIDTHS, Thumbnails, UploadStore, load_examples
from webui.responsive_images import MEDIA_TYPES, picture_fallback, picture_sources
from webui.server import serve

DAY = 86_400
NOW = 1_800_000_000
PHOTO = b'Content-Disposition: form-data; name="photo"'


@pytest.fixture
def store(tmp_path):
    """An empty store that keeps photos for ten days."""
    return UploadStore(Settings(data=tmp_path, upload_days=10))


def put(store, seed: int, age_days: float) -> str:
    """Store a photo that was uploaded some days before NOW."""
    photo_id = store.put(noise(40, 40, seed))
    os.utime(store.find(photo_id), (NOW - age_days * DAY, NOW - age_days * DAY))
    return photo_id


def test_large_photos_are_shrunk(store):
    photo_id = store.put(jpeg(2400, 1200))
    assert decode(store.find(photo_id).read_bytes()).shape == (MAX_SIDE // 2, MAX_SIDE, 3)


def test_other_users_of_the_machine_cannot_see_photos(tmp_path):
    store = UploadStore(Settings(data=tmp_path / "data"))
    store.owner_token(store.put(noise(40, 40, 1)))
    assert [path.stat().st_mode & 0o077 for path in (store.folder, store.folder.with_suffix(".key"))] == [0, 0]


def test_old_photos_expire(store):
    old, young = put(store, 1, 11), put(store, 2, 9)
    store.expire(NOW)
    assert [bool(store.find(photo_id)) for photo_id in (old, young)] == [False, True]


def test_oldest_photos_make_room(store):
    ids = [put(store, seed, 4 - seed) for seed in (1, 2, 3)]
    size = store.find(ids[0]).stat().st_size
    assert UploadStore(Settings(data=store.folder.parent, upload_days=10, upload_gb=size * 2.2 / 1e9)).expire(NOW) == 1
    assert [bool(store.find(photo_id)) for photo_id in ids] == [False, True, True]


def test_size_limit_holds_after_every_upload(store):
    """Even with two processes."""
    size = len(store.read(put(store, 0, 30)))
    both = [
        UploadStore(Settings(data=store.folder.parent, upload_days=10**4, upload_gb=size * 2.5 / 1e9)) for _ in range(2)
    ]
    for seed in range(1, 7):
        latest = both[seed % 2].put(noise(40, 40, seed))
        assert store.find(latest)
        assert sum(path.stat().st_size for path in store.folder.iterdir()) <= size * 2.5
    assert len(list(store.folder.glob("*.jpg"))) == 2


def test_folder_is_not_listed_for_every_upload(store, monkeypatch):
    size = len(store.read(put(store, 0, 30)))
    other = UploadStore(Settings(data=store.folder.parent, upload_days=10**4, upload_gb=size * 100 / 1e9))
    calls, expired = [], other.expired
    monkeypatch.setattr(other, "expired", lambda *args, **kwargs: calls.append(1) or expired(*args, **kwargs))
    for seed in range(1, 121):
        other.put(noise(40, 40, seed))
    assert len(calls) < 121 / 2
    assert sum(path.stat().st_size for path in store.folder.iterdir()) <= size * 100
    assert len(list(store.folder.glob("*.jpg"))) > 90


def test_photos_deleted_by_another_process(store, monkeypatch):
    """Before or after their age is read."""
    ids, stat = [put(store, seed, 20) for seed in range(4)], Path.stat

    def vanish(path, **options):
        if path.stem == ids[0]:
            path.unlink(missing_ok=True)
        status = stat(path, **options)
        if path.stem == ids[1]:
            path.unlink()
        return status

    monkeypatch.setattr(Path, "stat", vanish)
    store.expire(NOW)
    assert list(store.folder.glob("*.jpg")) == []
    monkeypatch.setattr(store, "find", lambda photo_id: store.folder / f"{photo_id}.jpg")
    assert store.read(ids[0]) is None


def test_ids_cannot_be_computed_from_a_photo(store):
    """They are random: two uploads of a file are two photos, and deleting one keeps the other."""
    one, other = put(store, 1, 1), put(store, 1, 1)
    assert len({one, other, hashlib.sha256(store.read(one)).hexdigest()}) == 3
    store.delete(one)
    assert store.read(other)


def test_owner_tokens(store, tmp_path):
    """They belong to one photo, and are made with a key of the folder, which only its owner can read."""
    one, other = put(store, 1, 1), put(store, 1, 1)
    token = store.owner_token(one)
    same_folder = UploadStore(Settings(data=store.folder.parent))
    other_folder = UploadStore(Settings(data=tmp_path / "other"))
    assert [each.is_owner(one, token) for each in (store, same_folder, other_folder)] == [True, True, False]
    assert not any(store.is_owner(other, wrong) for wrong in (token, "", "\xe4", token.upper()))
    assert (store.folder.parent / "uploads.key").stat().st_mode & 0o077 == 0


def test_processes_that_start_together_share_the_key(store, monkeypatch):
    def link(source, target):
        Path(target).write_bytes(b"another process's")
        raise FileExistsError

    monkeypatch.setattr(os, "link", link)
    token = store.owner_token("0" * 64)
    assert (store.folder.parent / "uploads.key").read_bytes() == b"another process's"
    assert store.owner_token("0" * 64) == token


def test_delete(store):
    """Unknown ids are not an error."""
    photo_id, other = put(store, 1, 1), put(store, 2, 1)
    for name in (photo_id, photo_id, "0" * 64, "../catalog"):
        store.delete(name)
    assert store.read(photo_id) is None
    assert store.read(other)
    for name in ("", "../secret", "A" * 64, "0" * 63, "0" * 64):
        assert store.find(name) is None


def test_check_writes_to_the_folder(store, tmp_path):
    """And leaves nothing there."""
    store.check()
    assert list(store.folder.iterdir()) == []
    (tmp_path / "file").write_bytes(b"a file in place of the folder")
    broken = UploadStore(Settings(data=tmp_path / "file", upload_days=1))
    for action in (broken.check, lambda: broken.put(noise(40, 40, 1))):
        with pytest.raises(UploadsUnavailable, match=str(tmp_path / "file")):
            action()


def send(client, path, *parts: bytes, end: bytes = b"--B--\r\n", mimetype: str = "multipart/form-data; boundary=B"):
    """Post the parts of a form byte for byte."""
    body = b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + end
    return client.post(path, data=body, content_type=mimetype)


@pytest.mark.parametrize(
    "head",
    [
        PHOTO + b'; filename="M\xf6bel.jpg"',  # Latin-1
        PHOTO + b'; filename="\x83\x5c\x83t\x83@.jpg"',  # Shift JIS, with a backslash as a second byte
        PHOTO + b"; filename*=iso-8859-1'en'M%F6bel.jpg",
        PHOTO + b"; filename=\"a.jpg\"; filename*=UTF-8''M%C3%B6bel.jpg",
        PHOTO + b'; filename="my \\"best\\" chair; name=x.jpg"',
        PHOTO,
        b"Content-Disposition: form-data; name=photo; filename=a.jpg",
        b'content-disposition: form-data; filename="a.jpg"; name="photo"',
        PHOTO + b'; filename="a.jpg"\r\nContent-Type: image/jpeg\r\nX-Note: \xe9',
        PHOTO + b"\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: binary",
        PHOTO + b';\r\n filename="folded.jpg"',
    ],
)
def test_form_with_any_file_name(site, head):
    for path in ("/search", "/api/v1/search"):
        response = send(site.client, path, head + b"\r\n\r\n" + site.photo(3))
        assert response.status_code in (200, 303), response.text
    assert response.get_json()["results"][0]["sku"] == "P-03"


def test_form_with_other_fields_and_a_large_photo_without_file_name(site):
    """Werkzeug's limit of text fields does not apply."""
    empty = PHOTO + b'; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n'
    photo = PHOTO + b"\r\n\r\n" + site.photo(3) + bytes(800_000)
    note = b'Content-Disposition: form-data; name="n\xf6te"\r\n\r\n\xff'
    response = send(site.client, "/api/v1/search", note, empty, photo, empty)
    assert response.get_json()["results"][0]["sku"] == "P-03"


@pytest.mark.parametrize("boundary", [b"----WebKitFormBoundary7MA4YWxkTrZu0gW", b"=_a.b"])
def test_form_with_line_feeds_and_odd_boundaries(site, boundary):
    body = b"--" + boundary + b"\n" + PHOTO + b"\n\n" + site.photo(3) + b"\n--" + boundary + b"--"
    mimetype = f'multipart/form-data; boundary="{boundary.decode()}"'
    response = site.client.post("/api/v1/search", data=body, content_type=mimetype)
    assert response.get_json()["results"][0]["sku"] == "P-03"


@pytest.mark.parametrize(
    ("parts", "options"),
    [
        ([], {}),
        ([PHOTO + b'; filename=""\r\n\r\n'], {}),
        ([b"\r\n\r\nno header"], {}),
        ([PHOTO + b"\r\n\r\ncut off"], {"end": b""}),
        ([PHOTO + b"\r\n\r\nx"], {"mimetype": "multipart/form-data"}),
        ([PHOTO + b"\r\n\r\nx"], {"mimetype": "multipart/form-data; boundary=ö"}),
        ([b'Content-Disposition: form-data; name="other"\r\n\r\nx'], {}),
    ],
)
def test_form_without_a_photo(shared_site, parts, options):
    for path in ("/search", "/api/v1/search"):
        assert send(shared_site.client, path, *parts, **options).status_code == 400
    assert shared_site.client.post("/search").status_code == 400
    assert shared_site.stored() == []


@pytest.fixture
def sha256(client):
    return re.search(r"/pictures/([0-9a-f]{64})-", client.get("/").text)[1]


def test_thumbnail_is_cached(site, sha256):
    """For a day by browsers and proxies, and on disk."""
    response = site.client.get(f"/pictures/{sha256}-160.jpg")
    assert (response.status_code, response.mimetype) == (200, "image/jpeg")
    assert decode(response.data).shape == (64, 64, 3), "never enlarged"
    assert response.headers["Cache-Control"] == "public, max-age=86400"
    again = site.client.get(f"/pictures/{sha256}-160.jpg", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304
    (stored,) = [path for path in (site.settings.data / "thumbnails").rglob("*") if path.is_file()]
    stored.write_bytes(b"cached")
    assert site.client.get(f"/pictures/{sha256}-160.jpg").data == b"cached"


def test_thumbnails_in_each_format(site, sha256):
    """The address decides, whatever the browser accepts; every copy is kept until it is pruned."""
    for suffix, media_type in MEDIA_TYPES.items():
        response = site.client.get(f"/pictures/{sha256}-160.{suffix}", headers={"Accept": "image/png"})
        assert (response.status_code, response.mimetype) == (200, media_type)
        assert decode(response.data).shape == (64, 64, 3)
        assert "Vary" not in response.headers
    thumbnails = Thumbnails(site.settings)
    assert len(list(thumbnails.unused(keep=(), withdrawn={sha256}, before=0))) == 3
    thumbnails.delete(sha256)
    assert [path for path in site.settings.thumbnails.rglob("*") if path.is_file()] == []


def test_sizes_and_formats_of_an_image(shared_site):
    """No size is offered that would be a copy of a smaller one."""
    with shared_site.app.test_request_context():
        avif, webp = picture_sources("00", 500, 1280)
        assert (avif.media_type, webp.media_type) == ("image/avif", "image/webp")
        sizes = ((160, 160), (320, 320), (480, 480), (640, 500))
        assert avif.srcset == ", ".join(f"/pictures/00-{width}.avif {real}w" for width, real in sizes)
        assert picture_fallback("00", 500, 1280) == "/pictures/00-640.jpg"
        assert picture_sources("00", 100, 640)[1].srcset == "/pictures/00-160.webp 100w"
        assert picture_sources("00", None, 320)[1].srcset == "/pictures/00-160.webp 160w, /pictures/00-320.webp 320w"
        assert picture_sources("00", 9000, 1280)[0].srcset.endswith("/pictures/00-1280.avif 1280w")


def test_thumbnail_that_cannot_be_stored_is_sent(site, sha256, caplog):
    (site.settings.data / "thumbnails").write_bytes(b"a file in place of the folder")
    assert decode(site.client.get(f"/pictures/{sha256}-160.jpg").data).shape == (64, 64, 3)
    assert "cannot be stored" in caplog.text


@pytest.mark.parametrize("name", ["{}-321.jpg", "{}-999999.jpg", "{}.jpg", "{}-320.png", "00{}-320.avif", "x-320.jpg"])
def test_other_names_of_thumbnails_are_not_found(client, sha256, name):
    assert client.get(f"/pictures/{name.format(sha256)}").status_code == 404
    assert client.get(f"/pictures/{'0' * 64}-{WIDTHS[0]}.jpg").status_code == 404


def test_shoppers_photo_is_private(site):
    """Proxies may not cache it, and browsers must revalidate it."""
    photo_id = site.upload(0).rpartition("/")[2]
    response = site.client.get(f"/photos/{photo_id}.jpg")
    assert {"private", "no-cache"} <= set(response.headers["Cache-Control"].split(", "))
    assert decode(response.data).shape == decode(jpeg()).shape
    again = site.client.get(f"/photos/{photo_id}.jpg", headers={"If-None-Match": response.headers["ETag"]})
    assert again.status_code == 304


def test_pictures_of_withdrawn_products_are_not_sent(site):
    """Even if their thumbnails exist; a restored product has its pictures back."""
    images = site.client.get("/api/v1/products/P-02").get_json()["images"]
    paths = [urlsplit(url).path.replace("-640.", f"-{width}.") for url in images for width in WIDTHS]
    assert {site.client.get(path).status_code for path in paths} == {200}
    withdraw(site, "P-02")
    assert {site.client.get(path).status_code for path in paths} == {404}
    assert site.client.get(paths[0], headers={"If-None-Match": "*"}).status_code == 404
    assert "max-age" not in site.client.get(paths[0]).headers["Cache-Control"]
    with site.sessions.begin() as session:
        session.execute(update(Product).values(withdrawn_at=None))
    assert {site.client.get(path).status_code for path in paths} == {200}


def test_picture_shared_with_a_live_product(site):
    with site.sessions.begin() as session:
        first, second = session.scalars(select(Product).where(Product.sku.in_(("P-02", "P-05"))).order_by(Product.sku))
        shared = first.images[0].sha256
        second.images.append(Image(sha256=shared, position=9))
    withdraw(site, "P-02")
    assert site.client.get(f"/pictures/{shared}-160.jpg").status_code == 200
    withdraw(site, "P-02", "P-05")
    assert site.client.get(f"/pictures/{shared}-160.jpg").status_code == 404


NAMES = ("armchair-by-the-window.jpg", "green_lamp.png", "Wide room.jpg")


@pytest.fixture
def folder(tmp_path, shared_site):
    """Three photos (the last shows product 3) among files that are not photos."""
    path = tmp_path / "examples"
    (path / "more").mkdir(parents=True)
    for name, data in zip(NAMES, (jpeg(600, 800), encoded(scene(), "PNG"), shared_site.photo(3)), strict=True):
        (path / name).write_bytes(data)
    (path / "more" / "deeper.jpg").write_bytes(jpeg())
    (path / ".hidden.jpg").write_bytes(noise(40, 40))
    (path / "notes.txt").write_text("Photos by the shop.")
    (path / "bomb.png").write_bytes(png_header(60_000, 60_000))
    return path


@pytest.fixture
def example_site(settings, folder):
    """The application with these examples."""
    with running(settings.model_copy(update={"examples": folder})) as site:
        yield site


def listed(site) -> list[tuple[str, str]]:
    """Return id and alt text of the examples on the start page."""
    pattern = r'<button class="example" name="example" value="([^"]*)"><img src="/examples/([^"]*)\.jpg" alt="([^"]*)"'
    matches = re.findall(pattern, site.client.get("/").text)
    assert all(value == source for value, source, _ in matches)
    return [(value, alt) for value, _, alt in matches]


def test_examples_in_the_order_of_their_names(example_site, client):
    names = ("Wide room", "armchair by the window", "green lamp")
    assert [alt for _, alt in listed(example_site)] == [f"Search with this photo: {name}" for name in names]
    assert "Try one of these" not in client.get("/").text, "a shop without examples"


def test_skipped_files_are_logged(folder, caplog):
    with caplog.at_level(logging.WARNING):
        assert len(load_examples(folder, Limits())) == 3
        assert sorted(re.findall(r"example photo (\S+) is skipped", caplog.text)) == [
            str(folder / "bomb.png"),
            str(folder / "notes.txt"),
        ]
        for number in range(MAX_EXAMPLES):
            (folder / f"a{number}.jpg").write_bytes(jpeg(64 + number, 64))
        assert len(load_examples(folder, Limits())) == MAX_EXAMPLES
    assert f"only the first {MAX_EXAMPLES}" in caplog.text


def test_search_with_an_example(example_site):
    """Its preview is small and cached."""
    (chosen, _), (second, _), _ = listed(example_site)
    response = example_site.client.post("/search", data={"example": chosen})
    assert response.status_code == 303
    assert example_site.titles(response.location)[0] == "Chair Model 3 velvet"
    preview = example_site.client.get(f"/examples/{second}.jpg")
    assert (decode(preview.data).shape, preview.mimetype) == ((480, 360, 3), "image/jpeg")
    assert {"public", "max-age=31536000", "immutable"} <= set(preview.headers["Cache-Control"].split(", "))
    again = example_site.client.get(f"/examples/{second}.jpg", headers={"If-None-Match": preview.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["0" * 64, "green_lamp", "..%2fcatalog", "../examples/green_lamp", "notes.txt"])
def test_other_names_of_examples_are_not_found(example_site, name):
    assert example_site.client.get(f"/examples/{name}.jpg").status_code == 404
    assert example_site.client.post("/search", data={"example": name}).status_code == 404
    assert example_site.stored() == []


def test_examples_are_loaded_at_startup(example_site, folder):
    before = listed(example_site)
    (folder / NAMES[0]).unlink()
    (folder / "later.jpg").write_bytes(jpeg(90, 90))
    assert listed(example_site) == before
    assert all(example_site.client.get(f"/examples/{name}.jpg").status_code == 200 for name, _ in before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_unreadable_folder_stops_the_server(settings, tmp_path, name):
    (tmp_path / "file").write_text("")
    wrong = settings.model_copy(update={"examples": tmp_path / name, "port": 0})
    with pytest.raises(SettingsError, match=rf"examples: .*{name}"):
        serve(wrong, lambda url, problem: None, FakeEncoder, no_detector)
