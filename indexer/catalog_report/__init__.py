"""The catalog report: the results of the latest nightly jobs, and what to correct in the catalog."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from catalog import imports, queries, stored_blocks
from catalog.database import chunks, open_catalog
from catalog.image_store import ImageStore
from catalog.models import Product, utc_now
from catalog.queries import GalleryRow
from indexer.build import run_context
from indexer.build.class_indexes import assign_classes
from indexer.catalog_report import findings, watermarks
from indexer.catalog_report.findings import TITLES, Finding
from vsearch.core.errors import CheckpointError, GenerationError, VSearchError
from vsearch.core.files import replace_text
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits, decode, encode_jpeg, resize
from vsearch.index import generation as generations
from vsearch.index import retention
from vsearch.models import registry

LATEST = 7
"""Number of imports, and of index runs, to list."""

MAX_LISTED = 60
"""Maximum findings of each kind on the HTML page; the JSON report lists all of them."""

_THUMBNAIL = 160  # px
_BATCH = 5000  # images whose blocks are in memory at a time


@dataclass(frozen=True)
class HistoryEntry:
    """A feed import, index run or rollback; `started` in ISO 8601."""

    started: str
    kind: str
    state: str
    message: str


@dataclass(frozen=True)
class PublishedGeneration:
    """The published generation, when it was published (ISO 8601), and later generations that were rolled back.

    `labels` says how its match labels were calibrated.
    """

    generation_id: str
    since: str
    rolled_back: tuple[str, ...]
    labels: str

    @property
    def is_rollback(self) -> bool:
        """Whether a newer generation was published before and rolled back."""
        return any(name > self.generation_id for name in self.rolled_back)

    def text(self) -> str:
        """Return a description in one or two sentences."""
        since, names = self.since[:16].replace("T", " "), ", ".join(self.rolled_back)
        rolled_back = f" Rolled back: {names}." if names else ""
        return f"Generation {self.generation_id} has been published since {since}.{rolled_back}"


@dataclass(frozen=True)
class CatalogReport:
    """The report: the latest runs and imports, newest first, and findings, with the titles of their products by SKU."""

    created_at: str
    counts: dict[str, int]
    runs: list[dict[str, Any]]
    imports: list[dict[str, Any]]
    findings: tuple[Finding, ...]
    titles: dict[str, str]
    published: PublishedGeneration | None

    def names(self, finding: Finding, limit: int) -> list[str]:
        """Return the SKU and title of the first products of a finding."""
        return [f"{sku} {self.titles.get(sku, '')}".rstrip() for sku in finding.skus[:limit]]

    def of_kind(self, kind: str) -> list[Finding]:
        """Return the findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def history(self) -> list[HistoryEntry]:
        """Return the imports, the index runs and any rollback, newest first; a refused feed is listed once."""
        entries = []
        for each in self.imports:
            counts = ", ".join(f"{count} {name}" for name, count in each["counts"].items() if count)
            message = "; ".join(part for part in (counts, each["message"]) if part)
            entries.append(HistoryEntry(each["started"], "feed", each["state"], message))
        refusals = {each["message"] for each in self.imports if each["state"] == "refused"}
        for each in self.runs:
            if each["message"] not in refusals:
                entries.append(HistoryEntry(each["started"], "index", each["state"], each["message"]))
        if self.published and self.published.is_rollback:
            text = self.published.text()
            entries.append(HistoryEntry(self.published.since, "rollback", "rolled back", text))
        return sorted(entries, key=lambda entry: entry.started, reverse=True)


def create(settings: Settings) -> CatalogReport:
    """Examine the catalog and the published index."""
    with open_catalog(settings.catalog_url) as sessions:
        with sessions() as session:
            runs = latest_runs(settings, session, LATEST)
            latest_imports = [imports.as_json(row) for row in imports.latest(session, LATEST)]
            counts = queries.counts(session)
            pictures = queries.gallery_rows(session)
            found = [*findings.of_imports(session, latest_imports), *findings.without_picture(session)]
        found += findings.small_pictures(pictures)
        found += _watermarks(settings, pictures)
        found += findings.shared_pictures(pictures)
        found += _index_findings(settings, sessions, pictures)
        titles: dict[str, str] = {}
        with sessions() as session:
            for part in chunks(sorted({sku for finding in found for sku in finding.skus})):
                rows = session.execute(select(Product.sku, Product.title).where(Product.sku.in_(part)))
                titles.update((sku, title) for sku, title in rows)
    now, published = utc_now().isoformat(), _published(settings)
    return CatalogReport(now, counts, runs, latest_imports, tuple(found), titles, published)


