"""Train one backbone with its heads by a plan's phases; stopped or killed at any moment, the same call goes on.

FOLDER/<backbone>/network.weights.h5     when all phases are done
                 /history.jsonl          one line for each epoch
                 /<phase>.done.npz       the network after a finished phase, until all are done
                 /<phase>.state.npz      where the phase under way is: every half minute and after each epoch
                 /<phase>.best.npz       the network after the best epoch so far, of a phase with patience
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from vsearch.core.errors import PlanError
from vsearch.core.files import filename_in_errors, replace_text
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.models.backbones import backbone
from vsearch.models.network import build_network, build_top
from vsearch.models.trained_heads import HeadSpec
from vsearch.training.data.dataset import Dataset
from vsearch.training.loop import batches, precision, resume
from vsearch.training.loop.phases import PhaseRun, Row
from vsearch.training.loop.pipeline import steps_per_epoch
from vsearch.training.loop.start import put_weights
from vsearch.training.loop.steps import Learner, strategy
from vsearch.training.loop.trunk_cache import Trunk
from vsearch.training.loop.unfreeze import first_layer, unfreeze
from vsearch.training.losses import objectives
from vsearch.training.plan import Plan
from vsearch.training.plan_parts import Phase


def run(
    plan: Plan,
    backbone_name: str,
    dataset: Dataset,
    folder: Path,
    *,
    work: Path,
    advance: ProgressCallback = no_progress,
    runs: Path = Path("runs"),
    weights: Path | None = None,
    devices: Sequence[str] | None = None,
) -> Path:
    """Train one backbone and its heads by all phases; return the file of the whole network's weights.

    Args:
        plan: says how.
        backbone_name: one of the plan's.
        dataset: what `vsearch.training.data.dataset.prepare` gave for the plan.
        folder: gets a folder for the backbone. What is finished in it is not done again.
        work: outputs of still trunks are kept in its folder `trunk`.
        advance: is told of the steps of all phases; before a phase with a still trunk, of the pictures it still has to
            see.
        runs: folder with the runs of other plans, that this one may start from.
        weights: folder that pretrained weights are looked for in first.
        devices: names of the devices that share each batch; all GPUs when None.

    Raises:
        PlanError: a phase names layers that the backbone lacks, or the loss is no number any more.
        CheckpointError: the weights to start from cannot be used, or a state on disk is of another network.
        OSError: the disk is full; what was kept so far stays.
    """
    target = weights_file(folder, backbone_name)
    if target.is_file():
        return target
    keras.utils.set_random_seed(plan.seed)
    share = strategy(devices)
    policy = precision.policy(plan.precision)
    with share.scope():
        trunk, network = _built(plan, backbone_name, dataset.heads, policy)
        for phase in plan.phase:
            _check(trunk, backbone_name, phase, share)
        put_weights(trunk, backbone_name, plan.start, runs=runs, folder=weights)
    target.parent.mkdir(parents=True, exist_ok=True)
    whole = _Training(plan, dataset, target.parent, work / "trunk", share, policy, trunk, network, advance)
    for number in range(len(plan.phase)):
        whole.phase(number)
    _save(network, target)
    for file in target.parent.glob("*.npz"):
        file.unlink()
    return target


def weights_file(folder: Path, backbone_name: str) -> Path:
    """Return where `run` leaves the weights of a backbone and its heads."""
    return folder / backbone_name / "network.weights.h5"


def finished(folder: Path, backbone_name: str) -> bool:
    """Tell whether all phases of a backbone are done."""
    return weights_file(folder, backbone_name).is_file()


def history(folder: Path, backbone_name: str) -> list[Row]:
    """Return the lines of all epochs so far: phase, epoch, learning_rate, seconds, losses, and each head's accuracy."""
    file = folder / backbone_name / "history.jsonl"
    if not file.is_file():
        return []
    with resume.whole(file):
        return [json.loads(line) for line in file.read_text(encoding="utf8").splitlines()]


