"""Training on the shop's own catalog, from SQL to a searchable checkpoint."""

from pathlib import Path

import pytest
from sqlalchemy import select

from catalog.models import Product
from indexer.cli.catalog_images import list_images
from tests.indexer.shop import Shop, fill
from vsearch.cli import main
from vsearch.imaging.codec import decode
from vsearch.models import checkpoint as checkpoints

START = """
name = "before"
backbones = ["pocket_strip"]
seed = 1
cache_size = 32
[[source]]
kind = "catalog"
terms = "ours"
background = 12
[[head]]
name = "category"
kind = "softmax"
[assemble]
network_block = 12
middle_block = 10
color_block = 6
embedding_size = 16
fit_views = 1
differences = 4
"""

PHASES = """
[[phase]]
name = "tune"
size = 32
epochs = 1
batch = 8
learning_rate = 0.001
freeze_batch_norm = true
average_with_start = 0.5
"""

HEADS = """
[[head]]
name = "product"
kind = "metric"
[[head]]
name = "color"
kind = "sigmoid"
"""


@pytest.fixture
def colorful_shop(empty_shop):
    """A shop of 24 products, half of them red and blue; two are variants of one design."""
    fill(empty_shop, 24)
    with empty_shop.sessions.begin() as session:
        for product in session.scalars(select(Product)):
            product.attributes = {"color": ["red", "blue"] if product.product_id % 2 else ["white"]}
            product.variant_group = "design" if product.sku in ("S000", "S001") else None
    return empty_shop


def train(shop: Shop, plan: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run `vsearch train` in the shop's folder; return the exit code and what was printed."""
    folder = shop.settings.data
    with pytest.raises(SystemExit) as ended:
        main(["--data", str(folder), "--log-level", "ERROR", "train", str(plan), "--runs", str(folder / "runs")])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out + printed.err


def write_plans(folder: Path) -> Path:
    """Write a plan that assembles a random network, and one that fine-tunes it; return the second."""
    before, after = folder / "before.toml", folder / "after.toml"
    before.write_text(START)
    text = START.replace('"before"', f'"after"\nstart = "plan:{before}"').replace("background = 12", "")
    after.write_text(text.replace("[assemble]", HEADS + PHASES + "[assemble]"))
    return after


def test_images_are_listed_with_their_labels(colorful_shop):
    images = {image.name.split()[0]: image for image in list_images(colorful_shop.settings)}

    assert len(images) == 24
    assert images["S000"].group == images["S001"].group == "design"
    assert images["S003"].group == images["S003"].product == "S003"
    assert images["S001"].category == "Sofas > Armchairs"
    assert set(images["S000"].attributes["color"]) in ({"red", "blue"}, {"white"})
    assert decode(Path(images["S000"].file).read_bytes()).shape == (48, 48, 3)


@pytest.mark.keras
@pytest.mark.slow
def test_a_network_is_fine_tuned_on_the_catalog(colorful_shop, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VSEARCH_MIN_CLASS_SIZE", "3")
    plan, runs = write_plans(tmp_path), colorful_shop.settings.data / "runs"

    code, printed = train(colorful_shop, plan, capsys)

    assert code == 0, printed
    before, after = (checkpoints.load(runs / name / "checkpoint") for name in ("before", "after"))
    assert set(after.retrieval.heads.classes) == {row.category for row in colorful_shop.rows()}
    assert {spec.name: spec.classes for spec in after.specs}["color"] == ("blue", "red", "white")
    # The second plan has no images for the cohort; the blocks of the first one's are converted.
    assert before.retrieval.background_cohort.shape == after.retrieval.background_cohort.shape == (12, 28)

    colorful_shop.withdraw("S004")
    code, printed = train(colorful_shop, plan, capsys)
    assert code == 1
    assert "changed" in printed


def test_a_catalog_with_few_products_is_refused(shop, tmp_path, capsys):
    code, printed = train(shop, write_plans(tmp_path), capsys)

    assert code == 1
    assert "12 products" in printed
