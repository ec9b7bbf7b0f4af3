"""`vsearch encode`: embeddings of images, for other programs."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from vsearch.cli import pass_settings, photos
from vsearch.cli.console import out, progress
from vsearch.cli.load_model import Model, load_model
from vsearch.core.errors import DatasetError
from vsearch.core.files import atomic_write
from vsearch.core.progress import ProgressCallback
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits, Picture


@click.command(epilog="Example: vsearch encode photos.tar --out photos.npz")
@click.argument("paths", metavar="PHOTO|DIR|TAR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The .npz file.")
@pass_settings
def command(settings: Settings, paths: tuple[Path, ...], target: Path) -> None:
    """Write ids, embeddings, probabilities and classes of images to FILE.npz.

    ids: n file names without extension. embeddings: float32 [n, d] as the published generation projects them (before
    anything is published, the checkpoint's own whitening), not normalized. probabilities: float32 [n, c], the mean of
    the networks. classes: c names. Images that cannot be read are reported on standard error and left out.
    """
    if not target.parent.is_dir():
        raise DatasetError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    model = load_model(settings)
    decoded = photos.decode_all(photos.read(paths), Limits.from_settings(settings))
    with progress("encode") as advance:
        arrays = _encode(model, decoded, settings.batch_size, advance)
    with atomic_write(target) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes the names for options
    written, dimensions = arrays["embeddings"].shape
    out.print(f"{written} images encoded by {model.origin}; embeddings have {dimensions} dimensions")


def _encode(
    model: Model, decoded: Iterator[tuple[str, Picture]], batch_size: int, advance: ProgressCallback
) -> dict[str, NDArray[Any]]:
    ids: list[str] = []
    embeddings, probabilities = [], []
    while batch := list(islice(decoded, batch_size)):
        blocks = model.encoder.blocks([picture for _, picture in batch])
        ids += [name for name, _ in batch]
        embeddings.append(model.whitening.project(blocks))
        probabilities.append(model.checkpoint.retrieval.heads.predict(blocks).probabilities)
        advance(len(ids), 0)
    return {
        "ids": np.array(ids),
        "embeddings": np.concatenate(embeddings),
        "probabilities": np.concatenate(probabilities),
        "classes": np.array(model.checkpoint.retrieval.heads.classes),
    }