def load_network(plan: Plan, backbone_name: str, heads: Sequence[HeadSpec], folder: Path) -> tuple[Any, Any]:
    """Return (backbone, network) with the weights that `run` left in `folder`, computing in single precision."""
    trunk, network = _built(plan, backbone_name, heads, "float32")
    file = weights_file(folder, backbone_name)
    with resume.whole(file):
        network.load_weights(file)
    return trunk, network


@dataclass(frozen=True)
class _Training:
    """All phases of one backbone."""

    plan: Plan
    dataset: Dataset
    folder: Path
    trunks: Path
    strategy: Any
    precision: str
    trunk: Any
    network: Any
    advance: ProgressCallback

    def phase(self, number: int) -> None:
        """Run a phase, or take what an earlier run made of it."""
        phase = self.plan.phase[number]
        before = sum(self._steps(earlier) for earlier in self.plan.phase[:number])
        done = self.folder / f"{phase.name}.done.npz"
        if done.is_file():
            resume.load_values(done, self.network.variables)
            return
        unfreeze(self.trunk, backbone(self.trunk.name), phase)
        found = self._batches(number)
        model = self.network if phase.unfreeze != "none" else build_top(self.network, self.trunk.output_shape[-1])
        wanted = objectives(self.plan.head, self.dataset.heads, self.dataset.train.targets)
        learner = Learner(model, wanted, phase, strategy=self.strategy, scaled=self.precision == "mixed_float16")
        earlier = [row for row in history(self.folder.parent, self.folder.name) if self._precedes(row, number)]
        of_phase = PhaseRun(
            phase,
            learner,
            found,
            wanted,
            self.folder,
            lambda steps: self._tell(before + steps),
            lambda rows: _write_history(self.folder / "history.jsonl", earlier + rows),
        )
        of_phase.run()
        resume.save_values(done, self.network.variables)
        of_phase.forget()

    def _batches(self, number: int) -> batches.Batches:
        phase = self.plan.phase[number]
        augment, seed = phase.augment or self.plan.augment, 1000 * self.plan.seed + number
        if phase.unfreeze != "none":
            return batches.of_pictures(self.dataset, phase, augment, seed=seed)
        still = Trunk(
            self.trunk,
            backbone(self.trunk.name).scaling,
            phase.shape,
            whole=any(head.kind == "digits" or head.grid > 1 for head in self.dataset.heads),
            precision=self.precision,
        )
        return batches.of_features(
            self.dataset, phase, augment, seed=seed, trunk=still, folder=self.trunks, advance=self.advance
        )

    @property
    def _total(self) -> int:
        return sum(self._steps(phase) for phase in self.plan.phase)

    def _precedes(self, row: Row, number: int) -> bool:
        return row["phase"] in {phase.name for phase in self.plan.phase[:number]}

    def _steps(self, phase: Phase) -> int:
        return phase.epochs * steps_per_epoch(self.dataset.train, phase.batch)

    def _tell(self, done: int) -> None:
        self.advance(done, self._total)


def _built(plan: Plan, name: str, heads: Sequence[HeadSpec], policy: str) -> tuple[Any, Any]:
    keras.mixed_precision.set_global_policy(policy)
    try:
        return build_network(name, heads, dropout=plan.dropout)
    finally:
        keras.mixed_precision.set_global_policy("float32")


def _check(trunk: Any, name: str, phase: Phase, share: Any) -> None:
    """Refuse a phase before anything is trained."""
    first_layer(trunk, backbone(name), phase)
    count = share.num_replicas_in_sync
    if phase.batch % count:
        raise PlanError(
            f"{count} devices share a batch evenly, but phase {phase.name!r} has batches of {phase.batch}; take a "
            f"multiple of {count}."
        )


def _save(network: Any, file: Path) -> None:
    """Write weights whole or not at all."""
    partial = file.with_name(f"partial-{file.name}")
    try:
        with filename_in_errors(file):
            network.save_weights(partial)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _write_history(file: Path, rows: Sequence[Row]) -> None:
    replace_text(file, "".join(f"{json.dumps(row)}\n" for row in rows))
