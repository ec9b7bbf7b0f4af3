"""The command table."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from vsearch import cli
from vsearch.models.heads import ClassPredictions


def test_help_lists_every_command_without_importing_one() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from vsearch.cli import cli;"
        "result = CliRunner().invoke(cli, ['--help']); print(result.output);"
        "assert not {'tensorflow', 'faiss', 'flask', 'sqlalchemy'} & set(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in cli.COMMANDS)


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(cli.cli, [name, "--help"])

    assert result.exit_code == 0
    assert "Example:" in result.output or "Commands:" in result.output


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(cli.cli, ["serch"]).exit_code == 2


def test_a_failure_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """What a person can correct is a sentence, not a traceback."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", "nowhere", "--photos", "."])

    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("vsearch: ")
    assert error.count("\n") == 1


def test_the_prediction_table_has_a_line_for_each_model_and_the_vote() -> None:
    """Three likeliest classes with their confidence, then the mean, then how many models agree."""
    import numpy as np

    from vsearch.cli.predict import class_head_lines

    votes = {
        "a": np.array([[0.7, 0.2, 0.1]], np.float32),
        "b": np.array([[0.4, 0.5, 0.1]], np.float32),
        "c": np.array([[0.6, 0.1, 0.3]], np.float32),
    }
    mean = np.stack(list(votes.values())).mean(axis=0)

    table = class_head_lines(ClassPredictions(("bed", "sofa", "table"), votes, mean, np.array([0])))

    assert table[0] == ("a", "bed 70.0 %", "sofa 20.0 %", "table 10.0 %")
    assert table[3][:2] == ("mean", "bed 56.7 %")
    assert [str(cell) for cell in table[4]] == ["vote", "bed", "2 of 3 models", ""]
