"""`Engine`: from a photo to labelled hits, always wholly within one generation.

What is served is one immutable `Serving`. `refresh` prepares a new one aside and swaps a single reference; a
search takes that reference once, so it never mixes two generations.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import GenerationError, NoGeneration, VSearchError
from vsearch.core.settings import Metric, Settings
from vsearch.detection.detector import Detection, OpenDetector, no_detector
from vsearch.imaging.codec import Box, Picture
from vsearch.index import generation as generations
from vsearch.index.class_index import Ids
from vsearch.index.generation import Generation
from vsearch.models.encoder import open_encoder
from vsearch.models.heads import Predictions
from vsearch.search.backoff import Backoff
from vsearch.search.merging import LabelledHit, Part, Routing, SearchResult, best_of, leading, part_weight, searched
from vsearch.search.routing import choose_classes
from vsearch.search.score_normalization import cohort_score, penalty
from vsearch.search.serving import BlockCache, Blocks, DetectionCache, OpenEncoder, Serving, files_of, prepare

log = logging.getLogger(__name__)

ALL: Final = "all"
"""Search every class."""

RETRY_SECONDS: Final = 10.0
MAX_RETRY_SECONDS: Final = 300.0
"""How long a generation that could not be loaded is left alone, after the first failure and at most."""


@dataclass(frozen=True, eq=False)
class Search:
    """What is asked besides the photo.

    Attributes:
        k: products wanted.
        metric: "cosine" or "euclidean".
        classes: names to search in; None lets the photo decide; `ALL` means every class.
        allowed: image ids to search among, int64; None means all.
        excluded: image ids never to be found, int64.
        box: the part of the photo that matters; None means all of it.
    """

    k: int = 24
    metric: Metric = "cosine"
    classes: tuple[str, ...] | Literal["all"] | None = None
    allowed: Ids | None = None
    excluded: Ids | None = None
    box: Box | None = None


class Engine:
    """Answers searches from the current generation; safe to use from several threads.

    Call `refresh` once before the first search, and then whenever a newer generation may have been published.

    Args:
        settings: folders, and how classes are chosen.
        open_encoder: makes the encoder of a checkpoint; a test gives a fake.
        open_finder: makes what finds products in whole photos, when the first is searched with; photos are searched
            whole where it gives None.
        serving: answers until the first `refresh`; given for a generation that is not published.
        clock: seconds that only grow; tells when a generation that could not be loaded is tried again.
    """

    def __init__(
        self,
        settings: Settings,
        open_encoder: OpenEncoder = open_encoder,
        *,
        open_detector: OpenDetector = no_detector,
        serving: Serving | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem: VSearchError | None = None
        self._settings = settings
        self._open_encoder = open_encoder
        self._serving = serving
        self._refreshing = threading.Lock()
        self._backoff = Backoff(clock, RETRY_SECONDS, MAX_RETRY_SECONDS)
        self._encoded = BlockCache()
        self._parts = DetectionCache(open_detector)

    @property
    def serving(self) -> Serving:
        """What answers now; take it once for all that must agree.

        Raises:
            NoGeneration: nothing has been loaded; or the error that kept it from being loaded.
        """
        serving = self._serving
        if serving is None:
            # A copy: each time that an exception is raised, its traceback grows by the frames of that request.
            raise copy(self.problem) or NoGeneration(
                "A search needs a loaded index, but none is loaded yet; call Engine.refresh."
            )
        return serving

    def refresh(self) -> bool:
        """Serve the current generation; return whether that changed anything.

        When it cannot be loaded, what was served before is served on, and `problem` holds the error until a
        later refresh succeeds. It is then loaded again when a file of it or of its checkpoint has changed, else after
        a delay that grows: loading reads and hashes all of it.
        """
        with self._refreshing:
            files: Hashable = None
            try:
                path = generations.current(self._settings.generations)
                changed = self._serving is None or self._serving.generation.generation_id != path.name
                if changed:
                    files = files_of(path, self._settings)
                    if not self._backoff.is_due(files):
                        return False
                    self._serving = self._prepared(path)
                    log.info("serving generation %s", path.name)
            except Exception as error:
                if files is not None:
                    self._backoff.failed(files)
                self.problem = _problem(error)
                return False
            self._backoff.succeeded()
            self.problem = None
            return changed

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        """Return the parts of a photo in which products may stand, surest first; none where there is no finder.

        Args:
            picture: RGB uint8 [height, width, 3].
        """
        return self._parts.of(picture)

    def forget(self, picture: Picture) -> None:
        """Forget what is remembered of a photo: its blocks, and the parts seen in it."""
        self._encoded.forget(picture)
        self._parts.forget(picture)

    def search(self, picture: Picture, search: Search = Search(), *, serving: Serving | None = None) -> SearchResult:
        """Find the products that look most like the picture.

        Without a box it is searched with the whole picture and with each part in which a product may stand, each as it
        is and mirrored; a product counts by what is most like it.

        Args:
            picture: RGB uint8 [height, width, 3].
            search: all else that is asked.
            serving: what answers; given where several searches must agree, else what is served now.

        Raises:
            UnknownClass: the generation has no class of that name.
            InvalidRequest: another part of the search makes no sense.
            NoGeneration: nothing is served.
        """
        serving = serving or self.serving
        started = time.perf_counter()
        detections = self.detect(picture)
        searched_too = detections if search.box is None else ()
        found = time.perf_counter()
        boxes = [search.box, *(detection.box for detection in searched_too)]
        blocks = self._encoded.blocks(serving.encoder, picture, boxes)
        encoded = time.perf_counter()
        weights = [1.0, *(part_weight(detection) for detection in searched_too)]
        parts = [
            self._part(serving, both, weight, replace(search, box=box))
            for both, box, weight in zip(blocks, boxes, weights, strict=True)
        ]
        hits = best_of(parts, search.k, lower_is_better=search.metric == "euclidean")
        timings = {"find": _ms(started, found)} if detections else {}
        timings |= {"encode": _ms(found, encoded), "search": _ms(encoded, time.perf_counter())}
        predictions = leading(parts, hits).predictions
        generation = serving.generation
        known = generation.gallery.classes
        return SearchResult(hits, *searched(parts), generation.generation_id, predictions, timings, known, detections)

    def search_like(
        self, product_id: int, search: Search = Search(), *, serving: Serving | None = None
    ) -> SearchResult:
        """Find the products that look most like a product of the index; nothing is encoded.

        It is searched with the product's first picture, in all classes unless some are named; `search.box` is
        ignored. The product itself is left out. One that the index does not hold (yet) has no hits.
        """
        serving = serving or self.serving
        started = time.perf_counter()
        gallery = serving.generation.gallery
        named = isinstance(search.classes, tuple)
        classes = search.classes if isinstance(search.classes, tuple) else gallery.classes
        hits: tuple[LabelledHit, ...] = ()
        pictures = gallery.pictures_of(product_id)
        if len(pictures):
            one_more = replace(search, k=search.k + 1, box=None)
            found = _labelled_hits(serving.generation, gallery.embedding(int(pictures[0])), classes, one_more)
            hits = tuple(hit for hit in found if hit.product_id != product_id)[: search.k]
        return SearchResult(
            hits,
            classes,
            "chosen" if named else "all",
            serving.generation.generation_id,
            None,
            {"encode": 0.0, "search": _ms(started, time.perf_counter())},
            gallery.classes,
        )

    def _part(self, serving: Serving, blocks: Blocks, weight: float, search: Search) -> Part:
        """Search with the blocks [2, d] of one part of a photo, as it is and mirrored."""
        predictions = serving.checkpoint.heads.predict(blocks.mean(axis=0, keepdims=True, dtype=np.float32))
        classes, routing = self._classes(serving, predictions, search)
        embeddings = serving.generation.whitening.project(blocks)
        hits = [hit for one in embeddings for hit in _labelled_hits(serving.generation, one, classes, search)]
        return Part(weight, tuple(hits), classes, routing, predictions)

    def _prepared(self, path: Path) -> Serving:
        return prepare(generations.load(path), self._settings, open_encoder=self._open_encoder, old=self._serving)

    def _classes(self, serving: Serving, predictions: Predictions, search: Search) -> tuple[tuple[str, ...], Routing]:
        known = serving.generation.gallery.classes
        if isinstance(search.classes, tuple):
            return search.classes, "chosen"
        if search.classes == ALL or not set(known) <= set(predictions.classes):
            return known, "all"
        likely = choose_classes(
            predictions.probabilities[0],
            predictions.classes,
            mass=self._settings.route_mass,
            floor=self._settings.route_floor,
        )
        routed = tuple(name for name in likely if name in known)
        return (routed, "routed") if 0 < len(routed) < len(known) else (known, "all")


def _problem(error: Exception) -> VSearchError:
    if isinstance(error, VSearchError):
        return copy(error)  # without its traceback, whose frames hold all that was loaded
    if not isinstance(error, OSError):
        log.error("the published index cannot be loaded", exc_info=error)
    return GenerationError(f"The published index must be readable, but {error}; fix that, or run `vsearch index run`.")


def _labelled_hits(
    generation: Generation, embedding: NDArray[np.float32], classes: tuple[str, ...], search: Search
) -> tuple[LabelledHit, ...]:
    gallery = generation.gallery
    hits = gallery.search(
        embedding,
        k=search.k,
        metric=search.metric,
        classes=classes,
        allowed=search.allowed,
        excluded=search.excluded,
    )
    cosine = search.metric == "cosine"
    scores = [hit.value for hit in hits] if cosine else gallery.cosines(embedding, hits).tolist()
    calibration = generation.manifest.match_calibration
    cohort_scores = cohort_score(embedding[None], generation.background_cohort)
    deducted = float(penalty(cohort_scores, calibration.cohort_baseline)[0])
    return tuple(
        LabelledHit(
            hit.product_id, hit.image_id, hit.class_name, hit.value,
            score, score - deducted, calibration.match_label(hit.class_name, score - deducted), search.box,
        )
        for hit, score in zip(hits, scores, strict=True)
    )  # fmt: skip


def _ms(start: float, end: float) -> float:
    return round(1000 * (end - start), 3)
