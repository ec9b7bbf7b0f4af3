from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests import pictures as drawn
from vsearch.cli import cli


@pytest.fixture
def folder(tmp_path):
    """A feed of two products with their pictures, and a feed with mistakes."""
    (tmp_path / "images").mkdir()
    for number in range(2):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(drawn.jpeg(40 + number, 30))
    (tmp_path / "good.csv").write_text("sku,title,image,colour\nA,Sofa,0.jpg,red\nB,Lamp,1.jpg,blue\n")
    (tmp_path / "bad.csv").write_text("sku,title,image\nA,,0.jpg\nB,Lamp,2.jpg\nC,Rug,1.jpg\n")
    return tmp_path


def arguments(folder: Path, feed: str, *options: str) -> list[str]:
    """Return the command line of an import into the folder's own catalog."""
    start = ["--data", str(folder / "data"), "catalog", "import", str(folder / feed)]
    return [*start, "--images", str(folder / "images"), *options]


def run(folder: Path, feed: str, *options: str) -> Result:
    result = CliRunner().invoke(cli, arguments(folder, feed, *options))
    assert result.exit_code == 0
    return result


def test_import_prints_what_changed(folder):
    result = run(folder, "good.csv")
    assert ["added", "2"] in [line.split() for line in result.stdout.splitlines()]
    assert "good.csv: warning: unknown columns" in result.stderr


def test_bad_rows_are_listed_by_file_and_line(folder, failed):
    shown = failed(*arguments(folder, "bad.csv"))
    assert f"{folder / 'bad.csv'}:2: title is missing" in shown
    assert "1 of 3 rows are bad" in shown.splitlines()[-1]


def test_accepted_rows_are_listed_and_counted(folder):
    result = run(folder, "bad.csv", "--accept", "rows")
    assert "bad.csv:2: title is missing" in result.stderr
    assert f"{folder / 'bad.csv'}:3: " in result.stderr
    assert ["bad", "rows", "skipped", "1"] in [line.split() for line in result.stdout.splitlines()]
