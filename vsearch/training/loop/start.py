"""The weights that a backbone starts its training from."""

from pathlib import Path
from typing import Any, Final

from vsearch.core.errors import CheckpointMissing
from vsearch.models import checkpoint, weights
from vsearch.training import plan as plans

PLAN: Final = "plan:"
"""Begins a start that names another plan, whose networks are trained first."""


def put_weights(network: Any, name: str, start: str, *, runs: Path, folder: Path | None = None) -> None:
    """Put weights into a backbone.

    Args:
        network: its `keras.Model`.
        name: its row in the table.
        start: "random" leaves it as it is; "pretrained"; "bundled"; "plan:" and a plan's name or file; or the folder of
            a checkpoint.
        runs: folder that has the run of every plan.
        folder: searched for pretrained weights first; see `vsearch.models.weights`.

    Raises:
        WeightsUnavailable: pretrained weights are nowhere.
        CheckpointMissing: the checkpoint is not there or has no such backbone.
        CheckpointMismatch: its weights are those of another network, or one of its files was changed.
    """
    if start == "random":
        return
    if start == "pretrained":
        network.set_weights(weights.pretrained(name, folder=folder).get_weights())
        return
    place = _place(start, runs)
    file = place / f"{name}.weights.npz"
    if not file.is_file():
        have = ", ".join(sorted(other.name.removesuffix(".weights.npz") for other in place.glob("*.weights.npz")))
        raise CheckpointMissing(
            f"The plan starts {name} from the checkpoint {place}, but that has {have or 'no weights'}; start from "
            "another, or from random weights."
        )
    checkpoint.load(place)  # compares its files with their hashes
    weights.unpack(network.weights, weights.read_packed(file), name)


def _place(start: str, runs: Path) -> Path:
    if start == "bundled":
        return checkpoint.bundled()
    return runs / plans.read(start.removeprefix(PLAN)).name / "checkpoint" if start.startswith(PLAN) else Path(start)
