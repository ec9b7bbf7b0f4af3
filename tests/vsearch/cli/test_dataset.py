"""`vsearch dataset`: pictures packed, and what was packed looked at."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.vsearch.training import sample_data
from vsearch import cli

pytestmark = pytest.mark.keras


def run(*arguments: object) -> str:
    """Run the command, which must succeed, and return what it printed."""
    result = CliRunner().invoke(cli.cli, ["dataset", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def failed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run the command, which must fail as it should, and return its sentence."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["dataset", *map(str, arguments)])
    assert caught.value.code == 1
    *stages, error = capsys.readouterr().err.splitlines()
    assert set(stages) <= {"pack ..."}, stages
    return error


def test_a_plans_sources_are_packed_and_looked_at(tmp_path: Path) -> None:
    """With the labels and splits that the plan names."""
    sample_data.write(tmp_path)
    (tmp_path / "tiny.toml").write_text(sample_data.PLAN)

    packed = run(
        "pack", tmp_path / "tiny.toml", "--photos", tmp_path, "--out", tmp_path / "new" / "packed", "--shards", 3
    )

    assert "train 48 3" in packed
    assert "val 8 3" in packed
    assert "label kind" in packed
    assert "disc 24 4" in packed
    assert run("inspect", tmp_path / "new" / "packed") == packed
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["packed"]


def test_a_manifest_is_packed(tmp_path: Path) -> None:
    """Labels keep their column's name or get one."""
    sample_data.write(tmp_path)
    manifest = ("pack", tmp_path / "labels.csv", "--images", tmp_path / "images.tar", "--out", tmp_path / "packed")

    packed = run(*manifest, "--label", "kind", "--label", "tint=colour")

    assert "label tint" in packed
    assert "other 1 0" in packed  # the row that the plan's `where` leaves out


def test_a_folder_of_classes_is_packed(tmp_path: Path) -> None:
    """By a split that the seed fixes."""
    for number in range(8):
        file = tmp_path / "set" / f"class{number % 2}" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"packed as it is")

    packed = run("pack", tmp_path / "set", "--out", tmp_path / "packed", "--val-share", 1)

    assert "val 8 4" in packed
    assert "class1 4" in packed


def test_what_cannot_be_packed_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is left of the try."""
    out = ("--out", tmp_path / "packed")
    assert "needs --images and at least one --label" in failed(capsys, "pack", "labels.csv", *out)
    assert "does not exist; check its name" in failed(capsys, "pack", tmp_path / "no.tar", *out)
    assert "A plan is a .toml file or one of" in failed(capsys, "pack", "no_such_plan", *out)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_shard_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one sentence with the remedy."""
    sample_data.write(tmp_path)
    (tmp_path / "tiny.toml").write_text(sample_data.PLAN)
    run("pack", tmp_path / "tiny.toml", "--photos", tmp_path, "--out", tmp_path / "packed")
    shard = tmp_path / "packed" / "val-00001.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")

    assert "val-00001.tfrecord is damaged" in failed(capsys, "inspect", tmp_path / "packed")
