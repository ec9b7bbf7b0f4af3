import json

import numpy as np
import pytest

from tests.vsearch.training.results.test_metrics import GRIDS, TRUE_BOXES
from vsearch.models.trained_heads import HeadPredictions, HeadSpec
from vsearch.training.results import training_report

COLOR = HeadSpec("color", "sigmoid", ("blue", "red"))
NUMBER = HeadSpec("number", "digits", length=2)


def predict(networks: int, count: int = 6) -> tuple[HeadPredictions, dict[str, np.ndarray]]:
    """Return correct predictions for `count` images; the last has no number."""
    colors = np.arange(count) % 2
    numbers = np.stack([colors, np.full(count, 7)], axis=1)
    predicted = {"color": np.eye(2, dtype=np.float32)[colors], "number": np.eye(10, dtype=np.float32)[numbers]}
    targets = {"color": np.eye(2, dtype=np.int32)[colors], "number": numbers.astype(np.int32)}
    targets["number"][-1:] = -1
    return HeadPredictions((COLOR, NUMBER), {f"net{number}": predicted for number in range(networks)}), targets


def test_figures_are_json_with_what_belongs_to_each_kind_of_head():
    found = training_report.figures(*predict(2))

    assert json.loads(json.dumps(found)) == found
    assert found["heads"]["color"]["predictors"]["vote"] == {
        "accuracy": {"n": 6, "mean": 1.0, "low": 1.0, "high": 1.0},
        "calibration_error": 0.0,
    }
    assert found["all_correct"]["vote"]["n"] == 5
    assert found["label_accuracy"]["vote"] == {"n": 12, "mean": 1.0, "low": 1.0, "high": 1.0}


def test_a_single_network_is_not_compared():
    found = training_report.figures(*predict(1))

    assert found["heads"]["color"]["versus_vote"] == {}
    assert training_report.compare_with_vote(found) == []


def test_the_table_has_a_row_for_each_predictor():
    found = training_report.figures(*predict(3))
    columns, rows = training_report.table(found)

    assert columns == ["model", "color", "number", "labels", "all heads"]
    assert [row[0] for row in rows] == ["net0", "net1", "net2", "vote"]
    assert rows[-1][1] == "100.0 (100-100)"
    assert [sentence.partition(":")[0] for sentence in training_report.compare_with_vote(found)] == ["color", "number"]


@pytest.mark.parametrize(("better", "significant"), [(range(90, 1000), True), (range(5, 905), False)])
def test_a_network_is_better_than_the_vote_if_the_interval_says_so(better, significant):
    """One network is correct on `better` of 1000 images; the other two, and hence the vote, on 900."""
    kind = HeadSpec("kind", "softmax", ("a", "b"))
    good, other = np.isin(np.arange(1000), list(better)), np.arange(1000) >= 100
    flags = {"good": good, "x": other, "y": other}
    rows = {name: {"kind": np.eye(2, dtype=np.float32)[(~own).astype(int)]} for name, own in flags.items()}

    found = training_report.figures(HeadPredictions((kind,), rows), {"kind": np.zeros(1000, np.int32)})

    (sentence,) = training_report.compare_with_vote(found)
    assert ("good, is better" in sentence) == significant
    assert (found["heads"]["kind"]["versus_vote"]["good"]["low"] > 0) == significant


def test_detections_have_a_column_for_each_number():
    predicted = HeadPredictions((HeadSpec("products", "boxes"),), {"net": {"products": GRIDS}})
    found = training_report.figures(predicted, {"products": TRUE_BOXES})

    recall = found["heads"]["products"]["predictors"]["net"]["recall"]
    assert [recall[count]["mean"] for count in ("1", "3", "5")] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    columns, rows = training_report.table(found)
    assert columns == ["model", "products in 1", "products in 3", "products in 5"]
    assert [len(row) for row in rows] == [4]


def test_an_empty_split_has_figures_without_values():
    found = training_report.figures(*predict(2, count=0))

    assert training_report.table(found)[1][0] == ["net0", "-", "-", "-", "-"]
    assert training_report.per_class(*predict(2, count=0)) == {}
