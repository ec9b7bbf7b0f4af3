"""`vsearch encode`: embeddings of images, for other programs."""

from itertools import islice
from pathlib import Path

import click
import numpy as np

from vsearch.cli import pass_settings, photos, photos_argument
from vsearch.cli.console import out, progress
from vsearch.cli.load_model import load_model
from vsearch.core.errors import DatasetError
from vsearch.core.files import atomic_write
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits


@click.command(epilog="Example: vsearch encode photos.tar --out photos.npz")
@photos_argument
@click.option("--out", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The .npz file.")
@pass_settings
def command(settings: Settings, paths: tuple[Path, ...], target: Path) -> None:
    """Write ids, embeddings, probabilities and classes of images to FILE.npz.

    ids: n file names without extension. embeddings: float32 [n, d] projected by the published generation (before
    publication, by the checkpoint's own whitening), not normalized. probabilities: float32 [n, c], the mean of
    the networks. classes: c names. Images that cannot be read are reported on standard error and left out.
    """
    if not target.parent.is_dir():
        raise DatasetError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    model = load_model(settings)
    decoded = photos.decode_all(photos.read(paths), Limits.from_settings(settings))
    heads = model.checkpoint.retrieval.heads
    ids: list[str] = []
    embeddings, probabilities = [], []
    with progress("encode") as advance:
        while batch := list(islice(decoded, settings.batch_size)):
            blocks = model.encoder.blocks([picture for _, picture in batch])
            ids += [name for name, _ in batch]
            embeddings.append(model.whitening.project(blocks))
            probabilities.append(heads.predict(blocks).probabilities)
            advance(len(ids), 0)
    joined = np.concatenate(embeddings)
    arrays = {"embeddings": joined, "probabilities": np.concatenate(probabilities), "classes": np.array(heads.classes)}
    with atomic_write(target) as file:
        np.savez(file, ids=np.array(ids), **arrays)  # type: ignore[arg-type]  # the stub takes the names for options
    out.print(f"{len(ids)} images encoded with {model.origin}; embeddings have {joined.shape[1]} dimensions")
