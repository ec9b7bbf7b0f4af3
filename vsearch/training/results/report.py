"""The figures of a judgement as plain data, fit for JSON, and as the lines of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from vsearch.models.trained_heads import VOTE, HeadPredictions, HeadSpec
from vsearch.training.results import detection_metrics, scoring
from vsearch.training.results.calibration import believed, expected_error
from vsearch.training.results.scoring import Share, Truth

Figures = Mapping[str, Any]
"""What `figures` gives."""


def figures(judgement: HeadPredictions, truth: Truth) -> dict[str, Any]:
    """Return all figures of a judgement.

    Returns:
        heads: head -> kind, judges (judge -> right, calibration_error; of a sigmoid head label_accuracy and sets; of
            a digits head positions), and versus_vote (network -> difference, low, high, beyond_noise); of a boxes head
            see `vsearch.training.results.detection_metrics`.
        label_accuracy: judge -> share of all sigmoid outputs on the right side of one half, where there are any.
        all_right: judge -> share of pictures on which every head is right, where there are several heads;
            all_right_sets counts a sigmoid head as right only when exactly the true values lie above one half.
        Shares are {n, mean, low, high} with 95 percent intervals.
    """
    heads = scoring.classifying(judgement)
    found: dict[str, Any] = {"heads": {spec.name: _head(judgement, spec, truth) for spec in heads}}
    boxed = [spec.name for spec in judgement.specs if spec.kind == "boxes"]
    found["heads"] |= {name: detection_metrics.figures(judgement, name, truth[name]) for name in boxed}
    sigmoids = [spec for spec in heads if spec.kind == "sigmoid"]
    if sigmoids:
        found["label_accuracy"] = {
            judge: _label_accuracy(judgement, judge, sigmoids, truth) for judge in judgement.predictors
        }
    if len(heads) > 1:
        for name, sets in (("all_right", False), ("all_right_sets", True)):
            if not sets or sigmoids:
                found[name] = {
                    judge: asdict(scoring.share(scoring.all_right(judgement, judge, truth, sets=sets)))
                    for judge in judgement.predictors
                }
    return found


def per_class(judgement: HeadPredictions, truth: Truth) -> dict[str, list[dict[str, Any]]]:
    """Return for each head the vote's figures of each of its values: value, support, precision, recall, f1."""
    return {
        spec.name: [
            asdict(row)
            for row in scoring.per_class(spec, *scoring.answers(judgement, VOTE, spec.name, truth[spec.name]))
        ]
        for spec in scoring.classifying(judgement)
    }


def lines(found: Figures) -> tuple[list[str], list[list[str]]]:
    """Return the columns and lines of the table of judges: percent right of each head with its interval.

    Of a boxes head: percent of the true boxes found among the surest proposals, a column for each number of these.
    """
    heads: Mapping[str, Any] = found["heads"]
    whole = {"label_accuracy": "labels", "all_right": "all right"}
    more = [key for key in whole if key in found]
    judges: Sequence[str] = list(next(iter(heads.values()))["judges"]) if heads else []
    columns = ["model", *(column for name, head in heads.items() for column in _columns(name, head))]
    columns += [whole[key] for key in more]
    table = []
    for judge in judges:
        shares = [share for head in heads.values() for share in _shares(head["judges"][judge])]
        shares += [found[key][judge] for key in more]
        table.append([judge, *(str(Share(**share)) for share in shares)])
    return columns, table


def verdict(found: Figures) -> list[str]:
    """Say for each head whether a single network is better than the vote; nothing where there is no vote."""
    said = []
    for name, head in found["heads"].items():
        if not head["versus_vote"]:
            continue
        best, versus = max(head["versus_vote"].items(), key=lambda item: item[1]["difference"])
        points = f"{100 * versus['difference']:+.1f} points ({100 * versus['low']:+.1f} to {100 * versus['high']:+.1f})"
        how = "is better than the vote" if versus["beyond_noise"] else "is no better than the vote beyond noise"
        said.append(f"{name}: the best single network, {best}, {how}: {points}.")
    return said


def _columns(name: str, head: Mapping[str, Any]) -> list[str]:
    return [f"{name} in {count}" for count in detection_metrics.AMONG] if head["kind"] == "boxes" else [name]


def _shares(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*said["found"].values()] if "found" in said else [said["right"]]


def _head(judgement: HeadPredictions, spec: HeadSpec, truth: Truth) -> dict[str, Any]:
    targets = truth[spec.name]
    right = {judge: scoring.right(judgement, judge, spec.name, targets) for judge in judgement.predictors}
    return {
        "kind": spec.kind,
        "judges": {judge: _judge(judgement, judge, spec, truth) for judge in judgement.predictors},
        "versus_vote": {
            judge: _versus(scoring.compare(right[judge], right[VOTE]))
            for judge in judgement.networks
            if VOTE in judgement.predictors
        },
    }


def _versus(found: scoring.Comparison) -> dict[str, Any]:
    return asdict(found) | {"beyond_noise": found.beyond_noise}


def _judge(judgement: HeadPredictions, judge: str, spec: HeadSpec, truth: Truth) -> dict[str, Any]:
    targets = truth[spec.name]
    said: dict[str, Any] = {"right": asdict(scoring.share(scoring.right(judgement, judge, spec.name, targets)))}
    said["calibration_error"] = expected_error(*believed(spec, judgement.probabilities_of(judge, spec.name), targets))
    if spec.kind == "sigmoid":
        said["label_accuracy"] = _label_accuracy(judgement, judge, [spec], truth)
        sides = scoring.outputs_right(judgement, judge, spec.name, targets)
        said["sets"] = asdict(scoring.share(np.all(sides, axis=1)))
    if spec.kind == "digits":
        said["positions"] = scoring.positions(judgement, judge, spec.name, targets)
    return said


def _label_accuracy(judgement: HeadPredictions, judge: str, heads: Sequence[HeadSpec], truth: Truth) -> dict[str, Any]:
    outputs = [scoring.outputs_right(judgement, judge, spec.name, truth[spec.name]).ravel() for spec in heads]
    return asdict(scoring.share(np.concatenate(outputs)))
