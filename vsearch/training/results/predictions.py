"""A checkpoint judged on the validation pictures of a plan, its own or another."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch, DatasetError
from vsearch.core.files import replace_text
from vsearch.core.progress import Progress, no_stages
from vsearch.models import checkpoint as checkpoints
from vsearch.models.classifier import Classifier, open_classifier
from vsearch.models.trained_heads import MISSING, HeadPredictions, HeadSpec, predictions_from_logits
from vsearch.training.data import dataset
from vsearch.training.data.dataset import Split
from vsearch.training.plan import Plan
from vsearch.training.results import artifacts, report


@dataclass(frozen=True)
class Judged:
    """What came out.

    Attributes:
        name: of the plan.
        figures: checkpoint_id, plan, pictures, validation and per_class; see `vsearch.training.results.report`.
        split: the pictures, their targets by the checkpoint's own classes.
        judgement: calibrated.
        plain: without temperatures.
    """

    name: str
    figures: dict[str, Any]
    split: Split
    judgement: HeadPredictions
    plain: HeadPredictions


def judge_checkpoint(folder: Path, plan: Plan, photos: Path, *, work: Path, progress: Progress = no_stages) -> Judged:
    """Judge the validation pictures of a plan by a checkpoint's trained heads.

    Args:
        folder: of the checkpoint.
        plan: says which pictures and labels; how they are framed the checkpoint says.
        photos: folder that the plan's sources are relative to.
        work: decoded pictures are kept in its folder `cache`.
        progress: is told of decoding and judging.

    Raises:
        CheckpointError: it has no trained heads, none that the plan names, or does not know a value of the pictures.
        DatasetError: the pictures cannot be used, or none is for validation.
    """
    found = checkpoints.load(folder)
    classifier = open_classifier(found)
    trained = classifier.trained_heads
    heads = tuple(spec for spec in trained.specs if spec.kind != "metric" and spec.name in {h.name for h in plan.head})
    if not heads:
        raise CheckpointMismatch(
            f"A checkpoint is judged by heads that the plan names, but {folder} has "
            f"{', '.join(spec.name for spec in trained.specs)} and {plan.name} names "
            f"{', '.join(h.name for h in plan.head)}; "
            "take the plan it was trained by."
        )
    own = plan.model_copy(update={"framing": trained.framing, "cache_size": trained.frame})
    data = dataset.prepare(own, photos, work=work, progress=progress)
    split = replace(_validation(plan, data), targets=_targets(folder, heads, data))
    logits = _logits(classifier, split, progress)
    calibrated = predictions_from_logits(heads, {name: _of(trained.calibrated(name), heads) for name in logits}, logits)
    plain = predictions_from_logits(heads, dict.fromkeys(logits, heads), logits)
    figures = {
        "checkpoint_id": found.checkpoint_id,
        "plan": plan.name,
        "pictures": len(split),
        "validation": report.figures(calibrated, split.targets),
        "per_class": report.per_class(calibrated, split.targets),
    }
    return Judged(plan.name, figures, split, calibrated, plain)


def write(found: Judged, folder: Path) -> None:
    """Write report.json and the pictures of a judgement into a folder, over those of an earlier one.

    Raises:
        OSError: the disk is full; no file is half-written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    artifacts.write(folder, found.name, found.split, found.judgement, found.plain)
    replace_text(folder / "report.json", json.dumps(found.figures, indent=1, ensure_ascii=False) + "\n")


def _validation(plan: Plan, data: dataset.Dataset) -> Split:
    if not len(data.val):
        raise DatasetError(
            f"A checkpoint is judged on validation pictures, but the sources of {plan.name} hold none; give the plan "
            "some by the split val or a val_share."
        )
    return data.val


def _logits(classifier: Classifier, split: Split, progress: Progress) -> dict[str, Mapping[str, NDArray[np.float32]]]:
    found = {}
    with progress("judge networks") as advance:
        for done, name in enumerate(classifier.networks, start=1):
            found[name] = classifier.logits(name, split.pictures)
            advance(done, len(classifier.networks))
    return found


def _of(specs: tuple[HeadSpec, ...], heads: tuple[HeadSpec, ...]) -> tuple[HeadSpec, ...]:
    names = {spec.name for spec in heads}
    return tuple(spec for spec in specs if spec.name in names)


def _targets(folder: Path, heads: tuple[HeadSpec, ...], data: dataset.Dataset) -> dict[str, NDArray[Any]]:
    """Return the targets by the numbers that the checkpoint's heads give the values."""
    theirs = {spec.name: spec for spec in data.heads}
    return {spec.name: _renumbered(folder, spec, theirs[spec.name], data.val.targets[spec.name]) for spec in heads}


def _renumbered(folder: Path, ours: HeadSpec, theirs: HeadSpec, targets: NDArray[Any]) -> NDArray[np.int32]:
    if (ours.kind, ours.length) != (theirs.kind, theirs.length):
        raise CheckpointMismatch(
            f"A head is judged as what it is, but {ours.name!r} is {ours.kind} ({ours.length}) in {folder} and "
            f"{theirs.kind} ({theirs.length}) in the plan; take the plan it was trained by."
        )
    unknown = [name for name in theirs.classes if name not in ours.classes]
    if unknown:
        raise CheckpointMismatch(
            f"A checkpoint is judged on the values it knows, but {folder} does not know {unknown[0]!r} of head "
            f"{ours.name!r}; give that value another name in the plan, or train anew."
        )
    if ours.kind in ("digits", "boxes"):
        return np.asarray(targets)
    numbers = np.array([ours.classes.index(name) for name in theirs.classes], np.int32)
    if ours.kind == "softmax":
        return np.where(targets == MISSING, MISSING, numbers[targets]).astype(np.int32)
    wide = np.zeros((len(targets), len(ours.classes)), np.int32)
    wide[:, numbers] = targets
    wide[(targets == MISSING).any(axis=1)] = MISSING
    return wide