def latest_runs(settings: Settings, session: Session, limit: int) -> list[dict[str, Any]]:
    """Return the latest index runs as plain data, newest first."""
    is_running = run_context.is_running(settings)
    return [
        {
            "started": run.started_at.isoformat(),
            "state": run_context.state_of(run, is_running=is_running),
            "generation_id": run.generation_id,
            "message": run.message,
            "counts": run.counts or {},
        }
        for run in queries.latest_runs(session, limit)
    ]


def render_html(report: CatalogReport, settings: Settings) -> str:
    """Return the report as an HTML page with embedded thumbnails."""
    store, limits = ImageStore(settings.pictures), Limits.from_settings(settings)

    def thumbnail(sha256: str) -> str:
        """Return a data URL, or "" if the image cannot be read."""
        try:
            picture = decode(store.read(sha256), limits, max_side=_THUMBNAIL)
        except VSearchError:
            return ""
        return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(picture, quality=80)).decode()}"

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["thumbnail"] = thumbnail
    template = environment.from_string((resources.files(__package__) / "report.html").read_text("utf8"))
    return template.render(report=report, titles=TITLES, limit=MAX_LISTED)


def save(settings: Settings, report: CatalogReport) -> Path:
    """Write report.json and report.html to the data folder, replacing earlier ones; return the path of the page."""
    folder = settings.data / "report"
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(
        folder / "report.json", json.dumps(asdict(report) | {"headings": TITLES}, indent=1, ensure_ascii=False) + "\n"
    )
    replace_text(folder / "report.html", render_html(report, settings))
    return folder / "report.html"


def _published(settings: Settings) -> PublishedGeneration | None:
    folder = settings.generations
    try:
        current = generations.current(folder)
        labels = generations.read_manifest(current).match_calibration.text()
        since = datetime.fromtimestamp((folder / generations.CURRENT).stat().st_mtime, UTC)
    except (GenerationError, OSError):
        return None
    return PublishedGeneration(current.name, since.isoformat(), tuple(retention.rolled_back(folder)), labels)


def _watermarks(settings: Settings, pictures: Sequence[GalleryRow]) -> Iterator[Finding]:
    """Yield the finding for the whole catalog if there is one, otherwise those for individual brands."""
    store, limits = ImageStore(settings.pictures), Limits.from_settings(settings)
    for group, sample in watermarks.groups(pictures):
        decoded, gray = [], []
        for each in sample:
            with suppress(VSearchError):
                picture = decode(store.read(each.sha256), limits, max_side=2 * watermarks.SIDE)
                gray.append(resize(picture, watermarks.SIDE, watermarks.SIDE).mean(axis=2).astype(np.uint8))
                decoded.append(each)
        finding = watermarks.finding(group, decoded, watermarks.find_watermarked(np.array(gray)))
        if finding:
            yield finding
            if group == watermarks.WHOLE_CATALOG:
                return


def _index_findings(
    settings: Settings, sessions: sessionmaker[Session], pictures: Sequence[GalleryRow]
) -> Iterator[Finding]:
    """Yield the findings that need the published index and its model, if these can be loaded."""
    try:
        generation = generations.load(generations.current(settings.generations))
        checkpoint = registry.find(settings, generation.checkpoint_id)
    except (GenerationError, CheckpointError):
        return
    yield from findings.near_duplicates(pictures, generation.gallery)
    indexed_ids = set(generation.gallery.image_ids.tolist())
    with sessions() as session:  # blocks of products restored since the last run may have been deleted
        missing = set(stored_blocks.missing(session, checkpoint.blocks_id, [(each.sha256, 0) for each in pictures]))
    indexed = [each for each in pictures if each.image_id in indexed_ids and (each.sha256, 0) not in missing]
    classes = assign_classes([each.category for each in indexed], settings.min_class_size)
    for start in range(0, len(indexed), _BATCH):
        batch = indexed[start : start + _BATCH]
        with sessions() as session:
            blocks = stored_blocks.read(session, checkpoint.blocks_id, [(each.sha256, 0) for each in batch])
        predictions = checkpoint.retrieval.heads.predict(blocks)
        yield from findings.suspect_categories(batch, classes[start : start + _BATCH], predictions)
