"""The command table, and one-line errors with exit code 1 that operators can fix."""

import errno
import io
import subprocess
import sys
from unittest.mock import Mock

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from tests import pictures as drawn
from vsearch import cli
from vsearch.cli import console, inputs
from vsearch.cli.console import table
from vsearch.cli.inference import prediction_lines
from vsearch.core.errors import DatasetError
from vsearch.imaging.codec import Limits
from vsearch.models.trained_heads import HeadPredictions, HeadSpec


def test_help_lists_every_command_without_importing_one():
    code = (
        "import sys; from click.testing import CliRunner; from vsearch.cli import cli;"
        "result = CliRunner().invoke(cli, ['--help']); print(result.output);"
        "assert not {'tensorflow', 'faiss', 'flask', 'sqlalchemy'} & set(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_has_help(name):
    result = CliRunner().invoke(cli.cli, [name, "--help"])

    assert result.exit_code == 0
    assert "Example:" in result.output or "Commands:" in result.output


def test_the_prediction_table_has_a_line_for_each_model_and_the_vote():
    shares = {"a": [0.7, 0.2, 0.1], "b": [0.4, 0.5, 0.1], "c": [0.6, 0.1, 0.3]}
    spec = HeadSpec("class", "softmax", ("bed", "sofa", "table"))
    rows = {name: {"class": np.array([row], np.float32)} for name, row in shares.items()}

    table = prediction_lines(HeadPredictions((spec,), rows))

    assert table[0] == ("class", "a", "bed", "70.0 %", "sofa 20.0 %, table 10.0 %")
    assert [str(cell) for cell in table[3]] == ["", "vote", "bed", "56.7 %", "sofa 26.7 %, table 16.7 %"]


@pytest.mark.parametrize(
    "arguments", [("index", "run"), ("index", "status"), ("index", "rollback"), ("demo", "--no-serve")], ids=" ".join
)
def test_a_data_folder_that_is_a_file_is_reported(arguments, tmp_path, failed):
    (file := tmp_path / "data").write_text("")
    assert str(file) in failed("--data", file, *arguments)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), ["disk is full", "/data/x"]),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), ["/data/x", "Permission denied"]),
        (FileExistsError(errno.EEXIST, "File exists", "/data/x"), ["/data/x", "not a folder"]),
        (MemoryError("Unable to allocate 9 TiB"), ["memory", "9 TiB"]),
    ],
)
def test_system_errors_are_one_line(error, words, failed, monkeypatch):
    monkeypatch.setattr("vsearch.core.settings.rows", Mock(side_effect=error))
    message = failed("settings")
    assert all(word in message for word in words), message
    assert message.startswith("vsearch: ")
    assert message.count("\n") == 1


def test_the_output_folder_must_exist(tmp_path, failed):
    (photo := tmp_path / "a.jpg").write_bytes(drawn.jpeg(40, 30))
    target = tmp_path / "no" / "out.npz"
    assert f"{target.parent} does not exist" in failed("encode", photo, "--out", target)


@pytest.mark.parametrize(("content", "reason"), [({}, "no photos"), ({"a.jpg": b"hello"}, "can be read")])
def test_at_least_one_image_must_be_readable(content, reason, tmp_path):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DatasetError, match=reason):
        list(inputs.decode_photos(inputs.read_photos([tmp_path]), Limits()))


@pytest.mark.parametrize("name", ["cut.tar", "cut.tar.gz", "no archive.tar", "not there.tar"])
def test_damaged_archives_are_reported(name, tmp_path):
    if not name.startswith("not there"):
        (tmp_path / name).write_bytes(b"\x1f\x8b\x08\x00 no archive at all" * 60)
    with pytest.raises(DatasetError) as caught:
        list(inputs.read_photos([tmp_path / name]))
    assert "\n" not in str(caught.value)
    assert ("does not exist" in str(caught.value)) == name.startswith("not there")


def test_markup_in_product_titles_is_escaped(capsys):
    table("photo [/x]", ("title",), [("Sofa [/b] [bold]",), (":smile:",)])
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("photo [/x]", "Sofa [/b] [bold]", ":smile:"))


@pytest.mark.parametrize(
    ("total", "step", "lines"),
    [(40, 1, 10), (3, 1, 3), (100_000, 32, 10), (0, 1, 41), (0, 50, 41)],
    ids=["many", "few", "very many", "unknown", "unknown, in large steps"],
)
def test_without_a_terminal_progress_is_printed_as_a_few_lines(monkeypatch, total, step, lines):
    shown = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=shown, width=20))
    with console.progress("decode all the pictures") as advance:
        assert shown.getvalue() == "decode all the pictures ...\n"
        for done in range(step, (total or 40 * 1000) + 1, step):
            advance(done, total)
    said = shown.getvalue().splitlines()
    assert len(said) == lines
    assert said[1].startswith("decode all the pictures: ")


def test_progress_of_unknown_size_shows_a_question_mark(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=shown, force_terminal=True, width=100))
    with console.progress("decode pictures") as advance:
        advance(21, 0)
    assert "21/?" in shown.getvalue()


def test_evaluating_without_an_index_creates_nothing(tmp_path, failed):
    data = tmp_path / "data"
    assert "No index has been published" in failed("--data", data, "evaluate", "shopper")
    assert not data.exists()
