"""`Manifest`: the parsed `manifest.json` of a generation, with the match calibration."""

from datetime import UTC, datetime
from secrets import token_hex
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from vsearch.core.settings import Metric

ID_PATTERN = r"^\d{8}T\d{6}Z-[0-9a-f]{4}$"

FORMAT_VERSION: Final = 2

MatchLabel = Literal["exact", "very similar", "similar", "nothing close"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MatchThresholds(_Record):
    """The lowest margin of each match label; a margin is the cosine score minus a penalty
    (`vsearch.search.score_normalization`)."""

    exact: float = 0.8
    very_similar: float = 0.6
    similar: float = 0.4

    def match_label(self, margin: float) -> MatchLabel:
        """Return the label for a margin."""
        if margin >= self.exact:
            return "exact"
        if margin >= self.very_similar:
            return "very similar"
        return "similar" if margin >= self.similar else "nothing close"


class MatchCalibration(_Record):
    """How scores become match labels in one catalog.

    Attributes:
        all: thresholds for classes without their own.
        classes: thresholds by class name.
        cohort_baseline: cohort score above which a photo is penalized.
    """

    all: MatchThresholds = MatchThresholds()
    classes: dict[str, MatchThresholds] = Field(default_factory=dict)
    cohort_baseline: float = 0.0

    def match_label(self, class_name: str, margin: float) -> MatchLabel:
        """Return the label for the margin of a product of a class."""
        return self.classes.get(class_name, self.all).match_label(margin)


class Quality(_Record):
    """Search quality on augmented views of the generation's own products.

    Attributes:
        views: number of queries.
        hit_at_1: share whose product is ranked first.
        own_score: median score of their own product.
    """

    views: int
    hit_at_1: float
    own_score: float


class Origin(_Record):
    """Where a generation comes from.

    Attributes:
        fingerprint: hash of all inputs; an index run with the fingerprint of the current generation does nothing.
        previous: the generation that was current before; `vsearch index rollback` returns to it.
        model_before: the last generation of the previous model; undoing a promotion returns to it.
    """

    generation_id: str = Field(pattern=ID_PATTERN)
    created_at: datetime
    checkpoint_id: str
    blocks_id: str
    fingerprint: str
    previous: str | None = Field(default=None, pattern=ID_PATTERN)
    model_before: str | None = Field(default=None, pattern=ID_PATTERN)


class ClassEntry(_Record):
    """One class: its name, number of images, FAISS factory string, and index file under each metric."""

    name: str
    count: int
    index_key: str
    files: dict[Metric, str]


class Manifest(Origin):
    """All of `manifest.json`; `checksums` maps every other file of the folder to its SHA-256."""

    format_version: Literal[2] = FORMAT_VERSION
    embedding_size: int
    metrics: tuple[Metric, ...]
    match_calibration: MatchCalibration
    quality: Quality | None = None
    classes: tuple[ClassEntry, ...]
    checksums: dict[str, str]


def new_id(now: datetime) -> str:
    """Return an id that sorts by time, such as 20261121T013000Z-3f9c; `now` must have a time zone."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}"
