import csv
import io
import random

import pytest
from PIL import Image

from demo_shop_renderer import feed, sheet
from demo_shop_renderer.boxes import Seen
from demo_shop_renderer.catalogue import products


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop whose packshots are green and whose photos are red where the product stands, blue elsewhere."""
    folder = tmp_path_factory.mktemp("sheet")
    for name in ("pictures", "photos"):
        (folder / name).mkdir()
    seen = {}
    for product in products(7)[::3]:
        Image.new("RGB", (64, 64), "#00ff00").save(folder / "pictures" / feed.picture_name(product))
        photo = Image.new("RGB", (128, 64), "#0000ff")
        photo.paste("#ff0000", (64, 0, 128, 64))
        photo.save(folder / "photos" / feed.photo_name(product, 1))
        seen[feed.photo_name(product, 1)] = [Seen(product.sku, "main", 64, 0, 128, 64, 1.0)]
    feed.write(folder, 7, seen)
    rows = list(csv.DictReader((folder / "feed.csv").read_text(encoding="utf8").splitlines()))[::3]
    (folder / "feed.csv").write_text(feed.table(feed.COLUMNS, rows), encoding="utf8")
    return folder


def test_packshots_and_photos_take_turns(shop, tmp_path):
    """Sixty cells like a chessboard, photos cut around their product."""
    file = tmp_path / "sheet.jpg"
    assert sheet.main([str(shop), str(file), "--seed", "7"]) == 0

    with Image.open(file) as image:
        middle = sheet.MARGIN + sheet.SIDE // 2
        step, down = sheet.SIDE + sheet.GAP, sheet.SIDE + sheet.CAPTION + sheet.GAP
        for row in range(sheet.ROWS):
            for column in range(sheet.COLUMNS):
                for side in (-100, 0, 100):  # the right half of the photo alone
                    red, green, blue = image.getpixel((middle + column * step + side, middle + row * down))
                    assert blue < 60
                    assert (green > red) == ((row + column) % 2 == 0)
    assert file.stat().st_size < sheet.MAX_BYTES


def test_no_family_twice(shop):
    """Another seed chooses others."""
    first, again, other = (sheet.choose(shop, random.Random(seed)) for seed in (7, 7, 8))

    assert first == again != other
    assert len({cell.product["variant_group"] for cell in first}) == len(first) == 60


def test_a_large_sheet_is_made_coarser():
    """Noise cannot be packed well, and still keeps to the limit."""
    noise = Image.effect_noise((400, 250), 90).convert("RGB")

    fine, coarse = sheet.encoded(noise), sheet.encoded(noise, 50_000)
    assert len(coarse) <= 50_000 < len(fine)
    assert Image.open(io.BytesIO(coarse)).size == (400, 250)


def test_a_shop_with_too_little_is_one_sentence(shop, tmp_path, capsys):
    """Said with what to do."""
    (tmp_path / "feed.csv").write_bytes((shop / "feed.csv").read_bytes())
    (tmp_path / "photos.csv").write_text("photo,sku,role,left,top,right,bottom\n")

    assert sheet.main([str(tmp_path), str(tmp_path / "sheet.jpg")]) == 1
    assert "render the rest first" in capsys.readouterr().err
    assert sheet.main([str(tmp_path / "nowhere"), str(tmp_path / "sheet.jpg")]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "sheet.jpg").exists()
