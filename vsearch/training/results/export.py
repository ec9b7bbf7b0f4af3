"""Write the results of a finished training run: a checkpoint, its metrics on the validation images, and plots.

FOLDER/checkpoint/                  see `vsearch.models.checkpoint`
      /report.json                  all metrics; written last
      /learning_curves.png
      /confusion_HEAD.png, errors_HEAD.png, calibration_HEAD.png, per_class_HEAD.csv; boxes_HEAD.png
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsearch.core.files import replace_text
from vsearch.core.progress import Progress, no_stages
from vsearch.models import checkpoint as checkpoints
from vsearch.models import weights
from vsearch.models.backbones import backbone, build
from vsearch.models.checkpoint import HEADS_GRAPH, TRUNK_GRAPH, Checkpoint, Retrieval
from vsearch.models.classifier import Classifier, Logits
from vsearch.models.encoder import Trunk
from vsearch.models.network import heads_graph, top_weights, trunk_graph
from vsearch.models.runtime import Graph, Network
from vsearch.models.trained_heads import HeadPredictions, HeadSpec, TrainedHeads, predictions_from_logits
from vsearch.training.assemble import assemble
from vsearch.training.data.dataset import Dataset, count_classes
from vsearch.training.loop import fit, resume
from vsearch.training.loop.phase_setup import load_start_weights, start_folder
from vsearch.training.results import head_metrics, model_card, plots, training_report

if TYPE_CHECKING:
    from vsearch.training.run import Run

_LIBRARIES = ("vsearch", "keras", "tensorflow", "openvino", "numpy", "scikit-image", "scikit-learn")


def write_results(run: "Run", data: Dataset | None, progress: Progress = no_stages) -> dict[str, Any]:
    """Write all results, unless already done, and return the content of report.json.

    Raises:
        CheckpointError: weights cannot be used.
        OSError: the disk is full; the checkpoint is complete or does not exist.
    """
    if run.report.is_file() and run.checkpoint.is_dir():
        with resume.intact(run.report):
            known: dict[str, Any] = json.loads(run.report.read_text(encoding="utf8"))
            return known
    for left in (run.checkpoint, *run.folder.glob(".building-*"), *run.folder.glob(".new-*")):  # a killed run's
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=run.folder) as name:
        writer = _Writer(run, Path(name))
        content: dict[str, Any] = {"plan": run.plan.name}
        trained = None
        if data:
            content["parameters"] = writer.pack_trained(data, progress)
            trained, logits = writer.calibrate(data, content, progress)
        else:
            content["parameters"] = writer.pack_untrained()
        retrieval = None
        if run.plan.assemble:
            with progress("assemble") as advance:
                trunks = {name: writer.trunk(name) for name in run.plan.backbones}
                start = start_folder(run.plan.start, run.runs)
                retrieval, content["block_heads"] = assemble(
                    run.plan, run.photos, trunks, start=start, work=run.folder, advance=advance
                )
        if trained and data:
            with progress("plot results"):
                content |= {"data": describe_data(data), "notes": data.notes}
                content |= _validate(run, data, trained, logits)
        kept = trained if run.plan.keeps_heads else None
        written = writer.save(run.checkpoint, trained=kept, retrieval=retrieval, content=content)
        content["checkpoint_id"] = written.checkpoint_id
    replace_text(run.report, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return content


def describe_data(data: Dataset) -> dict[str, Any]:
    """Return the number of images, in total and [training, validation] per class."""
    classes = {
        spec.name: {name: [count, val[name]] for name, count in train.items()}
        for spec in data.heads
        if (train := count_classes(spec, data.train.targets[spec.name]))
        and (val := count_classes(spec, data.val.targets[spec.name]))
    }
    return {
        "fingerprint": data.fingerprint,
        "train": len(data.train),
        "val": len(data.val),
        "held_out": len(data.held_out),
        "classes": classes,
        "unreadable": len(data.unreadable),
    }


class _Writer:
    """Packs weights in half precision into a folder, and writes checkpoints from them."""

    def __init__(self, run: "Run", folder: Path) -> None:
        self._run, self._folder = run, folder
        self._graphs: dict[str, Graph] = {}

    def weights(self, name: str) -> Path:
        """Return the file of a backbone's weights."""
        return self._folder / f"{name}.weights.npz"

    def trunk(self, name: str) -> Trunk:
        """Return a backbone ready to run."""
        side = backbone(name).side
        graph = self._graphs.setdefault(f"{name}{TRUNK_GRAPH}", trunk_graph(name, side))
        return Trunk(side, Network(graph, weights.read_packed(self.weights(name)), name))

    def pack_trained(self, data: Dataset, progress: Progress) -> dict[str, int]:
        """Pack the trained networks; return the number of parameters of each."""
        sizes = {}
        with progress("pack networks") as advance:
            for done, name in enumerate(self._run.plan.backbones, start=1):
                trunk, network = fit.load_network(self._run, name, data.heads)
                weights.pack(trunk.weights, self.weights(name))
                weights.pack(top_weights(trunk, network), self._top(name))
                sizes[name] = int(network.count_params())
                advance(done, len(self._run.plan.backbones))
        return sizes

    def pack_untrained(self) -> dict[str, int]:
        """Pack the backbones with their initial weights; return the number of parameters of each."""
        sizes, run = {}, self._run
        for name in run.plan.backbones:
            network = build(name, backbone(name).side)
            load_start_weights(network, name, run.plan.start, runs=run.runs, folder=run.weights)
            weights.pack(network.weights, self.weights(name))
            sizes[name] = int(network.count_params())
        return sizes

    def calibrate(
        self, data: Dataset, content: dict[str, Any], progress: Progress
    ) -> tuple[TrainedHeads, dict[str, tuple[Logits, Logits]]]:
        """Fit temperatures using the networks as saved; return the heads and the logits of val and held_out."""
        plan = self._run.plan
        trained = TrainedHeads(data.heads, plan.framing, plan.cache_shape, plan.phase[-1].shape, plan.mirrored)
        classifier = Classifier(self.save(self._folder / "draft", trained=trained))
        logits, fitted = {}, {}
        with progress("validate networks") as advance:
            for done, name in enumerate(self._run.plan.backbones, start=1):
                own = classifier.logits(name, data.val.pictures)
                logits[name] = own, classifier.logits(name, data.held_out.pictures)
                fitted[name] = {
                    spec.name: head_metrics.calibrate(spec, own[spec.name], data.val.targets[spec.name])
                    for spec in data.heads
                    if spec.is_classification
                }
                advance(done, len(self._run.plan.backbones))
        content["calibration"] = {
            name: {head: asdict(one) for head, one in heads.items()} for name, heads in fitted.items()
        }
        temperatures = {name: {head: one.temperature for head, one in heads.items()} for name, heads in fitted.items()}
        return replace(trained, temperatures=temperatures), logits

    def save(
        self,
        target: Path,
        *,
        trained: TrainedHeads | None,
        retrieval: Retrieval | None = None,
        content: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """Write a checkpoint, with a model card if there is content for it."""
        run, names, figures = self._run, self._run.plan.backbones, dict(content or {})
        previous = run.previous.plan if run.previous else None
        if trained:
            self._graphs |= {f"{name}{HEADS_GRAPH}": heads_graph(name, trained) for name in names}
        return checkpoints.save(
            target,
            weights={name: self.weights(name) for name in names},
            tops={name: self._top(name) for name in names} if trained else {},
            trained_heads=trained,
            retrieval=retrieval,
            graphs=self._graphs,
            about={
                "plan": run.plan.model_dump(mode="json"),
                "versions": {name: version(name) for name in _LIBRARIES},
                "data": figures.get("data", {}),
                "figures": figures,
            },
            card=model_card.render(run.plan, figures, trained, previous=previous) if figures else "",
        )

    def _top(self, name: str) -> Path:
        return self._folder / f"{name}.top.npz"


def _validate(
    run: "Run", data: Dataset, trained: TrainedHeads, logits: Mapping[str, tuple[Logits, Logits]]
) -> dict[str, Any]:
    """Write the plots and return the metrics on the validation and held-out images."""

    def predict(split: int, specs: Mapping[str, tuple[HeadSpec, ...]]) -> HeadPredictions:
        return predictions_from_logits(trained.specs, specs, {name: both[split] for name, both in logits.items()})

    temperatures = {name: trained.calibrated(name) for name in logits}
    predictions = predict(0, temperatures)
    plots.write_artifacts(
        run.folder, run.plan.name, data.val, predictions, predict(0, dict.fromkeys(logits, trained.specs))
    )
    plots.plot_learning_curves(
        {name: resume.load(fit.state_file(run, name)).history for name in run.plan.backbones},
        [spec.name for spec in trained.specs],
        f"{run.plan.name}: learning curves",
        run.folder / "learning_curves.png",
    )
    targets = data.val.targets
    found = {
        "validation": training_report.figures(predictions, targets),
        "per_class": training_report.per_class(predictions, targets),
    }
    if len(data.held_out):
        found["held_out"] = training_report.figures(predict(1, temperatures), data.held_out.targets)
    return found
