"""Evaluate a checkpoint's trained heads on the validation images of a plan."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import CheckpointMismatch, DatasetError
from vsearch.core.files import replace_text
from vsearch.core.progress import Progress, no_stages
from vsearch.models import checkpoint as checkpoints
from vsearch.models.classifier import open_classifier
from vsearch.models.trained_heads import MISSING, HeadPredictions, HeadSpec, predictions_from_logits
from vsearch.training.data import dataset
from vsearch.training.data.dataset import Split
from vsearch.training.plan import Plan
from vsearch.training.results import plots, report


@dataclass(frozen=True)
class CheckpointEvaluation:
    """The outcome.

    Attributes:
        name: of the plan.
        figures: checkpoint_id, plan, pictures, validation and per_class; see `vsearch.training.results.report`.
        split: the images, their targets numbered by the checkpoint's classes.
        calibrated, uncalibrated: predictions with and without temperatures.
    """

    name: str
    figures: dict[str, Any]
    split: Split
    calibrated: HeadPredictions
    uncalibrated: HeadPredictions

    def write(self, folder: Path) -> None:
        """Write report.json and the plots into a folder, replacing those of an earlier evaluation.

        Raises:
            OSError: the disk is full; no file is incomplete.
        """
        folder.mkdir(parents=True, exist_ok=True)
        plots.write_artifacts(folder, self.name, self.split, self.calibrated, self.uncalibrated)
        replace_text(folder / "report.json", json.dumps(self.figures, indent=1, ensure_ascii=False) + "\n")


def evaluate_checkpoint(
    folder: Path, plan: Plan, photos: Path, *, work: Path, progress: Progress = no_stages
) -> CheckpointEvaluation:
    """Evaluate a checkpoint's trained heads on the validation images of a plan.

    Args:
        folder: of the checkpoint.
        plan: defines images and labels; the checkpoint defines how they are framed.
        photos: folder that the plan's sources are relative to.
        work: decoded images are cached in its folder `cache`.
        progress: reports decoding and prediction.

    Raises:
        CheckpointError: it has no trained heads, none that the plan names, or lacks a value of the images.
        DatasetError: the images cannot be used, or none is for validation.
    """
    checkpoint = checkpoints.load(folder)
    classifier = open_classifier(checkpoint)
    trained = classifier.trained_heads
    planned = [head.name for head in plan.head]
    heads = tuple(spec for spec in trained.specs if spec.kind != "metric" and spec.name in planned)
    if not heads:
        raise CheckpointMismatch(
            f"Checkpoint {folder} has the heads {', '.join(spec.name for spec in trained.specs)}, plan {plan.name} "
            f"{', '.join(planned) or 'none'}. Use the plan it was trained with."
        )
    framed = plan.model_copy(update={"framing": trained.framing, "cache_size": trained.frame})
    data = dataset.prepare(framed, photos, work=work, progress=progress)
    if not len(data.val):
        raise DatasetError(f"The sources of {plan.name} have no validation images. Set a split or a val_share.")
    theirs = {spec.name: spec for spec in data.heads}
    targets = {spec.name: _renumber(folder, spec, theirs[spec.name], data.val.targets[spec.name]) for spec in heads}
    split = replace(data.val, targets=targets)
    logits = {}
    with progress("predict") as advance:
        for done, name in enumerate(classifier.networks, start=1):
            logits[name] = classifier.logits(name, split.pictures)
            advance(done, len(classifier.networks))
    temperatures = {name: tuple(spec for spec in trained.calibrated(name) if spec.name in targets) for name in logits}
    calibrated = predictions_from_logits(heads, temperatures, logits)
    figures = {
        "checkpoint_id": checkpoint.checkpoint_id,
        "plan": plan.name,
        "pictures": len(split),
        "validation": report.figures(calibrated, targets),
        "per_class": report.per_class(calibrated, targets),
    }
    uncalibrated = predictions_from_logits(heads, dict.fromkeys(logits, heads), logits)
    return CheckpointEvaluation(plan.name, figures, split, calibrated, uncalibrated)


def _renumber(folder: Path, ours: HeadSpec, theirs: HeadSpec, targets: NDArray[Any]) -> NDArray[Any]:
    """Return targets numbered by the checkpoint's classes instead of the plan's."""
    if (ours.kind, ours.length) != (theirs.kind, theirs.length):
        raise CheckpointMismatch(
            f"Head {ours.name!r} is {ours.kind} ({ours.length}) in {folder} but {theirs.kind} ({theirs.length}) in the "
            "plan. Use the plan it was trained with."
        )
    if unknown := [name for name in theirs.classes if name not in ours.classes]:
        raise CheckpointMismatch(
            f"Head {ours.name!r} of {folder} does not know the value {unknown[0]!r}. "
            "Rename the value in the plan, or train again."
        )
    if ours.kind in ("digits", "boxes"):
        return targets
    numbers = np.array([ours.classes.index(name) for name in theirs.classes], np.int32)
    if ours.kind == "softmax":
        return np.where(targets == MISSING, MISSING, numbers[targets]).astype(np.int32)
    wide = np.zeros((len(targets), len(ours.classes)), np.int32)
    wide[:, numbers] = targets
    wide[(targets == MISSING).any(axis=1)] = MISSING
    return wide
