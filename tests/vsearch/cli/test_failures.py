"""Errors of operators and machines are reported in one line, with exit code 1."""

import errno
import io
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from tests import pictures as drawn
from vsearch import cli
from vsearch.cli import console, photos
from vsearch.cli.console import table
from vsearch.core.errors import DatasetError
from vsearch.imaging.codec import Limits


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail, and return its error message."""
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
def test_a_data_folder_that_is_a_file_is_reported(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The place is named."""
    file = tmp_path / "data"
    file.write_text("")
    assert str(file) in failed(capsys, "--data", str(file), *arguments)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), ["disk is full", "/data/x"]),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), ["/data/x", "Permission denied"]),
        (FileExistsError(errno.EEXIST, "File exists", "/data/x"), ["/data/x", "not a folder"]),
        (MemoryError("Unable to allocate 9 TiB"), ["memory", "9 TiB"]),
    ],
)
def test_errors_of_the_system_are_one_line(
    error: Exception, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trouble(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr("vsearch.cli.settings.rows", trouble)
    message = failed(capsys, "settings")
    assert all(word in message for word in words), message


def test_the_output_folder_must_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(drawn.jpeg(40, 30))
    target = tmp_path / "no" / "out.npz"
    assert f"{target.parent} does not exist" in failed(capsys, "encode", str(photo), "--out", str(target))


@pytest.mark.parametrize(("content", "reason"), [({}, "no photos"), ({"a.jpg": b"hello"}, "can be read")])
def test_at_least_one_image_must_be_readable(content: dict[str, bytes], reason: str, tmp_path: Path) -> None:
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DatasetError, match=reason):
        list(photos.decode_all(photos.read([tmp_path]), Limits()))


@pytest.mark.parametrize("name", ["cut.tar", "cut.tar.gz", "no archive.tar", "not there.tar"])
def test_damaged_archives_are_reported(name: str, tmp_path: Path) -> None:
    if not name.startswith("not there"):
        (tmp_path / name).write_bytes(b"\x1f\x8b\x08\x00 no archive at all" * 60)
    with pytest.raises(DatasetError) as caught:
        list(photos.read([tmp_path / name]))
    assert "\n" not in str(caught.value)
    assert ("does not exist" in str(caught.value)) == name.startswith("not there")


def test_markup_in_product_titles_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
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
def test_without_a_terminal_progress_is_a_few_lines(
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


def test_progress_of_unknown_size_shows_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=shown, force_terminal=True, width=100))
    with console.progress("decode pictures") as advance:
        advance(21, 0)
    assert "21/?" in shown.getvalue()


@pytest.mark.parametrize("option", [("--sample", "0"), ("--seed", "-1"), ("--skus", ".")])
def test_invalid_options_are_usage_errors(option: tuple[str, str]) -> None:
    assert CliRunner().invoke(cli.cli, ["evaluate", "shopper", *option]).exit_code == 2


def test_evaluating_without_an_index_creates_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    assert "No index has been published" in failed(capsys, "--data", str(data), "evaluate", "shopper")
    assert not data.exists()
