"""What an operator can do wrong, and what a machine can: one sentence, exit code 1, nothing half written."""

import errno
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from tests import pictures as drawn
from vsearch import cli
from vsearch.cli import console, photos
from vsearch.cli.console import table
from vsearch.core.errors import DatasetError
from vsearch.core.files import atomic_write, replace_text
from vsearch.imaging.codec import Limits

FILE = "data is this file"


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, which must fail as it should, and return its sentence."""
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments])
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("vsearch: ")
    assert error.count("\n") == 1, error
    return error


@pytest.mark.parametrize(
    "arguments", [("index", "run"), ("index", "status"), ("index", "rollback"), ("demo", "--no-serve")], ids=" ".join
)
def test_a_file_where_the_data_folder_should_be(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The place is named."""
    file = tmp_path / FILE
    file.write_text("")
    assert str(file) in failed(capsys, "--data", str(file), *arguments)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "must have room, but /data/x could not"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "usable, but /data/x: Permission denied; fix"),
        (MemoryError("Unable to allocate 9 TiB"), r"more memory than there is \(Unable to allocate 9 TiB\)"),
    ],
)
def test_a_machine_in_trouble_is_one_sentence(
    error: Exception, sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the command was doing: the disk and the memory run out anywhere."""

    def trouble(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr("vsearch.cli.settings.rows", trouble)
    with pytest.raises(SystemExit):
        cli.main(["settings"])
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert re.search(sentence, shown)


def test_a_text_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves the old one, nothing beside it, and says which file it was."""
    target = tmp_path / "said.json"
    target.write_text("old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"full: .*said\.json"):
        replace_text(target, "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("said.json", "old")]


def test_arrays_go_to_a_folder_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is encoded."""
    photo = tmp_path / "a.jpg"
    photo.write_bytes(drawn.jpeg(40, 30))
    target = tmp_path / "no" / "out.npz"
    assert f"{target.parent} does not exist" in failed(capsys, "encode", str(photo), "--out", str(target))


def test_a_new_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """What stood there before stays when the writing fails."""
    target = tmp_path / "out.npz"
    target.write_bytes(b"old")

    def write_half() -> None:
        with atomic_write(target) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match=r"full: .*out\.npz"):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]
    assert target.read_bytes() == b"old"
    with atomic_write(target) as file:
        np.savez(file, ids=np.arange(3))
    assert np.load(target)["ids"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(("content", "reason"), [({}, "no photos"), ({"a.jpg": b"hello"}, "can be read")])
def test_one_picture_at_least_must_be_readable(content: dict[str, bytes], reason: str, tmp_path: Path) -> None:
    """Silence and success would be mistaken for an answer."""
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DatasetError, match=reason):
        list(photos.decode_all(photos.read([tmp_path]), Limits()))


@pytest.mark.parametrize("name", ["cut.tar", "cut.tar.gz", "no archive.tar", "not there.tar"])
def test_archives_that_are_not_whole(name: str, tmp_path: Path) -> None:
    """One line each, whatever the readers of archives say."""
    if not name.startswith("not there"):
        (tmp_path / name).write_bytes(b"\x1f\x8b\x08\x00 no archive at all" * 60)
    with pytest.raises(DatasetError) as caught:
        list(photos.read([tmp_path / name]))
    assert "\n" not in str(caught.value)
    assert ("does not exist" in str(caught.value)) == name.startswith("not there")


def test_brackets_in_a_title_are_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    """A product called "Sofa [/b]" is shown as that, and does not end the command."""
    table("photo [/x]", ("title",), [("Sofa [/b] [bold]",), (":smile:",)])
    shown = capsys.readouterr().out
    assert "photo [/x]" in shown
    assert "Sofa [/b] [bold]" in shown
    assert ":smile:" in shown


@pytest.mark.parametrize(
    ("total", "step", "lines"),
    [(40, 1, 10), (3, 1, 3), (100_000, 32, 10), (0, 1, 41), (0, 50, 41)],
    ids=["many", "few", "very many", "unknown", "unknown, in large steps"],
)
def test_work_says_how_far_it_is_where_no_terminal_is(
    monkeypatch: pytest.MonkeyPatch, total: int, step: int, lines: int
) -> None:
    """A line when it begins and some on the way, not one for each item."""
    shown = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=shown, width=20))
    with console.progress("decode all the pictures") as advance:
        assert shown.getvalue() == "decode all the pictures ...\n"
        for done in range(step, (total or 40 * 1000) + 1, step):
            advance(done, total)
    said = shown.getvalue().splitlines()
    assert len(said) == lines
    assert said[1].startswith("decode all the pictures: ")


def test_work_of_unknown_size_is_no_share_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar of 21 of 0 would look like a mistake."""
    shown = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=shown, force_terminal=True, width=100))
    with console.progress("decode pictures") as advance:
        advance(21, 0)
    assert "21/?" in shown.getvalue()


@pytest.mark.parametrize("option", [("--sample", "0"), ("--seed", "-1"), ("--skus", ".")])
def test_senseless_options_are_wrong_usage(option: tuple[str, str]) -> None:
    """Exit code 2, before anything is opened."""
    assert CliRunner().invoke(cli.cli, ["evaluate", "shopper", *option]).exit_code == 2


def test_evaluating_nothing_makes_no_catalogue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an index the sentence says so, and the data folder stays as it was: not there."""
    data = tmp_path / "data"
    assert "No index has been published" in failed(capsys, "--data", str(data), "evaluate", "shopper")
    assert not data.exists()
