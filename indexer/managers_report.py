"""The manager's report: how the last nights went, and what to look at in the catalogue."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
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
class ManagersReport:
    """All of it.

    Attributes:
        made_at: when.
        counts: of the catalogue.
        runs: the latest index runs, the newest first.
        feeds: the latest imports, the newest first.
        notes: what to look at.
    """

    made_at: datetime
    counts: dict[str, int]
    runs: list[dict[str, Any]]
    feeds: list[dict[str, Any]]
    notes: tuple[Note, ...]

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
        return sorted(found, key=lambda night: night.began, reverse=True)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "made": self.made_at.isoformat(),
            "catalogue": self.counts,
            "runs": self.runs,
            "feeds": self.feeds,
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
    counts = {
        "products": counted.products,
        "withdrawn": counted.withdrawn,
        "pictures": counted.pictures,
        "unreadable": counted.unreadable,
    }
    return ManagersReport(utc_now(), counts, runs, feeds, tuple(notes))


def _last_findings(feeds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return next((feed["findings"] for feed in feeds if feed["state"] != "refused"), [])


def _run(row: Any, *, going: bool) -> dict[str, Any]:
    return {
        "started": row.started_at.isoformat(),
        "state": run.state_of(row, going=going),
        "message": row.message,
        "seconds": sum(row.counts.get("seconds", {}).values()) if row.counts else 0.0,
    }


def _of_marks(settings: Settings, shown: Sequence[Shown]) -> Iterator[Note]:
    """Yield whose pictures bear a mark: the whole catalogue's, else which brands'."""
    store, limits = ImageStore(settings.pictures), Limits.of(settings)
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
    indexed = [one for one in shown if one.image_id in held]
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
