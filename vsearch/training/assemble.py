"""Fit what lies between trained or pretrained backbones and an embedding: PCA of each block, heads, whitening."""

import threading
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import DatasetError, ImageRejected
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.imaging.codec import Limits, Picture
from vsearch.imaging.synthetic import shopper_view
from vsearch.models.backbones import backbone
from vsearch.models.checkpoint import Retrieval
from vsearch.models.ensemble import compile_trunk, raw_features
from vsearch.models.heads import DESCRIPTORS, ClassHeads, fit_heads
from vsearch.models.weights import read_packed
from vsearch.models.whitening import Projection, fit_differences, fit_pca, fit_whitening
from vsearch.training.data.examples import Example
from vsearch.training.data.sources import examples
from vsearch.training.plan import Plan
from vsearch.training.plan_parts import Assemble

_BATCH = 64
_MIN_SIDE = 8  # px; training pictures may be smaller than a shopper's
_ONE_CLASS = "product"  # of every picture, where the plan has no softmax head


@dataclass(frozen=True)
class Sample:
    """Pictures to fit on or to score with.

    Attributes:
        class_names: of each picture; empty where it has none.
        products: of each picture; a name that no other has where it is alone.
    """

    pictures: list[Picture]
    class_names: list[str]
    products: list[str]


def assemble(
    plan: Plan, photos: Path, weights: Mapping[str, Path], *, work: Path, advance: ProgressCallback = no_progress
) -> tuple[Retrieval, dict[str, float]]:
    """Fit the retrieval parts of a checkpoint.

    Args:
        plan: has `assemble`, which says how many pictures to fit on and how many numbers each block keeps. The class
            of a picture is the label of its first softmax head, its product that of its first metric head.
        photos: folder that the plan's sources are relative to.
        weights: for each backbone, a file that `vsearch.models.weights.pack` wrote.
        work: folder where drawn tags are kept.
        advance: is told how many pictures went through the backbones.

    Returns:
        The parts, and the share of validation pictures that each block's head and their vote judge rightly.

    Raises:
        DatasetError: the sources hold no usable training picture.
    """
    settings = plan.assemble
    assert settings is not None, "a plan without [assemble] leaves nothing to search with"
    fitted = sample(plan, photos, "train", work=work)
    scored = sample(plan, photos, "val", work=work)
    sides = {name: backbone(name).side for name in weights}
    trunks = {
        name: compile_trunk(name, settings.grid, read_packed(file), sides[name]) for name, file in weights.items()
    }
    raw = _features(trunks, fitted.pictures, views=settings.fit_views, seed=plan.seed, advance=advance)
    projections = {name: _projection(settings, name, features) for name, features in raw.items()}
    sizes = {name: projection.size for name, projection in projections.items()}
    blocks = _joined(raw, projections)
    names = np.array(fitted.class_names * (1 + settings.fit_views))
    heads = fit_heads(blocks[names != ""], names[names != ""].tolist(), sizes)
    _, products = np.unique(fitted.products, return_inverse=True)
    whitening = fit_whitening(
        blocks,
        np.tile(products, 1 + settings.fit_views),
        block_sizes=sizes,
        size=settings.embedding_size,
        shrink=settings.shrink,
    )
    photos_of = blocks[: len(products)]
    differences = fit_differences(photos_of, products, settings.differences)
    unsold = strangers(plan, photos, work=work)
    unsold_blocks = _joined(_features(trunks, unsold), projections) if unsold else blocks[:0]
    parts = Retrieval(settings.grid, sides, projections, heads, whitening, differences, unsold_blocks)
    if not scored.pictures:
        return parts, {}
    return parts, _scores(heads, _joined(_features(trunks, scored.pictures), projections), scored.class_names)


