"""Join trained or pretrained backbones into one checkpoint: PCA of each block, heads, whitening."""

import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.augment import shopper_view
from vsearch.errors import CheckpointMissing, DatasetError, ImageRejected
from vsearch.images import Limits, Picture, decode
from vsearch.model import checkpoint, weights
from vsearch.model.arrays import read_arrays
from vsearch.model.backbones import backbone, build
from vsearch.model.ensemble import compiled_trunk, raw_features
from vsearch.model.heads import DESCRIPTORS, Heads, fit_heads
from vsearch.model.whitening import Projection, fit_pca, fit_whitening
from vsearch.progress import Advance, unseen
from vsearch.training import card
from vsearch.training.fit import weights_file
from vsearch.training.plan import Plan
from vsearch.training.sources import examples

_BATCH = 64
_MIN_SIDE = 8  # px; training pictures may be smaller than a shopper's


@dataclass(frozen=True)
class Sample:
    """Pictures to fit on or to score with, and the class of each."""

    pictures: list[Picture]
    class_names: list[str]


def assemble(
    plan: Plan,
    photos: Path,
    networks: Mapping[str, Any],
    target: Path,
    advance: Advance = unseen,
) -> checkpoint.Checkpoint:
    """Fit what lies between the backbones and an embedding, and write the checkpoint.

    Args:
        plan: says how many pictures to fit on and how many numbers each block keeps.
        photos: folder that the plan's sources are relative to.
        networks: the backbones with their weights, `keras.Model`s by name.
        target: new folder.

    Raises:
        DatasetError: the sources hold no usable training picture.
    """
    settings = plan.assemble
    fitted = sample(plan, photos, "train", settings.fit_pictures)
    scored = sample(plan, photos, "val", settings.fit_pictures)
    with tempfile.TemporaryDirectory() as name:
        packed = {name_: weights.pack(network, Path(name) / f"{name_}.npz") for name_, network in networks.items()}
        trunks = {name_: compiled_trunk(name_, settings.grid, _arrays(file)) for name_, file in packed.items()}
        pictures = fitted.pictures + [
            shopper_view(picture, np.random.default_rng([plan.seed, number, view]))
            for view in range(settings.fit_views)
            for number, picture in enumerate(fitted.pictures)
        ]
        raw = _features(trunks, pictures, advance)
        projections = {name_: _projection(plan, name_, features) for name_, features in raw.items()}
        sizes = {name_: projection.size for name_, projection in projections.items()}
        blocks = _joined(raw, projections)
        heads = fit_heads(blocks, fitted.class_names * (1 + settings.fit_views), sizes)
        whitening = fit_whitening(
            blocks,
            np.tile(np.arange(len(fitted.pictures)), 1 + settings.fit_views),
            block_sizes=sizes,
            size=settings.embedding_size,
            shrink=settings.shrink,
        )
        scores = _scores(heads, _joined(_features(trunks, scored.pictures), projections), scored.class_names)
        return checkpoint.save(
            target,
            backbones=plan.backbones,
            grid=settings.grid,
            projections=projections,
            heads=heads,
            whitening=whitening,
            weights=packed,
            about={"plan": plan.model_dump(mode="json"), "versions": _versions(), "accuracy": scores},
            card=card.write(plan, networks, heads.vocabulary.names, scores),
        )


def trained_networks(plan: Plan, runs: Path) -> dict[str, Any]:
    """Return the backbones of a plan with the weights its phases gave.

    Raises:
        CheckpointMissing: one is not trained yet.
    """
    networks = {}
    for name in plan.backbones:
        file = weights_file(runs, name)
        if not file.is_file():
            raise CheckpointMissing(f"{name} must be trained before it is joined, but {file} does not exist.")
        networks[name] = build(name, backbone(name).side)
        networks[name].load_weights(file)
    return networks


def pretrained_networks(plan: Plan, folder: Path | None) -> dict[str, Any]:
    """Return the backbones of a plan with pretrained weights.

    Raises:
        WeightsUnavailable: they are nowhere and cannot be downloaded.
    """
    return {name: weights.pretrained(name, folder=folder) for name in plan.backbones}


def sample(plan: Plan, photos: Path, split: str, most: int) -> Sample:
    """Decode up to `most` pictures of a split, evenly over the classes, in an order that the seed fixes.

    Raises:
        DatasetError: there is none in the training split.
    """
    by_class: dict[str, list[bytes]] = defaultdict(list)
    for source in plan.source:
        for example in examples(source, photos):
            if example.split == split:
                by_class[example.class_name].append(example.data)
    if not by_class and split == "train":
        raise DatasetError("A plan needs training pictures, but its sources hold none with split 'train'.")
    rng = np.random.default_rng(plan.seed)
    each = max(1, most // max(1, len(by_class)))
    pairs = [
        (by_class[name][number], name)
        for name in sorted(by_class)
        for number in rng.permutation(len(by_class[name]))[:each]
    ]
    decoded = [(picture, name) for data, name in pairs if (picture := _decoded(data)) is not None]
    return Sample([picture for picture, _ in decoded], [name for _, name in decoded])


def _decoded(data: bytes) -> Picture | None:
    try:
        return decode(data, Limits(min_side=_MIN_SIDE))
    except ImageRejected:
        return None


def _features(
    trunks: Mapping[str, Any],
    pictures: list[Picture],
    advance: Advance = unseen,
) -> dict[str, NDArray[np.float32]]:
    parts: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for start in range(0, len(pictures), _BATCH):
        found = raw_features(trunks, pictures[start : start + _BATCH], threading.Lock())
        for name, features in found.items():
            parts[name].append(features)
        advance(min(start + _BATCH, len(pictures)), len(pictures))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def _projection(plan: Plan, name: str, features: NDArray[np.float32]) -> Projection:
    settings = plan.assemble
    shape, colour = DESCRIPTORS
    size, weight = {
        shape: (settings.shape_block, settings.shape_weight),
        colour: (settings.colour_block, settings.colour_weight),
    }.get(name, (settings.network_block, settings.network_weight))
    fitted = fit_pca(features, size)
    return Projection.from_arrays({"mean": fitted.mean, "matrix": (fitted.matrix * weight).astype(np.float16)})


def _joined(raw: Mapping[str, NDArray[np.float32]], projections: Mapping[str, Projection]) -> NDArray[np.float16]:
    parts = [projection.project(raw[name]) for name, projection in projections.items()]
    return np.concatenate(parts, axis=1).astype(np.float16)


def _scores(heads: Heads, blocks: NDArray[Any], class_names: list[str]) -> dict[str, float]:
    """Return the share of validation pictures each model and the vote judge rightly."""
    labels = heads.vocabulary.encode(class_names)
    said = heads.predict(blocks)
    scores = {name: float((vote.argmax(axis=1) == labels).mean()) for name, vote in said.votes.items()}
    return scores | {"vote": float((said.winners == labels).mean())}


def _arrays(file: Path) -> list[NDArray[Any]]:
    arrays = read_arrays(file)
    return [arrays[name] for name in sorted(arrays)]


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("vsearch", "keras", "tensorflow", "numpy", "scikit-image")}
