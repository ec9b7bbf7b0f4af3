"""Metrics of predictions as plain data for JSON, and as table rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from vsearch.evaluation.bootstrap import mean_interval
from vsearch.models.trained_heads import VOTE, HeadPredictions, HeadSpec
from vsearch.training.results import head_metrics
from vsearch.training.results.head_metrics import RECALL_AT, Proportion, Targets

Figures = Mapping[str, Any]
"""The result of `figures`."""


def figures(predictions: HeadPredictions, targets: Targets) -> dict[str, Any]:
    """Return all metrics.

    Returns:
        heads: head -> kind, predictors (predictor -> accuracy and calibration_error; for a boxes head, recall: count of
            detections -> recall), and versus_vote (network -> difference, low, high: accuracy minus that of the vote).
        label_accuracy: predictor -> proportion of sigmoid outputs on the correct side of 0.5, if there are any.
        all_correct: predictor -> proportion of images with all heads correct, if there are several heads.
        Proportions are {n, mean, low, high} with 95 % confidence intervals.
    """
    heads = head_metrics.classification_heads(predictions)
    found: dict[str, Any] = {
        "heads": {
            spec.name: _head_figures(predictions, spec, targets)
            for spec in predictions.specs
            if spec.is_classification or spec.kind == "boxes"
        }
    }
    sigmoids = [spec for spec in heads if spec.kind == "sigmoid"]
    for predictor in predictions.predictors:
        if sigmoids:
            accuracy = _label_accuracy(predictions, predictor, sigmoids, targets)
            found.setdefault("label_accuracy", {})[predictor] = accuracy
        if len(heads) > 1:
            every = head_metrics.all_correct(predictions, predictor, targets)
            found.setdefault("all_correct", {})[predictor] = asdict(Proportion.of(every))
    return found


def per_class(predictions: HeadPredictions, targets: Targets) -> dict[str, list[dict[str, Any]]]:
    """Return the vote's metrics for each value of each head: value, support, precision, recall, f1."""
    return {
        spec.name: [
            asdict(row)
            for row in head_metrics.per_class(
                spec, *head_metrics.indicators(predictions, VOTE, spec.name, targets[spec.name])
            )
        ]
        for spec in head_metrics.classification_heads(predictions)
        if head_metrics.labeled(spec, targets[spec.name]).any()
    }


def table(found: Figures) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows: the accuracy of each head in percent with its interval, one row per predictor.

    A boxes head has one column per number of detections, with the recall.
    """
    heads: Mapping[str, Any] = found["heads"]
    columns = ["model"]
    for name, head in heads.items():
        columns += [f"{name} in {count}" for count in RECALL_AT] if head["kind"] == "boxes" else [name]
    joint = {key: title for key, title in (("label_accuracy", "labels"), ("all_correct", "all heads")) if key in found}
    predictors: Sequence[str] = list(next(iter(heads.values()))["predictors"]) if heads else []
    rows = []
    for predictor in predictors:
        proportions: list[Mapping[str, Any]] = []
        for head in heads.values():
            own = head["predictors"][predictor]
            proportions += own["recall"].values() if "recall" in own else [own["accuracy"]]
        proportions += [found[key][predictor] for key in joint]
        rows.append([predictor, *(str(Proportion(**proportion)) for proportion in proportions)])
    return [*columns, *joint.values()], rows


def compare_with_vote(found: Figures) -> list[str]:
    """Return a sentence for each head on whether a single network is better than the vote; empty without a vote."""
    sentences = []
    for name, head in found["heads"].items():
        if not head["versus_vote"]:
            continue
        best, versus = max(head["versus_vote"].items(), key=lambda item: item[1]["difference"])
        points = f"{100 * versus['difference']:+.1f} points, {100 * versus['low']:+.1f} to {100 * versus['high']:+.1f}"
        outcome = "is better than the vote" if versus["low"] > 0 else "is not significantly better than the vote"
        sentences.append(f"{name}: the best network, {best}, {outcome} ({points}).")
    return sentences


def _head_figures(predictions: HeadPredictions, spec: HeadSpec, targets: Targets) -> dict[str, Any]:
    own = targets[spec.name]
    by_predictor: dict[str, dict[str, Any]] = {}
    if spec.kind == "boxes":
        for predictor in predictions.predictors:
            images = head_metrics.match_detections(predictions.probabilities_of(predictor, spec.name), own)
            by_predictor[predictor] = {
                "recall": {str(count): asdict(head_metrics.recall_at(images, count)) for count in RECALL_AT}
            }
        return {"kind": spec.kind, "predictors": by_predictor, "versus_vote": {}}
    correct = {one: head_metrics.correct(predictions, one, spec.name, own) for one in predictions.predictors}
    versus = {}
    if VOTE in correct and len(correct[VOTE]):
        for network in predictions.networks:
            versus[network] = asdict(mean_interval(correct[network].astype(int) - correct[VOTE]))
            versus[network]["difference"] = versus[network].pop("mean")
    for predictor, flags in correct.items():
        confidences = head_metrics.confidences(spec, predictions.probabilities_of(predictor, spec.name), own)
        error = head_metrics.calibration_error(*confidences)
        by_predictor[predictor] = {"accuracy": asdict(Proportion.of(flags)), "calibration_error": error}
    return {"kind": spec.kind, "predictors": by_predictor, "versus_vote": versus}


def _label_accuracy(
    predictions: HeadPredictions, predictor: str, heads: Sequence[HeadSpec], targets: Targets
) -> dict[str, Any]:
    outputs = [
        head_metrics.outputs_correct(predictions, predictor, spec.name, targets[spec.name]).ravel() for spec in heads
    ]
    return asdict(Proportion.of(np.concatenate(outputs)))
