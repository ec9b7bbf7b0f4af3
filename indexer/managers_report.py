"""The manager's report: how the last nights went, and what to look at in the catalogue; as JSON, or as a page."""

import base64
import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from catalog import embeddings, imports, queries
from catalog import review as reading
from catalog.database import opened
from catalog.imagestore import ImageStore
from catalog.models import utc_now
from catalog.review import Shown
from indexer import review, run
from indexer.build import assign_classes
from indexer.review import KINDS, Kind, Note
from vsearch import generation as generations
from vsearch.errors import CheckpointError, GenerationError, VSearchError
from vsearch.files import replace_text
from vsearch.images import Limits, decode, encode_jpeg
from vsearch.serving import find_checkpoint
from vsearch.settings import Settings

AT_ONCE = 5000
"""Pictures whose blocks are in memory at a time."""

ON_PAGE = 60
"""Notes of a kind that the page shows."""

_THUMBNAIL = 160


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
    with opened(settings.catalogue_url, write=True, create=False) as sessions:
        with sessions() as session:
            counted = queries.counts(session)
            going = run.going(settings)
            runs = [_run(row, going=going) for row in queries.latest_runs(session, 7)]
            feeds = [imports.as_json(row) for row in imports.latest(session, 7)]
            shown = reading.shown(session)
            notes = [
                *review.without_picture(reading.without_picture(session)),
                *review.failing(reading.failing(session), _last_findings(feeds)),
            ]
        notes += [*review.small(shown), *review.same(shown), *_of_index(settings, sessions, shown)]
    counts = {
        "products": counted.products,
        "withdrawn": counted.withdrawn,
        "pictures": counted.pictures,
        "unreadable": counted.unreadable,
    }
    return ManagersReport(utc_now(), counts, runs, feeds, tuple(notes))


def keep(settings: Settings, report: ManagersReport) -> Path:
    """Write report.json and report.html into the data folder, in place of the last ones; return the page."""
    folder = settings.data / "report"
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / "report.json", json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n")
    replace_text(folder / "report.html", as_page(report, settings))
    return folder / "report.html"


def _last_findings(feeds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return next((feed["findings"] for feed in feeds if feed["state"] != "refused"), [])


def _run(row: Any, *, going: bool) -> dict[str, Any]:
    return {
        "started": row.started_at.isoformat(),
        "state": row.state if going or row.state != "running" else "killed",
        "message": row.message,
        "seconds": sum(row.counts.get("seconds", {}).values()) if row.counts else 0.0,
    }


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


TITLES: dict[Kind, str] = {
    "no picture": "Products that no photo finds",
    "failing picture": "Pictures that cannot be had",
    "small picture": "Pictures that are too small",
    "same picture": "Products with the very same picture",
    "nearly the same": "Products that can hardly be told apart",
    "other category": "Products that look like another category",
}

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; } small, th { font-weight: 400; opacity: .7; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; }
ul { list-style: none; padding: 0; display: grid; gap: 1rem;
     grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); }
li { border: 1px solid #8884; border-radius: .5rem; padding: .8rem; overflow-wrap: anywhere; }
img { max-width: 48%; max-height: 9rem; background: #fff; border-radius: .3rem; margin-right: .3rem; }
.failed, .refused { color: #c0392b; } .wide { overflow-x: auto; }
"""


def as_page(report: ManagersReport, settings: Settings) -> str:
    """Return the report as one HTML page that needs nothing else: its pictures are in it."""
    store, limits = ImageStore(settings.pictures), Limits.of(settings)
    parts = [f"<p>{_counted(report)}</p>", *_nights(report)]
    for kind in KINDS:
        if found := report.of(kind):
            parts.append(f"<h2>{TITLES[kind]} <small>{len(found)}</small></h2><ul>")
            parts += [_item(note, store, limits) for note in found[:ON_PAGE]]
            parts.append("</ul>")
            if len(found) > ON_PAGE:
                parts.append(f"<p><small>and {len(found) - ON_PAGE} more, all of them in the JSON report</small></p>")
    if not report.notes:
        parts.append("<h2>Nothing to look at</h2><p>Every product has a picture that finds it.</p>")
    title = f"Catalogue report, {report.made_at:%d %B %Y, %H:%M} UTC"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(parts)}</body></html>\n"
    )


def _counted(report: ManagersReport) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in report.counts.items())


def _nights(report: ManagersReport) -> Iterator[str]:
    yield '<h2>The last nights</h2><div class="wide"><table><tr><th>began (UTC)</th><th>what</th><th>ended</th></tr>'
    for night in report.nights():
        when, state = html.escape(night.began[:16].replace("T", " ")), html.escape(night.ended)
        said = html.escape(f"{night.ended}. {night.said}")
        yield f'<tr><td>{when}</td><td>{night.what}</td><td class="{state}">{said}</td></tr>'
    yield "</table></div>"


def _said(feed: dict[str, Any]) -> str:
    """Return why an import was refused, or what it did and warned of."""
    counts = ", ".join(f"{count} {name}" for name, count in feed["counts"].items() if count)
    return "; ".join(part for part in (counts, feed["message"]) if part)


def _item(note: Note, store: ImageStore, limits: Limits) -> str:
    pictures = "".join(_thumbnail(sha256, store, limits) for sha256 in note.pictures[:2])
    skus = ", ".join(html.escape(sku) for sku in note.skus[:6]) + (" …" if len(note.skus) > 6 else "")
    return f"<li>{pictures}<div><strong>{skus}</strong> {html.escape(note.said)}</div></li>"


def _thumbnail(sha256: str, store: ImageStore, limits: Limits) -> str:
    try:
        picture = decode(store.read(sha256), limits, max_side=_THUMBNAIL)
    except VSearchError:
        return ""
    data = base64.b64encode(encode_jpeg(picture, quality=80)).decode()
    return f'<img alt="" src="data:image/jpeg;base64,{data}">'
