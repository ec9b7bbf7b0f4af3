"""A shop on some database that gets a feed each night."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from catalog import queries
from indexer.build import nightly
from indexer.build.run import RunReport
from indexer.feed.importer import ImportReport
from tests.fakes import EncoderFactory
from vsearch.core.settings import Settings
from vsearch.index import generation as generations


@dataclass
class Retailer:
    """A shop on some database, its feed as rows, and its nights."""

    settings: Settings
    sessions: sessionmaker[Session]
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    images: str = ""
    opened: EncoderFactory = field(default_factory=EncoderFactory)

    def night(self, told: Callable[[], None] = lambda: None, **options: Any) -> tuple[ImportReport, RunReport]:
        """Take the feed, say that SQL holds it now, and index."""
        took: list[ImportReport] = []

        def imported(report: ImportReport) -> None:
            took.append(report)
            told()

        options = {"open_encoder": self.opened} | options
        report = nightly.run_nightly_job(
            self.settings, feed=str(self.write()), images=self.images, on_imported=imported, **options
        )
        return took[0], report

    def write(self) -> Path:
        """Write the feed."""
        file = self.settings.data / "feed.csv"
        with file.open("w", newline="", encoding="utf8") as lines:
            writer = csv.DictWriter(lines, next(iter(self.rows.values())))
            writer.writeheader()
            writer.writerows(self.rows.values())
        return file

    def live(self) -> set[tuple[str, str]]:
        """Return sku and picture of all that is published."""
        ids = generations.load(generations.current(self.settings.generations)).gallery.image_ids.tolist()
        with self.sessions() as session:
            rows = queries.gallery_rows(session)
        assert [row.image_id for row in rows] == ids
        return {(row.sku, row.sha256) for row in rows}
