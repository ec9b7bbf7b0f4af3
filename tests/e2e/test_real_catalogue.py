"""Real photographs: a part of the ikea research set as a shop, from its feed to figures."""

import json
import os
import runpy
from pathlib import Path

import pytest
from click.testing import CliRunner

from vsearch.cli import cli

ROOT = Path(__file__).parents[2]
PHOTOS = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
PRODUCTS = 150

pytestmark = [
    pytest.mark.keras,
    pytest.mark.slow,
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not (PHOTOS / "ikea" / "images.tar").is_file(),
        reason="the development photographs are not here (folder shared/data beside the project, or SHARED_DATA)",
    ),
]


def vsearch(*arguments: object) -> str:
    """Run a command that must succeed; return what it printed."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documented converter's files, cut to the last products of the feed, imported and indexed."""
    folder = tmp_path_factory.mktemp("ikea")
    convert = runpy.run_path(str(ROOT / "docs" / "examples" / "ikea_feed.py"))["main"]
    convert(PHOTOS / "ikea", folder)
    header, *rows = (folder / "feed.csv").read_text(encoding="utf8").splitlines()
    (folder / "feed.csv").write_text("\n".join([header, *rows[-PRODUCTS:]]) + "\n", encoding="utf8")
    images = PHOTOS / "ikea" / "images.tar"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSEARCH_WHITENING_PRODUCTS", "60")  # fewer views to encode
        vsearch("--data", folder / "data", "index", "run", "--feed", folder / "feed.csv", "--images", images)
    return folder


def test_a_photo_cut_to_the_product_is_missed_less_than_half_as_often_as_by_hog(shop: Path) -> None:
    """60 products put into real rooms: the search misses under half of what HOG misses, and routing costs little."""
    rooms = PHOTOS / "ikea" / "scenes.tar"
    options = ("--kind", "crop", "--sample", 60, "--rooms", rooms, "--json")
    printed = vsearch("--data", shop / "data", "evaluate", "shopper", *options)
    said = json.loads(printed)

    everywhere, _, hog, _ = (found["hit@1"]["mean"] for found in said["scores"].values())
    assert 1 - everywhere < (1 - hog) / 2
    assert said["routing_loss"] > 0.85
