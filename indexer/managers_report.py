"""The manager's report: how the last nights went, and what to look at in the catalogue."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy.orm import Session, sessionmaker

from catalog import embeddings, imports, queries
from catalog import review as reading
from catalog.database import opened
from catalog.imagestore import ImageStore
from catalog.models import utc_now
from catalog.review import Shown
from indexer import marks, review, run
from indexer.build import assign_classes
from indexer.review import Kind, Note
from vsearch import generation as generations
from vsearch import retention
from vsearch.errors import CheckpointError, GenerationError, VSearchError
from vsearch.images import Limits, decode, resize
from vsearch.serving import find_checkpoint
from vsearch.settings import Settings

AT_ONCE = 5000
"""Pictures whose blocks are in memory at a time."""


@dataclass(frozen=True)
class Night:
    """An import or an index run: when it began (ISO 8601), which of the two, how it ended, and in which words."""

    began: str
    what: str
    ended: str
    said: str


@dataclass(frozen=True)
class Live:
    """The generation that shoppers see, since when (ISO 8601), and those on disk that were taken back."""

    generation_id: str
    since: str
    taken_back: tuple[str, ...]

    @property
    def is_rolled_back(self) -> bool:
        """Whether a newer one was published, and this one serves again."""
        return any(name > self.generation_id for name in self.taken_back)

    def text(self) -> str:
        """Return it in words."""
        since = self.since[:16].replace("T", " ")
        if self.is_rolled_back:
            newer = ", ".join(name for name in self.taken_back if name > self.generation_id)
            return f"Generation {self.generation_id} is live again since {since}: it was rolled back to from {newer}."
        earlier = f" Taken back before: {', '.join(self.taken_back)}." if self.taken_back else ""
        return f"Generation {self.generation_id} is live since {since}.{earlier}"


@dataclass(frozen=True)
class ManagersReport:
    """All of it.

    Attributes:
        made_at: when.
        counts: of the catalogue.
        runs: the latest index runs, the newest first.
        feeds: the latest imports, the newest first.
        notes: what to look at.
        titles: of the products that the notes are about, by sku.
        live: what shoppers see; None if nothing is published.
    """

    made_at: datetime
    counts: dict[str, int]
    runs: list[dict[str, Any]]
    feeds: list[dict[str, Any]]
    notes: tuple[Note, ...]
    titles: Mapping[str, str]
    live: Live | None

    def names(self, note: Note, limit: int) -> list[str]:
        """Return sku and title of the first products that a note is about."""
        return [f"{sku} {self.titles.get(sku, '')}".rstrip() for sku in note.skus[:limit]]

    def of(self, kind: Kind) -> list[Note]:
        """Return the notes of a kind."""
        return [note for note in self.notes if note.kind == kind]

    def nights(self) -> list["Night"]:
        """Return imports and index runs, the newest first; a feed that was refused is told once."""
        found = [Night(feed["started"], "feed", feed["state"], _said(feed)) for feed in self.feeds]
        told = {feed["message"] for feed in self.feeds if feed["state"] == "refused"}
        found += [
            Night(run["started"], "index", run["state"], run["message"])
            for run in self.runs
            if run["message"] not in told
        ]
        if self.live and self.live.is_rolled_back:
            found.append(Night(self.live.since, "rollback", "rolled back", self.live.text()))
        return sorted(found, key=lambda night: night.began, reverse=True)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "made": self.made_at.isoformat(),
            "catalogue": self.counts,
            "runs": self.runs,
            "feeds": self.feeds,
            "live": self.live and asdict(self.live),
            "titles": dict(self.titles),
            "notes": [note.as_json() for note in self.notes],
        }


def make(settings: Settings) -> ManagersReport:
    """Look at the catalogue and at what is published."""
    with opened(settings.catalogue_url) as sessions:
        with sessions() as session:
            counted = queries.counts(session)
            going = run.going(settings)
            runs = [_run(row, going=going) for row in queries.latest_runs(session, 7)]
            feeds = [imports.as_json(row) for row in imports.latest(session, 7)]
            shown = reading.shown(session)
            notes = [
                *review.bad_rows(feeds[0]["findings"] if feeds else []),
                *review.without_picture(reading.without_picture(session)),
                *review.failing(reading.failing(session), _last_findings(feeds)),
            ]
        notes += [*review.small(shown), *_of_marks(settings, shown), *review.same(shown)]
        notes += _of_index(settings, sessions, shown)
        with sessions() as session:
            titles = reading.titles(session, {sku for note in notes for sku in note.skus})
    counts = {
        "products": counted.products,
        "withdrawn": counted.withdrawn,
        "pictures": counted.pictures,
        "unreadable": counted.unreadable,
    }
    return ManagersReport(utc_now(), counts, runs, feeds, tuple(notes), titles, _live(settings))


def _live(settings: Settings) -> Live | None:
    folder = settings.generations
    try:
        current = generations.current(folder).name
        since = datetime.fromtimestamp((folder / generations.CURRENT).stat().st_mtime, UTC)
    except (GenerationError, OSError):
        return None
    return Live(current, since.isoformat(), tuple(retention.rolled_back(folder)))


def _last_findings(feeds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return next((feed["findings"] for feed in feeds if feed["state"] != "refused"), [])


def _run(row: Any, *, going: bool) -> dict[str, Any]:
    return {
        "started": row.started_at.isoformat(),
        "state": run.state_of(row, going=going),
        "message": row.message,
        "seconds": sum(row.counts.get("seconds", {}).values()) if row.counts else 0.0,
        "freed": row.counts.get("freed", {}) if row.counts else {},
    }


def _of_marks(settings: Settings, shown: Sequence[Shown]) -> Iterator[Note]:
    """Yield whose pictures bear a mark: the whole catalogue's, else which brands'."""
    store, limits = ImageStore(settings.pictures), Limits.from_settings(settings)
    for group, chosen in marks.groups(shown):
        looked_at, grey = [], []
        for one in chosen:
            with suppress(VSearchError):
                picture = decode(store.read(one.sha256), limits, max_side=2 * marks.SIDE)
                grey.append(resize(picture, marks.SIDE, marks.SIDE).mean(axis=2).astype(np.uint8))
                looked_at.append(one)
        note = marks.note(group, looked_at, marks.bearers(np.array(grey)))
        if note:
            yield note
        if note and group == marks.ALL:
            return


def _of_index(settings: Settings, sessions: sessionmaker[Session], shown: Sequence[Shown]) -> Iterator[Note]:
    """Yield what needs an index and its model; nothing where there are none."""
    try:
        generation = generations.load(generations.current(settings.generations))
        checkpoint = find_checkpoint(settings, generation.checkpoint_id)
    except (GenerationError, CheckpointError):
        return
    yield from review.nearly_same(shown, generation.gallery)
    held = set(generation.gallery.image_ids.tolist())
    keys = [(one.sha256, 0) for one in shown]
    with sessions() as session:
        lacking = set(embeddings.missing(session, checkpoint.blocks_id, keys))  # of products that came back lately
    indexed = [one for one in shown if one.image_id in held and (one.sha256, 0) not in lacking]
    classes = assign_classes([one.category for one in indexed], settings.min_class_size)
    for start in range(0, len(indexed), AT_ONCE):
        part = indexed[start : start + AT_ONCE]
        with sessions() as session:
            blocks = embeddings.read(session, checkpoint.blocks_id, [(one.sha256, 0) for one in part])
        said = checkpoint.heads.predict(blocks)
        yield from review.other_category(part, classes[start : start + AT_ONCE], said)


def _said(feed: dict[str, Any]) -> str:
    """Return why an import was refused, or what it did and warned of."""
    counts = ", ".join(f"{count} {name}" for name, count in feed["counts"].items() if count)
    return "; ".join(part for part in (counts, feed["message"]) if part)