def sample(plan: Plan, photos: Path, split: str, *, work: Path) -> Sample:
    """Decode the pictures of a split that the plan assembles on, in an order the seed fixes.

    Those with a class are taken evenly over the classes; to fit on, also all others of which the product is known.

    Raises:
        DatasetError: none in the training split has a class.
    """
    column = next((head.column for head in plan.head if head.kind == "softmax"), None)
    product = next((head.column for head in plan.head if head.kind == "metric"), "")
    by_class: dict[str, list[Example]] = defaultdict(list)
    others: list[tuple[Example, str]] = []
    for source in plan.source:
        for example in examples(source, photos, work=work, seed=plan.seed):
            name = example.labels.get(column) if column else _ONE_CLASS
            if example.split == split and name and (source.judge or split == "train"):
                by_class[name].append(example)
            elif example.split == split == "train" and product in example.labels:
                others.append((example, ""))
    if not by_class and split == "train":
        of = f" with the label {column!r}" if column else ""
        raise DatasetError(f"A plan needs training pictures, but its sources hold none{of} with split 'train'.")
    rng = np.random.default_rng(plan.seed)
    each = max(1, (plan.assemble or Assemble()).fit_pictures // max(1, len(by_class)))
    pairs = [
        (by_class[name][number], name)
        for name in sorted(by_class)
        for number in rng.permutation(len(by_class[name]))[:each]
    ]
    decoded = [
        (picture, name, example.labels.get(product) or f"alone {number}")
        for number, (example, name) in enumerate(pairs + others)
        if (picture := _decoded(example)) is not None
    ]
    pictures, names, products = (list(part) for part in zip(*decoded, strict=True)) if decoded else ([], [], [])
    return Sample(pictures, names, products)


def strangers(plan: Plan, photos: Path, *, work: Path) -> list[Picture]:
    """Decode the pictures that a plan's sources give as things that no shop sells, evenly over their classes."""
    found: list[Picture] = []
    for source in plan.source:
        if source.strangers:
            every = (one for one in examples(source, photos, work=work, seed=plan.seed) if one.split == "train")
            by_class: dict[str, list[Example]] = defaultdict(list)
            for example in every:
                by_class[" ".join(example.labels.values())].append(example)
            in_turn = [one for some in zip_longest(*by_class.values()) for one in some if one is not None]
            found += [picture for one in in_turn[: source.strangers] if (picture := _decoded(one)) is not None]
    return found


def _decoded(example: Example) -> Picture | None:
    try:
        return example.picture(Limits(min_side=_MIN_SIDE))
    except ImageRejected:
        return None


def _features(
    trunks: Mapping[str, Any],
    pictures: list[Picture],
    *,
    views: int = 0,
    seed: int = 0,
    advance: ProgressCallback = no_progress,
) -> dict[str, NDArray[np.float32]]:
    """Return raw blocks of pictures, then of so many made shopper photos: the first of each, the second of each."""
    wanted = [(number, view) for view in range(views + 1) for number in range(len(pictures))]
    parts: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    lock = threading.Lock()

    def shown(number: int, view: int) -> Picture:
        if not view:
            return pictures[number]
        return shopper_view(pictures[number], np.random.default_rng([seed, number, view - 1]))

    def encode(start: int) -> dict[str, NDArray[np.float32]]:
        return raw_features(trunks, [shown(*one) for one in wanted[start : start + _BATCH]], lock)

    with ThreadPoolExecutor() as threads:
        for done, found in enumerate(threads.map(encode, range(0, len(wanted), _BATCH)), start=1):
            for name, features in found.items():
                parts[name].append(features)
            advance(min(done * _BATCH, len(wanted)), len(wanted))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def _projection(settings: Assemble, name: str, features: NDArray[np.float32]) -> Projection:
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


def _scores(heads: ClassHeads, blocks: NDArray[Any], class_names: list[str]) -> dict[str, float]:
    """Return the share of validation pictures that each block's head and their vote judge rightly."""
    labels = heads.class_numbers(class_names)
    said = heads.predict(blocks)
    scores = {name: float((vote.argmax(axis=1) == labels).mean()) for name, vote in said.votes.items()}
    return scores | {"vote": float((said.winners == labels).mean())}
