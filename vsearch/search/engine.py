"""`Engine`: returns labeled hits for a photo; each search uses a single generation.

The engine serves one immutable `Serving`. `refresh` prepares a new one in the background and swaps a single
reference; a search reads that reference once, so it never mixes two generations.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vsearch.core.errors import GenerationCorrupt, GenerationError, NoGeneration, VSearchError
from vsearch.core.settings import Metric, Settings
from vsearch.core.tracing import span
from vsearch.detection.detector import OpenDetector, no_detector
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.index import delta as deltas
from vsearch.index import generation as generations
from vsearch.index.class_index import Ids, ImageSet, image_set
from vsearch.index.delta import Delta
from vsearch.index.generation import Generation
from vsearch.models import registry
from vsearch.models.class_heads import CLASS
from vsearch.models.encoder import Encoder
from vsearch.models.trained_heads import HeadPredictions
from vsearch.search.merging import (
    LabeledHit,
    RegionResult,
    Routing,
    SearchResult,
    detection_weight,
    merge_regions,
    weighted_value,
)
from vsearch.search.score_normalization import NEIGHBORS, cohort_score, penalty
from vsearch.search.serving import Blocks, OpenEncoder, PhotoCache, Serving, prepare

log = logging.getLogger(__name__)

ALL: Final = "all"
"""Value of `Search.classes` that searches every class."""

RETRY_SECONDS: Final = 60.0
"""Delay before retrying a generation that could not be loaded, since loading reads and hashes all of its files."""


@dataclass(frozen=True, eq=False)
class Search:
    """A search request, without the photo."""

    k: int = 24  # number of products wanted
    metric: Metric = "cosine"
    classes: tuple[str, ...] | Literal["all"] | None = None  # None: chosen from the photo
    allowed: Ids | ImageSet | None = None  # image ids to search among; None means all
    excluded: Ids | ImageSet | None = None  # image ids to leave out
    box: Box | None = None  # region to search with; None means the whole photo and every detection

    def __post_init__(self) -> None:
        """Let all queries of the request share the rows of the image ids."""
        object.__setattr__(self, "allowed", image_set(self.allowed))
        object.__setattr__(self, "excluded", image_set(self.excluded))


class Engine:
    """Answers searches from the current generation; thread-safe.

    Call `refresh` once before the first search, and again whenever a new generation may have been published, unless
    `serving` is an unpublished generation. The detector is opened on first use; if there is none, only whole
    photos are searched.
    """

    def __init__(
        self,
        settings: Settings,
        open_encoder: OpenEncoder = Encoder,
        *,
        open_detector: OpenDetector = no_detector,
        serving: Serving | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem: VSearchError | None = None  # why the current generation cannot be served
        self._settings = settings
        self._open_encoder = open_encoder
        self._serving = serving
        self._base: Generation | None = None  # the generation that is served, without its delta
        self._delta_version: deltas.Version = None
        self._delta_problem: VSearchError | None = None
        self._refreshing = threading.Lock()
        self._clock = clock
        self._failed: list[tuple[str, int]] = []  # files of the generation that could not be loaded
        self._retry_at = 0.0
        self._open_detector = partial(open_detector, settings)
        self._detector_ids = registry.promoted(settings, "detector")
        self.photos = PhotoCache(self._open_detector)

    @property
    def serving(self) -> Serving:
        """What is currently served; read it once if several calls must agree.

        Raises:
            NoGeneration: nothing is loaded.
            VSearchError: the error that prevented loading.
        """
        serving = self._serving
        if serving is None:
            # A copy: the traceback of an exception that is raised repeatedly grows each time.
            raise copy(self.problem) or NoGeneration("No index is loaded. Call Engine.refresh first.")
        return serving

    def refresh(self) -> bool:
        """Serve the current generation and detector; return whether a new generation is served.

        If it cannot be loaded, the previous one is kept and `problem` holds the error until a later refresh succeeds.
        A different generation, or one whose files changed, is loaded at once; the same one after `RETRY_SECONDS`.
        """
        with self._refreshing:
            if (detector_ids := registry.promoted(self._settings, "detector")) != self._detector_ids:
                self._detector_ids, self.photos = detector_ids, PhotoCache(self._open_detector)
            files: list[tuple[str, int]] = []
            try:
                path = generations.current(self._settings.generations)
                delta_version = deltas.version(path.parent, path.name)  # before reading it: it may change meanwhile
                base = self._base if self._base and self._base.generation_id == path.name else None
                if base and delta_version == self._delta_version:
                    self.problem = self._delta_problem
                    return False
                files = _modification_times(path, self._settings.checkpoints)
                if files == self._failed and self._clock() < self._retry_at:
                    return False
                base = base or generations.load(path)
                delta, self._delta_problem = _read_delta(path)
                served = base.with_delta(delta)
                self._serving = prepare(served, self._settings, open_encoder=self._open_encoder, old=self._serving)
                self._base, self._delta_version = base, delta_version
                log.info("serving generation %s", served.version)
            except Exception as error:
                self._failed, self._retry_at = files, self._clock() + RETRY_SECONDS
                self.problem = _problem(error)
                return False
            self.problem = self._delta_problem
            return True

    def search(self, picture: Picture, search: Search = Search(), *, serving: Serving | None = None) -> SearchResult:
        """Find the products that look most like a photo.

        Without a box, the whole photo and every detection are searched, and their hits are merged. Pass one `serving`
        to several searches that must agree; the default is the current one.

        Raises:
            InvalidRequest: part of the request is invalid; `UnknownClass` for an unknown class.
            NoGeneration: nothing is served.
        """
        serving = serving or self.serving
        started = time.perf_counter()
        with span("detect"):
            detections = self.photos.detections(picture)
        detected = time.perf_counter()
        extra = detections if search.box is None else ()
        boxes = [search.box, *(detection.box for detection in extra)]
        with span("encode"):
            blocks = self.photos.blocks(serving.encoder, picture, boxes)
        encoded = time.perf_counter()
        weights = [1.0, *(detection_weight(detection) for detection in extra)]
        with span("search"):
            regions = [
                self._search_region(serving, one, weight, replace(search, box=box))
                for one, box, weight in zip(blocks, boxes, weights, strict=True)
            ]
            found = merge_regions(regions, search.k, lower_is_better=search.metric == "euclidean")
        timings = {"detect": _ms(started, detected)} if detections else {}
        timings |= {"encode": _ms(detected, encoded), "search": _ms(encoded, time.perf_counter())}
        return SearchResult(
            found.hits,
            found.classes,
            found.routing,
            serving.generation.generation_id,
            found.predictions,
            timings,
            serving.generation.gallery.classes,
            detections,
        )

    def detected_classes(self, picture: Picture, serving: Serving) -> tuple[str, ...]:
        """Return the class of each product detected in a photo, in the order of the detections."""
        boxes = [detection.box for detection in self.photos.detections(picture)]
        if not boxes:
            return ()
        blocks = self.photos.blocks(serving.encoder, picture, boxes)
        return tuple(serving.checkpoint.retrieval.heads.predict(blocks).vote(CLASS))

    def search_blocks(self, blocks: Blocks, search: Search = Search()) -> SearchResult:
        """Search with the blocks [d] of an image; nothing is encoded."""
        serving = self.serving
        started = time.perf_counter()
        region = self._search_region(serving, blocks, 1.0, search)
        found = merge_regions([region], search.k, lower_is_better=search.metric == "euclidean")
        timings = {"encode": 0.0, "search": _ms(started, time.perf_counter())}
        known, generation_id = serving.generation.gallery.classes, serving.generation.generation_id
        return SearchResult(found.hits, found.classes, found.routing, generation_id, found.predictions, timings, known)

    def search_like(
        self, product_id: int, search: Search = Search(), *, serving: Serving | None = None
    ) -> SearchResult:
        """Find the products that look most like a product in the index; nothing is encoded.

        The product's first image is the query; all classes are searched unless some are named; `search.box` is
        ignored. The product itself is left out. A product that is not in the index has no hits.
        """
        serving = serving or self.serving
        started = time.perf_counter()
        gallery = serving.generation.gallery
        chosen = search.classes if isinstance(search.classes, tuple) else None
        classes = gallery.classes if chosen is None else chosen
        hits: tuple[LabeledHit, ...] = ()
        image_ids = gallery.image_ids_of(product_id)
        if len(image_ids):
            one_more = replace(search, k=search.k + 1, box=None)
            found = _labeled_hits(serving.generation, gallery.embedding(int(image_ids[0])), classes, one_more)
            hits = tuple(hit for hit in found if hit.product_id != product_id)[: search.k]
        routing: Routing = "all" if chosen is None else "chosen"
        timings = {"encode": 0.0, "search": _ms(started, time.perf_counter())}
        return SearchResult(hits, classes, routing, serving.generation.generation_id, None, timings, gallery.classes)

    def _search_region(self, serving: Serving, blocks: Blocks, weight: float, search: Search) -> RegionResult:
        """Search with the blocks [d] of a region."""
        predictions = serving.checkpoint.retrieval.heads.predict(blocks[None])
        classes, routing = self._classes(serving, predictions, search)
        (embedding,) = serving.generation.whitening.project(blocks[None])
        hits = _labeled_hits(serving.generation, embedding, classes, search, weight)
        return RegionResult(weight, hits, classes, routing, predictions)

    def _classes(
        self, serving: Serving, predictions: HeadPredictions, search: Search
    ) -> tuple[tuple[str, ...], Routing]:
        known = serving.generation.gallery.classes
        if isinstance(search.classes, tuple):
            return search.classes, "chosen"
        if search.classes == ALL or not set(known) <= set(predictions.spec(CLASS).classes):
            return known, "all"
        mass, floor = self._settings.route_mass, self._settings.route_floor
        likely = choose_classes(predictions.mean(CLASS)[0], predictions.spec(CLASS).classes, mass=mass, floor=floor)
        routed = tuple(name for name in likely if name in known)
        return (routed, "routed") if 0 < len(routed) < len(known) else (known, "all")


def choose_classes(probabilities: ArrayLike, classes: Sequence[str], *, mass: float, floor: float) -> tuple[str, ...]:
    """Return the fewest classes whose probabilities add up to `mass`, likeliest first; all if none reaches `floor`.

    The predicted class alone is not enough: a photo classified as "loveseat" must still find the identical "sofa".
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (len(classes),) or not len(classes):
        raise ValueError(f"expected one probability per class, got {values.shape} for {len(classes)} classes")
    order = np.argsort(-values, kind="stable")
    undecided = not values[order[0]] >= floor  # also for NaN
    rounding = 1e-9
    count = int(np.searchsorted(np.cumsum(values[order]), mass - rounding)) + 1
    return tuple(classes[number] for number in order[: len(classes) if undecided else count])


