"""Fit the retrieval parts of a checkpoint on top of its backbones: PCA of each block, class heads, whitening."""

import threading
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import DatasetError, ImageRejected
from vsearch.core.progress import ProgressCallback, no_progress
from vsearch.imaging.codec import Picture
from vsearch.imaging.synthetic import resize_to, shopper_view
from vsearch.models import checkpoint as checkpoints
from vsearch.models.checkpoint import Checkpoint, Retrieval
from vsearch.models.class_heads import CLASS, COLOR, MIDDLE, block_spans, fit_heads
from vsearch.models.encoder import Trunk, open_trunk, prepare, raw_features
from vsearch.models.trained_heads import VOTE
from vsearch.models.whitening import Projection, combine_differences, fit_differences, fit_pca, fit_whitening
from vsearch.training.data.samples import TRAINING_LIMITS
from vsearch.training.data.sources import LabeledImage, read_source
from vsearch.training.plan import Assemble, Plan

_BATCH = 64
_MAX_SIDE = 512
_COMPARED = 1000  # images that the networks before and after training are compared on
_RIDGE = 0.1  # fraction of the mean scatter added to its diagonal
_ONE_CLASS = "product"  # the class of all images if the plan has no softmax head


@dataclass(frozen=True)
class FitSample:
    """Images to fit on or to evaluate with.

    Attributes:
        class_names: class of each image; empty if unknown.
        products: product of each image; a unique number if unknown.
    """

    pictures: list[Picture]
    class_names: list[str]
    products: list[str]


class Kept(NamedTuple):
    """What is kept of the checkpoint that a plan starts from; see `Retrieval`."""

    differences: NDArray[np.float16]
    background_cohort: NDArray[np.float16]


