"""The networks of a checkpoint for programs that are not ours: TensorFlow SavedModels, one for each backbone."""

import tempfile
from pathlib import Path
from typing import Any

from vsearch.core.errors import CheckpointError
from vsearch.models.checkpoint import Checkpoint


def export(checkpoint: Checkpoint, target: Path) -> Path:
    """Write a folder with one SavedModel for each backbone, whole or not at all.

    Each takes RGB pictures float32 0..255 [n, h, w, 3]. With trained heads it gives the logits of each head; without,
    the pooled features float32 [n, d] that blocks are made of.

    Raises:
        CheckpointError: the target exists, or weights are those of another network.
    """
    if target.exists() or not target.parent.is_dir():
        wrong = "exists" if target.exists() else "would lie in a folder that does not exist"
        raise CheckpointError(f"An export needs a new place, but {target} {wrong}; name another.")
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=target.parent) as name:
        hidden = Path(name) / "networks"
        for backbone in checkpoint.backbones:
            _network(checkpoint, backbone).export(hidden / backbone, verbose=False)
        hidden.rename(target)
    return target


def _network(checkpoint: Checkpoint, name: str) -> Any:
    from vsearch.models.network import build_network, build_trunk
    from vsearch.models.predictor import top_weights
    from vsearch.models.weights import read_packed, unpack

    trained = checkpoint.trained_heads
    if trained is None:
        backbone, network = build_trunk(name, checkpoint.grid, checkpoint.side(name))
    else:
        backbone, network = build_network(name, trained.specs, dropout=0.0, shape=trained.shape)
        unpack(top_weights(backbone, network), read_packed(checkpoint.folder / f"{name}.top.npz"), name)
    unpack(backbone.weights, read_packed(checkpoint.folder / f"{name}.weights.npz"), name)
    return network
