"""What a finished training leaves: a checkpoint, its figures on the validation pictures, and pictures of both.

FOLDER/checkpoint/                  see `vsearch.models.checkpoint`
      /report.json                  every figure; it is written last
      /learning_curves.png
      /confusion_HEAD.png, /worst_HEAD.png, /calibration_HEAD.png, /per_class_HEAD.csv; /boxes_HEAD.png
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import PlanError
from vsearch.core.files import replace_text
from vsearch.core.progress import Progress, no_stages
from vsearch.models import checkpoint as checkpoints
from vsearch.models import weights
from vsearch.models.backbones import backbone, build
from vsearch.models.checkpoint import Checkpoint, Retrieval
from vsearch.models.classifier import Logits, open_classifier
from vsearch.models.trained_heads import HeadSpec, TrainedHeads, predictions_from_logits
from vsearch.training import plan as plans
from vsearch.training.assemble import assemble
from vsearch.training.data.dataset import Dataset
from vsearch.training.loop import fit
from vsearch.training.loop.resume import whole
from vsearch.training.loop.start import PLAN, put_weights
from vsearch.training.packing import Packed
from vsearch.training.plan import Plan
from vsearch.training.results import artifacts, card, plots, report
from vsearch.training.results.calibration import Calibration, calibrate


@dataclass(frozen=True)
class Run:
    """A plan, where its pictures are, and where its training is kept.

    Attributes:
        photos: folder that the plan's sources are relative to.
        folder: of this run alone.
        weights: folder that pretrained weights are looked for in first.
    """

    plan: Plan
    photos: Path
    folder: Path
    weights: Path | None = None

    @property
    def before(self) -> "Run | None":
        """The run of the plan whose networks this one starts from; None where it names no plan.

        Raises:
            PlanError: it names itself, or no plan.
        """
        if not self.plan.start.startswith(PLAN):
            return None
        plan = plans.read(self.plan.start.removeprefix(PLAN))
        if plan.name == self.plan.name:
            raise PlanError(f"A plan may start from another's networks, but {plan.name!r} names itself; fix `start`.")
        return replace(self, plan=plan, folder=self.runs / plan.name)

    @property
    def runs(self) -> Path:
        """Folder that has the run of every plan."""
        return self.folder.parent

    @property
    def checkpoint(self) -> Path:
        """Folder of the checkpoint."""
        return self.folder / "checkpoint"

    @property
    def report(self) -> Path:
        """File of the figures."""
        return self.folder / "report.json"


def leave(run: Run, data: Dataset | None, progress: Progress = no_stages) -> dict[str, Any]:
    """Write all that a finished training leaves, or find it written, and return what report.json says.

    Args:
        run: its backbones are trained, or its plan has no phases.
        data: what they were trained on; None without phases.
        progress: is told of each stage.

    Raises:
        CheckpointError: weights cannot be used.
        OSError: the disk is full; the checkpoint is whole or not there.
    """
    if run.report.is_file() and run.checkpoint.is_dir():
        with whole(run.report):
            found: dict[str, Any] = json.loads(run.report.read_text(encoding="utf8"))
            return found
    for left in (run.checkpoint, *run.folder.glob(".building-*"), *run.folder.glob(".new-*")):  # of a killed run
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=run.folder) as name:
        packed = Packed(Path(name))
        sizes = _pack_trained(run, data, packed, progress) if data else _pack_untrained(run, packed)
        said: dict[str, Any] = {"plan": run.plan.name, "parameters": sizes}
        trained, logits = (None, {}) if data is None else _calibrated(run, data, packed, said, progress)
        retrieval = _assembled(run, packed, said, progress)
        if trained and data:
            with progress("draw figures"):
                said |= {"data": counts(data), "notes": data.notes} | _validation(run, data, trained, logits)
        _save(run, packed, said, trained=trained if run.plan.keeps_heads else None, retrieval=retrieval)
    replace_text(run.report, json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    return said


def described(run: Run, heads: tuple[HeadSpec, ...]) -> TrainedHeads:
    """Return how a plan's networks are to be used, before any temperature."""
    plan = run.plan
    return TrainedHeads(heads, plan.framing, plan.cache_shape, plan.phase[-1].shape, plan.mirrored)


def counts(data: Dataset) -> dict[str, Any]:
    """Return how many pictures there are, and of each class of each head in (training, validation)."""
    classes = {
        spec.name: {
            name: [int(_has(spec, split.targets[spec.name], number).sum()) for split in (data.train, data.val)]
            for number, name in enumerate(spec.classes)
        }
        for spec in data.heads
        if spec.kind in ("softmax", "sigmoid")
    }
    said = {"fingerprint": data.fingerprint, "train": len(data.train), "val": len(data.val), "classes": classes}
    return said | {"unreadable": len(data.unreadable)}


def _has(spec: HeadSpec, targets: NDArray[Any], number: int) -> NDArray[np.bool_]:
    return np.asarray(targets[:, number] == 1 if spec.kind == "sigmoid" else targets == number, np.bool_)


