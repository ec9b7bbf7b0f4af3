"""What a generation says of itself: the parsed `manifest.json`, and the words for a score."""

from datetime import UTC, datetime
from functools import cached_property
from secrets import token_hex
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from vsearch.settings import Metric

ID_PATTERN = r"^\d{8}T\d{6}Z-[0-9a-f]{4}$"

MatchLabel = Literal["exact", "very similar", "similar", "nothing close"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MatchThresholds(_Record):
    """The least margin (`vsearch.strangers`; the cosine, where there are none) called exact, very similar, similar."""

    exact: float = 0.8
    very_similar: float = 0.6
    similar: float = 0.4

    def match_label(self, margin: float) -> MatchLabel:
        """Return the words for a margin."""
        if margin >= self.exact:
            return "exact"
        if margin >= self.very_similar:
            return "very similar"
        return "similar" if margin >= self.similar else "nothing close"


class Likeness(_Record):
    """What scores mean: the thresholds of each class, and `all` for classes that have none of their own.

    `usual` is how near to strangers photos of the shop's own products usually are.
    """

    all: MatchThresholds = MatchThresholds()
    classes: dict[str, MatchThresholds] = Field(default_factory=dict)
    usual: float = 0.0

    def match_label(self, class_name: str, margin: float) -> MatchLabel:
        """Return the words for the margin of a product of a class."""
        return self.classes.get(class_name, self.all).match_label(margin)


class Quality(_Record):
    """How well a generation finds, by made photos of its own products: how many, the share whose product comes first,
    and the median of the score of their own product."""

    views: int
    hit_at_1: float
    own_score: float


class Origin(_Record):
    """What a generation was made of.

    `fingerprint` is the hash of all inputs: an index run whose inputs have the fingerprint of the current
    generation has nothing to do. `previous` is the generation that was current before, for rollback;
    `model_before` is the last one that the model before this one's made, for taking a promotion back.
    """

    generation_id: str = Field(pattern=ID_PATTERN)
    created_at: datetime
    checkpoint_id: str
    blocks_id: str
    fingerprint: str
    previous: str | None = Field(default=None, pattern=ID_PATTERN)
    model_before: str | None = Field(default=None, pattern=ID_PATTERN)


class ClassEntry(_Record):
    """One class: its name, its pictures, the FAISS factory string, and its file under each metric.

    `thresholds` are None where it has those of all classes together; manifests before these were per class have none.
    """

    name: str
    count: int
    index_key: str
    files: dict[Metric, str]
    thresholds: MatchThresholds | None = None


class Manifest(Origin):
    """All of `manifest.json`. `checksums` maps every other file of the folder to its SHA-256; generations before
    it was measured have no `quality`."""

    format_version: Literal[1] = 1
    embedding_size: int
    metrics: tuple[Metric, ...]
    thresholds: MatchThresholds
    usual_nearness: float = 0.0
    quality: Quality | None = None
    classes: tuple[ClassEntry, ...]
    checksums: dict[str, str]

    @cached_property
    def likeness(self) -> Likeness:
        """What scores mean, by class."""
        own = {entry.name: entry.thresholds for entry in self.classes if entry.thresholds is not None}
        return Likeness(all=self.thresholds, classes=own, usual=self.usual_nearness)


def new_id(now: datetime) -> str:
    """Return an id that sorts by time, such as 20261121T013000Z-3f9c; `now` has a time zone."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{token_hex(2)}"