def _read_delta(path: Path) -> tuple[Delta | None, VSearchError | None]:
    """Return the delta of a generation; if it is damaged, the generation is served without it."""
    try:
        return deltas.read(path.parent, path.name), None
    except GenerationCorrupt as error:
        log.error("%s", error)
        return None, _problem(error)


def _modification_times(generation: Path, checkpoints: Path) -> list[tuple[str, int]]:
    files = sorted([*generation.iterdir(), *checkpoints.glob("*/*")])
    return [(str(file), file.stat().st_mtime_ns) for file in files]


def _problem(error: Exception) -> VSearchError:
    if isinstance(error, VSearchError):
        return copy(error)  # without its traceback, whose frames keep everything loaded in memory
    if not isinstance(error, OSError):
        log.error("the published index cannot be loaded", exc_info=error)
    return GenerationError(f"The published index cannot be loaded: {error}. Fix that, or run `vsearch index run`.")


def _labeled_hits(
    generation: Generation,
    embedding: NDArray[np.float32],
    classes: tuple[str, ...],
    search: Search,
    weight: float = 1.0,
) -> tuple[LabeledHit, ...]:
    """Return the hits for an embedding; `weight` is that of its region.

    The penalty does not depend on `search.allowed` or chosen classes, so that filters do not improve labels.
    """
    gallery = generation.gallery
    filtered = search.allowed is not None or isinstance(search.classes, tuple)
    compared = gallery.classes if isinstance(search.classes, tuple) else classes
    nearest = gallery.search(embedding, k=max(search.k, NEIGHBORS + 1), classes=compared, excluded=search.excluded)
    hits = nearest[: search.k]
    if search.metric != "cosine" or filtered:
        limits = {"allowed": search.allowed, "excluded": search.excluded}
        hits = gallery.search(embedding, k=search.k, metric=search.metric, classes=classes, **limits)
    scores = [hit.value for hit in hits] if search.metric == "cosine" else gallery.cosines(embedding, hits).tolist()
    deducted = penalty(
        [hit.value for hit in nearest], float(cohort_score(embedding[None], generation.background_cohort)[0])
    )
    calibration = generation.manifest.match_calibration
    margins = [weighted_value(score - deducted, weight, lower_is_better=False) for score in scores]
    return tuple(
        LabeledHit(
            hit.product_id,
            hit.image_id,
            hit.class_name,
            hit.value,
            score,
            margin,
            calibration.match_label(margin, score),
            search.box,
        )
        for hit, score, margin in zip(hits, scores, margins, strict=True)
    )


def _ms(start: float, end: float) -> float:
    return round(1000 * (end - start), 3)