def _pack_trained(run: Run, data: Dataset, packed: Packed, progress: Progress) -> dict[str, int]:
    """Pack every trained network, and keep what it says of some pictures; return how many numbers each learned."""
    sizes = {}
    trained = described(run, data.heads)
    with progress("pack networks") as advance:
        for done, name in enumerate(run.plan.backbones, start=1):
            trunk, network = fit.load_network(run.plan, name, data.heads, run.folder)
            packed.pack(name, trunk, network)
            packed.remember(name, network, trained, data.val)
            sizes[name] = int(network.count_params())
            advance(done, len(run.plan.backbones))
    return sizes


def _pack_untrained(run: Run, packed: Packed) -> dict[str, int]:
    sizes = {}
    for name in run.plan.backbones:
        network = build(name, backbone(name).side)
        put_weights(network, name, run.plan.start, runs=run.runs, folder=run.weights)
        weights.pack(network.weights, packed.weights(name))
        sizes[name] = int(network.count_params())
    return sizes


def _calibrated(
    run: Run, data: Dataset, packed: Packed, said: dict[str, Any], progress: Progress
) -> tuple[TrainedHeads, dict[str, Logits]]:
    """Judge the validation pictures as the saved checkpoint will, and fit the temperatures."""
    plain = described(run, data.heads)
    draft = _write(run, packed, packed.folder / "draft", trained=plain)
    classifier, logits = open_classifier(draft), {}
    with progress("judge networks") as advance:
        for done, name in enumerate(run.plan.backbones, start=1):
            logits[name] = classifier.logits(name, data.val.pictures)
            advance(done, len(run.plan.backbones))
    found = {
        name: {
            spec.name: calibrate(spec, own[spec.name], data.val.targets[spec.name])
            for spec in data.heads
            if spec.is_classification
        }
        for name, own in logits.items()
    }
    said["calibration"] = {name: {head: asdict(one) for head, one in own.items()} for name, own in found.items()}
    said["saved_as_trained"] = {name: packed.agreement(name, own, data.heads) for name, own in logits.items()}
    return replace(plain, temperatures=_temperatures(found)), logits


def _temperatures(found: Mapping[str, Mapping[str, Calibration]]) -> dict[str, dict[str, float]]:
    return {name: {head: one.temperature for head, one in own.items()} for name, own in found.items()}


def _assembled(run: Run, packed: Packed, said: dict[str, Any], progress: Progress) -> Retrieval | None:
    if run.plan.assemble is None:
        return None
    with progress("assemble") as advance:
        files = {name: packed.weights(name) for name in run.plan.backbones}
        retrieval, scores = assemble(run.plan, run.photos, files, work=run.folder, advance=advance)
    said["block_heads"] = scores
    return retrieval


def _validation(run: Run, data: Dataset, trained: TrainedHeads, logits: Mapping[str, Logits]) -> dict[str, Any]:
    """Score the validation pictures, and write the pictures and tables of it."""
    calibrated = predictions_from_logits(trained.specs, {name: trained.calibrated(name) for name in logits}, logits)
    plain = predictions_from_logits(trained.specs, dict.fromkeys(logits, trained.specs), logits)
    artifacts.write(run.folder, run.plan.name, data.val, calibrated, plain)
    histories = {name: fit.history(run.folder, name) for name in run.plan.backbones}
    heads = [spec.name for spec in trained.specs]
    plots.learning_curves(histories, heads, f"{run.plan.name}: learning curves", run.folder / "learning_curves.png")
    truth = data.val.targets
    return {"validation": report.figures(calibrated, truth), "per_class": report.per_class(calibrated, truth)}


def _save(
    run: Run, packed: Packed, said: dict[str, Any], *, trained: TrainedHeads | None, retrieval: Retrieval | None
) -> None:
    made = _write(run, packed, run.checkpoint, trained=trained, retrieval=retrieval, said=said)
    said["checkpoint_id"] = made.checkpoint_id


def _write(
    run: Run,
    packed: Packed,
    target: Path,
    *,
    trained: TrainedHeads | None,
    retrieval: Retrieval | None = None,
    said: Mapping[str, Any] | None = None,
) -> Checkpoint:
    about = {"plan": run.plan.model_dump(mode="json"), "versions": versions(), "data": (said or {}).get("data", {})}
    names = run.plan.backbones
    return checkpoints.save(
        target,
        weights={name: packed.weights(name) for name in names},
        tops={name: packed.top(name) for name in names} if trained else {},
        trained_heads=trained,
        retrieval=retrieval,
        about=about | {"figures": dict(said or {})},
        card=card.write(run.plan, said, trained, before=run.before.plan if run.before else None) if said else "",
    )


def versions() -> dict[str, str]:
    """Return the versions of the libraries that made a checkpoint."""
    return {name: version(name) for name in ("vsearch", "keras", "tensorflow", "numpy", "scikit-image", "scikit-learn")}