def assemble(
    plan: Plan,
    photos: Path,
    trunks: Mapping[str, Trunk],
    *,
    start: Path | None = None,
    work: Path,
    advance: ProgressCallback = no_progress,
) -> tuple[Retrieval, dict[str, float]]:
    """Fit the retrieval parts of a checkpoint.

    An image's class is its label for the plan's first softmax head; its product is its label for the first metric head.
    Without background images, the cohort of the checkpoint that the plan starts from, in the folder `start`, is kept;
    so are its differences if the images show fewer.

    Returns:
        The parts, and the accuracy of each block's head and of the vote on the validation images.

    Raises:
        DatasetError: the sources have no usable training image.
    """
    settings = plan.assemble
    assert settings is not None
    fitted = load_sample(plan, photos, "train", work=work)
    scored = load_sample(plan, photos, "val", work=work)
    raw = _encode(trunks, fitted.pictures, views=settings.fit_views, seed=plan.seed, advance=advance)
    projections = {name: _fit_projection(settings, name, features) for name, features in raw.items()}
    sizes = {name: projection.size for name, projection in projections.items()}
    blocks = _project(raw, projections)
    names = np.array(fitted.class_names * (1 + settings.fit_views))
    _, products = np.unique(fitted.products, return_inverse=True)
    groups, classified = np.tile(products, 1 + settings.fit_views), names != ""
    synthetic = np.arange(len(names)) >= len(products)
    differences = fit_differences(blocks[: len(products)], products, settings.differences)
    background = load_background(plan, photos, work=work)
    background_blocks = _project(_encode(trunks, background), projections) if background else blocks[:0]
    if start is not None and not background:
        rows = np.linspace(0, len(products) - 1, min(len(products), _COMPARED)).astype(int)  # of all classes
        kept = _carry_over(checkpoints.load(start), [fitted.pictures[row] for row in rows], blocks[rows], projections)
        background_blocks = kept.background_cohort
        differences = kept.differences if len(differences) < settings.differences else differences
    if views := load_views(plan, photos, work=work):
        shown = _project(_encode(trunks, views.pictures), projections)
        shown_products = np.unique(views.products, return_inverse=True)[1]
        found = fit_differences(shown, shown_products, settings.differences // 2)
        differences = combine_differences(differences, found)
    heads = fit_heads(
        blocks[classified],
        names[classified].tolist(),
        sizes,
        groups=groups[classified],
        photos=synthetic[classified],
        differences=differences,
    )
    whitening = fit_whitening(blocks, groups, size=settings.embedding_size, shrink=settings.shrink)
    sides = {name: trunk.side for name, trunk in trunks.items()}
    parts = Retrieval(sides, projections, heads, whitening, differences, background_blocks)
    if not scored.pictures:
        return parts, {}
    labels = heads.class_numbers(scored.class_names)
    predicted = heads.predict(_project(_encode(trunks, scored.pictures), projections))
    predictors = (*predicted.networks, VOTE)
    return parts, {name: float((predicted.predicted(name, CLASS) == labels).mean()) for name in predictors}


def load_sample(plan: Plan, photos: Path, split: str, *, work: Path) -> FitSample:
    """Decode the images of a split that the parts are fitted on, in an order determined by the seed.

    Images with a class are sampled evenly across classes. For training, all others with a product are added.

    Raises:
        DatasetError: no training image has a class.
    """
    column = next((head.column for head in plan.head if head.kind == "softmax"), None)
    product = next((head.column for head in plan.head if head.kind == "metric"), "")
    by_class: dict[str, list[LabeledImage]] = defaultdict(list)
    others: list[tuple[LabeledImage, str]] = []
    for source in plan.source:
        for image in () if source.only_differences else read_source(source, photos, work=work, seed=plan.seed):
            name = image.labels.get(column) if column else _ONE_CLASS
            if image.split == split and name:
                by_class[name].append(image)
            elif image.split == split == "train" and product in image.labels:
                others.append((image, ""))
    if not by_class and split == "train":
        label = f" with the label {column!r}" if column else ""
        raise DatasetError(f"The sources have no training images{label}, which [assemble] needs.")
    rng = np.random.default_rng(plan.seed)
    each = max(1, (plan.assemble or Assemble()).fit_pictures // max(1, len(by_class)))
    pairs = [
        (by_class[name][number], name)
        for name in sorted(by_class)
        for number in rng.permutation(len(by_class[name]))[:each]
    ]
    decoded = [
        (picture, name, image.labels.get(product) or f"alone {number}")
        for number, (image, name) in enumerate(pairs + others)
        if (picture := _decode(image)) is not None
    ]
    pictures, names, products = (list(part) for part in zip(*decoded, strict=True)) if decoded else ([], [], [])
    return FitSample(pictures, names, products)


def load_views(plan: Plan, photos: Path, *, work: Path) -> FitSample | None:
    """Decode the training images of sources that count only for the differences, or return None without such sources.

    Raises:
        DatasetError: no product has two images.
    """
    sources = [source for source in plan.source if source.only_differences]
    column = next((head.column for head in plan.head if head.kind == "metric"), "")
    pictures, products = [], []
    for source in sources:
        for image in read_source(source, photos, work=work, seed=plan.seed):
            product = image.labels.get(column)
            if image.split == "train" and product and (picture := _decode(image)) is not None:
                pictures.append(picture)
                products.append(product)
    if sources and len(set(products)) == len(products):
        raise DatasetError(f"The sources with only_differences have no two training images with the same {column!r}.")
    return FitSample(pictures, [""] * len(pictures), products) if sources else None


def load_background(plan: Plan, photos: Path, *, work: Path) -> list[Picture]:
    """Decode the images of the background cohort, sampled evenly across the classes of their sources."""
    found: list[Picture] = []
    for source in plan.source:
        if source.background:
            by_class: dict[str, list[LabeledImage]] = defaultdict(list)
            for image in read_source(source, photos, work=work, seed=plan.seed):
                if image.split == "train":
                    by_class[" ".join(image.labels.values())].append(image)
            in_turn = [one for some in zip_longest(*by_class.values()) for one in some if one is not None]
            found += [picture for one in in_turn[: source.background] if (picture := _decode(one)) is not None]
    return found


def _decode(image: LabeledImage) -> Picture | None:
    """Decode an image, reduced to at most _MAX_SIDE px, since thousands are kept in memory."""
    try:
        picture = image.decode(TRAINING_LIMITS)
    except ImageRejected:
        return None
    return resize_to(picture, _MAX_SIDE) if max(picture.shape) > _MAX_SIDE else picture


def _encode(
    trunks: Mapping[str, Any],
    pictures: list[Picture],
    *,
    views: int = 0,
    seed: int = 0,
    advance: ProgressCallback = no_progress,
) -> dict[str, NDArray[np.float32]]:
    """Return raw blocks of the images, then of the first synthetic view of each, then of the second, and so on."""
    wanted = [(number, view) for view in range(views + 1) for number in range(len(pictures))]
    parts: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    lock = threading.Lock()

    def render(number: int, view: int) -> Picture:
        if not view:
            return pictures[number]
        return shopper_view(pictures[number], np.random.default_rng([seed, number, view - 1]))

    def encode(start: int) -> dict[str, NDArray[np.float32]]:
        inputs = [prepare(trunks, render(*one)) for one in wanted[start : start + _BATCH]]
        with lock:
            return raw_features(trunks, inputs)

    with ThreadPoolExecutor() as threads:
        for done, found in enumerate(threads.map(encode, range(0, len(wanted), _BATCH)), start=1):
            for name, features in found.items():
                parts[name].append(features)
            advance(min(done * _BATCH, len(wanted)), len(wanted))
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def _carry_over(
    start: Checkpoint, pictures: list[Picture], blocks: NDArray[np.float16], projections: Mapping[str, Projection]
) -> Kept:
    """Convert the differences and the background cohort of `start` to the blocks of the new networks.

    The images they were computed from are not available. Instead, ridge regression on `pictures`, encoded by both
    models (`blocks` by the new one), fits an affine map from old to new blocks. Returns empty arrays if `start`
    lacks any of the blocks.
    """
    size = blocks.shape[1]
    if not (start.searchable and projections.keys() <= start.retrieval.projections.keys()):
        return Kept(np.empty((0, size), np.float16), np.empty((0, size), np.float16))
    before = start.retrieval
    names = [name for name in projections if not name.endswith(MIDDLE) and name != COLOR]
    raw = _encode({name: open_trunk(start, name) for name in names}, pictures)
    old_spans = block_spans(before.block_sizes)
    new_spans = block_spans({name: projection.size for name, projection in projections.items()})
    differences, cohort = [], []
    for name, projection in projections.items():
        old, new = before.projections[name], blocks[:, new_spans[name]].astype(np.float32)
        known, center = old.project(raw[name]), projection.project(old.mean[None])
        matrix = np.linalg.pinv(old.matrix) @ projection.matrix  # if the features had not changed
        rest = new - known @ matrix - center
        centered = known - known.mean(axis=0)
        scatter = centered.T @ centered
        scatter += _RIDGE * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
        change = np.linalg.solve(scatter, centered.T @ rest)
        offset = center + rest.mean(axis=0) - known.mean(axis=0) @ change
        differences.append(before.differences[:, old_spans[name]] @ (matrix + change))
        cohort.append(before.background_cohort[:, old_spans[name]] @ (matrix + change) + offset)
    return Kept(*(np.concatenate(parts, axis=1).astype(np.float16) for parts in (differences, cohort)))


def _fit_projection(settings: Assemble, name: str, features: NDArray[np.float32]) -> Projection:
    size, weight = settings.network_block, settings.network_weight
    if name == COLOR:
        size, weight = settings.color_block, settings.color_weight
    elif name.endswith(MIDDLE):
        size, weight = settings.middle_block, settings.middle_weight
    fitted = fit_pca(features, size)
    return Projection.from_arrays({"mean": fitted.mean, "matrix": (fitted.matrix * weight).astype(np.float16)})


def _project(raw: Mapping[str, NDArray[np.float32]], projections: Mapping[str, Projection]) -> NDArray[np.float16]:
    parts = [projection.project(raw[name]) for name, projection in projections.items()]
    return np.concatenate(parts, axis=1).astype(np.float16)
