"""Pretrained weights into a folder of the shop's own, so that trainings need no network afterwards."""

import tempfile
from pathlib import Path

from vsearch.model import weights

BIG_THREE = ("resnet50", "vgg16", "inception_v3")
"""The backbones of the plan `ensemble`."""


def file_of(name: str, folder: Path) -> Path:
    """Return where the weights of a backbone are looked for in a folder."""
    return folder / f"{name}.weights.h5"


def pull(name: str, folder: Path) -> Path:
    """Fetch the ImageNet weights of a backbone into `folder`, from the Keras cache or by download; return their file.

    Raises:
        WeightsUnavailable: they are not on this machine and cannot be downloaded.
        CheckpointError: no such backbone.
        OSError: the disk is full; nothing half-written is left.
    """
    from vsearch.model.startup import import_tensorflow

    import_tensorflow()
    network = weights.pretrained(name, folder=folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pulling-", dir=folder) as hidden:
        file = file_of(name, Path(hidden))
        network.save_weights(file)
        file.rename(file_of(name, folder))
    return file_of(name, folder)
