"""Real photos: part of the IKEA research data set as a shop, from its feed to its metrics."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from vsearch.cli import cli
from vsearch.evaluation import research_sets

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
def shop(tmp_path_factory):
    """The converter's files, reduced to the last products of the feed, imported and indexed."""
    folder = tmp_path_factory.mktemp("ikea")
    research_sets.write(research_sets.ikea(PHOTOS), folder)
    header, *rows = (folder / "feed.csv").read_text(encoding="utf8").splitlines()
    (folder / "feed.csv").write_text("\n".join([header, *rows[-PRODUCTS:]]) + "\n", encoding="utf8")
    images = PHOTOS / "ikea" / "images.tar"
    vsearch("--data", folder / "data", "index", "run", "--feed", folder / "feed.csv", "--images", images)
    return folder


def test_the_search_misses_less_than_half_as_often_as_hog(shop):
    """Queries are 60 products placed in real rooms and cropped to the product; routing costs little."""
    options = ("--kind", "crop", "--sample", 60, "--rooms", PHOTOS / "ikea" / "scenes.tar", "--json")
    printed = json.loads(vsearch("--data", shop / "data", "evaluate", "shopper", *options))
    everywhere, _, hog, _ = (scores["hit@1"]["mean"] for scores in printed["scores"].values())
    assert 1 - everywhere < (1 - hog) / 2
    assert printed["routing_loss"] > 0.85
