"""`vsearch evaluate classes`: class heads fitted on one part of a manifest's pictures, judged on another."""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from vsearch.cli import ground_truth, pass_settings, photos
from vsearch.cli.console import progress, table
from vsearch.cli.load_model import open_model
from vsearch.core.errors import DatasetError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits


@click.command(epilog="Example: vsearch evaluate classes --manifest labels.csv --images images.tar --label category")
@click.option(
    "--manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV: image, split, label.",
)
@click.option(
    "--images", type=click.Path(exists=True, path_type=Path), required=True, help="Folder or tar of pictures."
)
@click.option("--label", default="category", show_default=True, help="Column of the class.")
@pass_settings
def classes(settings: Settings, manifest: Path, images: Path, label: str) -> None:
    """Fit class heads on the pictures of split 'train' and score each model and the vote on split 'val'.

    The networks stay as they are: this is what a shop gets whose feed has these classes.
    """
    from vsearch.models.heads import fit_heads

    known = ground_truth.labels(manifest, label)
    model = open_model(settings)
    blocks: dict[str, list[NDArray[np.float16]]] = {split: [] for split in ground_truth.SPLITS}
    names: dict[str, list[str]] = {split: [] for split in ground_truth.SPLITS}
    with progress("encode") as advance:
        for name, picture in photos.readable(photos.read([images]), Limits.from_settings(settings)):
            if name in known:
                split, class_name = known[name]
                blocks[split].append(model.encoder.blocks([picture])[0])
                names[split].append(class_name)
                advance(sum(map(len, names.values())), len(known))
    lacking = [split for split in ground_truth.SPLITS if not names[split]]
    if lacking:
        raise DatasetError(f"Both splits need pictures, but {images} has none that {manifest} calls {lacking[0]!r}.")
    heads = fit_heads(np.stack(blocks["train"]), names["train"], model.encoder.block_sizes)
    said = heads.predict(np.stack(blocks["val"]))
    truth = heads.vocabulary.encode(names["val"])
    judged = {name: votes.argmax(axis=1) for name, votes in said.votes.items()} | {"vote": said.winners}
    lines = [(name, f"{100 * (numbers == truth).mean():.1f} %") for name, numbers in judged.items()]
    title = (
        f"{manifest.name}: {len(names['train'])} to learn from, {len(truth)} to judge, {len(heads.vocabulary)} classes"
    )
    table(title, ("model", "right"), lines, right=("right",))
