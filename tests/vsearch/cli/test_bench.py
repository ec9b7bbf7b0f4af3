"""`vsearch bench training`, on a network small enough for a test."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.vsearch.training import sample_data
from vsearch.cli import cli

pytestmark = pytest.mark.keras


def bench(*options: str) -> list[str]:
    """Run it for two epochs on 32 pictures and return its lines."""
    small = ["--backbone", "pocket_strip", "--count", "32", "--epochs", "2"]
    result = CliRunner().invoke(cli, ["bench", "training", *small, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_both_comparisons_are_printed_in_one_run(tmp_path: Path) -> None:
    """The cached trunk with and without what filling it costs, then loading, each against its baseline."""
    sample_data.write(tmp_path)

    lines = bench("--photos", str(tmp_path / "images.tar"))

    assert lines[0] == "2 epochs of a head on pocket_strip, 32 pictures"
    assert "Load 32 pictures" in lines
    ratios = {line.rsplit(maxsplit=2)[0].strip(): line.split()[-1] for line in lines if line.strip()[-1:].isdigit()}
    assert ratios["trunk in the loop"] == ratios["one by one"] == "1.0"
    assert {"kept outputs", "filling and kept outputs", "ahead, by tf.data"} < ratios.keys()
    assert float(ratios["kept outputs"]) > float(ratios["filling and kept outputs"])


def test_without_photos_some_are_drawn() -> None:
    """So that the command works from a fresh clone."""
    assert bench()[0] == "2 epochs of a head on pocket_strip, 32 pictures"
