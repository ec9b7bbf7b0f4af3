"""Figures as plain data, tables and sentences."""

import json

import numpy as np

from vsearch.models.trained_heads import HeadPredictions, HeadSpec
from vsearch.training.results import report

COLOUR = HeadSpec("colour", "sigmoid", ("blue", "red"))
NUMBER = HeadSpec("number", "digits", length=2)


def both(networks: int, count: int = 6) -> tuple[HeadPredictions, dict[str, np.ndarray]]:
    """Return what networks say of `count` pictures: all right, the last picture without a number."""
    colours = np.arange(count) % 2
    numbers = np.stack([colours, np.full(count, 7)], axis=1)
    said = {"colour": np.eye(2, dtype=np.float32)[colours], "number": np.eye(10, dtype=np.float32)[numbers]}
    truth = {"colour": np.eye(2, dtype=np.int32)[colours], "number": numbers.astype(np.int32)}
    truth["number"][-1] = -1
    return HeadPredictions((COLOUR, NUMBER), {f"net{number}": said for number in range(networks)}), truth


def test_all_figures_are_fit_for_json() -> None:
    """Nested numbers and names alone, of every head, with what belongs to its kind."""
    found = report.figures(*both(2))

    assert json.loads(json.dumps(found)) == found
    assert found["heads"]["colour"]["judges"]["vote"]["sets"]["mean"] == 1
    assert found["heads"]["number"]["judges"]["net0"]["positions"] == [1.0, 1.0]
    assert found["all_right"]["vote"]["n"] == 5
    assert found["label_accuracy"]["vote"] == {"n": 12, "mean": 1.0, "low": 1.0, "high": 1.0}


def test_one_network_is_compared_with_nothing() -> None:
    """No vote, no verdict."""
    found = report.figures(*both(1))

    assert found["heads"]["colour"]["versus_vote"] == {}
    assert report.verdict(found) == []


def test_the_table_has_a_line_for_each_judge_and_the_verdict_a_sentence_for_each_head() -> None:
    """Networks first, then the vote."""
    found = report.figures(*both(3))
    columns, lines = report.lines(found)

    assert columns == ["model", "colour", "number", "labels", "all right"]
    assert [line[0] for line in lines] == ["net0", "net1", "net2", "vote"]
    assert lines[-1][1] == "100.0 (100-100)"
    assert [sentence.partition(":")[0] for sentence in report.verdict(found)] == ["colour", "number"]
    assert "no better than the vote beyond noise" in report.verdict(found)[0]


def test_nothing_to_judge_gives_no_figures_but_no_failure() -> None:
    """An empty validation split."""
    judgement, truth = both(2)
    empty = HeadPredictions(
        judgement.specs,
        {name: {head: rows[:0] for head, rows in own.items()} for name, own in judgement.probabilities.items()},
    )
    found = report.figures(empty, {head: rows[:0] for head, rows in truth.items()})

    assert report.lines(found)[1][0] == ["net0", "-", "-", "-", "-"]
