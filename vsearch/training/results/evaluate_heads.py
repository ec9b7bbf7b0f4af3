"""Evaluate a checkpoint's trained heads on the validation images of a plan."""

import json
from pathlib import Path
from typing import Any

from vsearch.core.errors import CheckpointMismatch, DatasetError
from vsearch.core.files import replace_text
from vsearch.core.progress import Progress, no_stages
from vsearch.models import checkpoint as checkpoints
from vsearch.models.classifier import Classifier
from vsearch.models.trained_heads import predictions_from_logits
from vsearch.training.data import dataset
from vsearch.training.plan import Plan
from vsearch.training.results import plots, training_report


def evaluate_checkpoint(
    folder: Path, plan: Plan, photos: Path, target: Path, *, work: Path, progress: Progress = no_stages
) -> dict[str, Any]:
    """Evaluate a checkpoint's trained heads on the validation images of a plan; write report.json and plots.

    Args:
        folder: folder of the checkpoint.
        plan: defines images and labels; classes and framing are taken from the checkpoint.
        photos: folder that the plan's sources are relative to.
        target: folder for the results; those of an earlier evaluation are replaced.
        work: decoded images are cached in its subfolder `cache`.
        progress: reports decoding and prediction.

    Returns:
        checkpoint_id, plan, pictures, validation and per_class; see `vsearch.training.results.training_report`.

    Raises:
        CheckpointError: it has no trained heads, or none that the plan names.
        DatasetError: the images cannot be used, have an unknown class, or none is for validation.
        OSError: the disk is full; no file is incomplete.
    """
    checkpoint = checkpoints.load(folder)
    classifier = Classifier(checkpoint)
    trained = classifier.trained_heads
    planned = {head.name: head for head in plan.head}
    heads = tuple(spec for spec in trained.specs if spec.kind != "metric" and spec.name in planned)
    if not heads:
        raise CheckpointMismatch(
            f"Checkpoint {folder} has the heads {', '.join(spec.name for spec in trained.specs)}, but plan "
            f"{plan.name} has {', '.join(planned) or 'none'}. Use the plan that the checkpoint was trained with."
        )
    same = [
        planned[spec.name].model_copy(
            update={name: getattr(spec, name) for name in ("kind", "classes", "length", "separator")}
        )
        for spec in heads
    ]
    own = plan.model_copy(update={"framing": trained.framing, "cache_size": trained.frame, "head": tuple(same)})
    split = dataset.prepare(own, photos, work=work, progress=progress).val
    if not len(split):
        raise DatasetError(f"The sources of {plan.name} have no validation images. Set a split or a val_share.")
    logits = {}
    with progress("predict") as advance:
        for done, name in enumerate(classifier.networks, start=1):
            logits[name] = classifier.logits(name, split.pictures)
            advance(done, len(classifier.networks))
    temperatures = {
        name: tuple(spec for spec in trained.calibrated(name) if spec.name in split.targets) for name in logits
    }
    calibrated = predictions_from_logits(heads, temperatures, logits)
    uncalibrated = predictions_from_logits(heads, dict.fromkeys(logits, heads), logits)
    figures = {
        "checkpoint_id": checkpoint.checkpoint_id,
        "plan": plan.name,
        "pictures": len(split),
        "validation": training_report.figures(calibrated, split.targets),
        "per_class": training_report.per_class(calibrated, split.targets),
    }
    target.mkdir(parents=True, exist_ok=True)
    plots.write_artifacts(target, plan.name, split, calibrated, uncalibrated)
    replace_text(target / "report.json", json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    return figures
