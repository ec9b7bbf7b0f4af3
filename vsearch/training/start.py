"""The weights that a backbone starts its training from."""

from pathlib import Path
from typing import Any

from vsearch.errors import CheckpointMissing
from vsearch.model import checkpoint, weights


def put_weights(network: Any, name: str, start: str, *, folder: Path | None = None) -> None:
    """Put weights into a backbone.

    Args:
        network: its `keras.Model`.
        name: its row in the table.
        start: "random" leaves it as it is; "pretrained"; "bundled"; or the folder of a checkpoint.
        folder: searched for pretrained weights first; see `vsearch.model.weights`.

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
    place = checkpoint.bundled() if start == "bundled" else Path(start)
    file = place / f"{name}.weights.npz"
    if not file.is_file():
        have = ", ".join(sorted(other.name.removesuffix(".weights.npz") for other in place.glob("*.weights.npz")))
        raise CheckpointMissing(
            f"The plan starts {name} from the checkpoint {place}, but that has {have or 'no weights'}; start from "
            "another, or from random weights."
        )
    checkpoint.load(place)  # compares its files with their hashes
    weights.unpack(network, weights.packed(file), name)
