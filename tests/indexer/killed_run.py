"""Runs an index run, a nightly job or a promotion in a process that kills itself at a chosen event.

Events are starts and steps of stages, SQL statements and commits, file operations that write (open, rename, remove,
...) and fsync. They depend only on the work, not on the machine's speed.
"""

import hashlib
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from catalog.models import StoredBlocks
from catalog.stored_blocks import Key
from indexer.build.encode import view_of
from indexer.build.reindex import reindex
from indexer.promotion.promote import promote
from tests.fakes import FakeEncoder, FrozenClock
from tests.indexer.shop import Shop, settings_of
from vsearch.core.progress import ProgressCallback
from vsearch.detection.detector import no_detector
from vsearch.imaging.codec import Picture, decode
from vsearch.models.checkpoint import Checkpoint, load

LOG = "encoded.log"
COUNTS = "events.json"
WRITING = {"os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
"""Audit events of file operations, in addition to opening for writing.

Creating a folder is not included, since its number of events depends on earlier pictures.
"""


@dataclass(frozen=True)
class Moment:
    """When to kill a run: at the n-th event of a stage, the first being its start; stage "" precedes all others."""

    stage: str
    event: int = 1


class LoggingEncoder(FakeEncoder):
    """An encoder that logs which pictures it encodes."""

    folder: Path

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Encode pictures and log their digests."""
        blocks = super().blocks(pictures)
        with (self.folder / LOG).open("a") as log:
            log.writelines(f"{digest(picture)}\n" for picture in pictures)
        return blocks


def digest(picture: Picture) -> str:
    """Return the name of a picture in the log."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


_digests: dict[Key, str] = {}  # drawing every view takes longer than a run


def stored(shop: Shop) -> set[str]:
    """Return the names, in the log, of the views whose blocks are stored."""
    with shop.sessions() as session:
        rows = session.execute(sa.select(StoredBlocks.sha256, StoredBlocks.view))
        keys: set[Key] = {(sha256, view) for sha256, view in rows}
    for sha256, view in keys:
        if (sha256, view) not in _digests:
            _digests[sha256, view] = digest(view_of(decode(shop.store.read(sha256)), sha256, view))
    return {_digests[key] for key in keys}


def encoded(shop: Shop) -> list[str]:
    """Return the digests of the pictures encoded in all runs."""
    log = shop.settings.data / LOG
    return log.read_text().splitlines() if log.exists() else []


class KillingProgress:
    """Progress that counts the events of each stage and kills the process at a moment; None lets it finish.

    Create only one per process, since its listeners cannot be removed.
    """

    def __init__(self, moment: Moment | None, clock: FrozenClock) -> None:
        self.moment, self.clock = moment, clock
        self.stage = ""
        self.counts: Counter[str] = Counter()
        self.lock = threading.RLock()
        self.force = os.fsync
        os.fsync = self.fsync  # type: ignore[assignment]  # affects only this process
        sa.event.listen(sa.Engine, "before_cursor_execute", lambda *_: self.count_event())
        sa.event.listen(sa.Engine, "commit", lambda *_: self.count_event())
        sys.addaudithook(self.audit)

    def __call__(self, stage: str) -> "KillingProgress":
        """Start a stage."""
        self.stage = stage
        self.count_event()
        return self

    def __enter__(self) -> ProgressCallback:
        return lambda done, total: self.count_event()

    def __exit__(self, *error: object) -> None:
        return None

    def audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Count file operations."""
        if name in WRITING or (name == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            self.count_event()

    def fsync(self, handle: int) -> None:
        """Sync a file; at the chosen moment, half of it is lost, as in a power cut."""
        self.count_event(handle)
        self.force(handle)

    def count_event(self, handle: int | None = None) -> None:
        """Count an event; kill the process if it is the chosen one."""
        with self.lock:
            self.counts[self.stage] += 1
            if self.moment == Moment(self.stage, self.counts[self.stage]):
                with suppress(OSError):  # a folder has no length
                    if handle is not None:
                        os.truncate(handle, os.fstat(handle).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)


def logging_encoder(folder: Path) -> Callable[[Checkpoint], LoggingEncoder]:
    """Return a function that opens an encoder that logs to this folder."""

    def open_encoder(checkpoint: Checkpoint) -> LoggingEncoder:
        encoder = LoggingEncoder(checkpoint)
        encoder.folder = folder
        return encoder

    return open_encoder


def nightly_child(folder: Path, progress: KillingProgress, database_url: str = "") -> None:
    """Import the feed in the folder and index, in the child process."""
    reindex(
        settings_of(folder, database_url=database_url, max_shrink_share=1.0),
        feed=str(folder / "feed.csv"),
        images=str(folder / "images"),
        open_encoder=logging_encoder(folder),
        open_detector=no_detector,
        progress=progress,
        clock=progress.clock,
        accept={"drift"},
        delete_unused=True,
    )


def promoting_child(folder: Path, progress: KillingProgress) -> None:
    """Promote the checkpoint in the folder "candidate", in the child process."""
    settings = settings_of(folder, checkpoint="")
    promote(
        settings,
        load(folder / "candidate"),
        allow_drop=1,
        open_encoder=FakeEncoder,
        open_detector=no_detector,
        progress=progress,
        clock=progress.clock,
    )


Child = Callable[[Path, KillingProgress], None]


def run_until(folder: Path, moment: Moment | None, child: Child) -> int:
    """Run in a new process until the moment or the end; return the exit code, which is -9 if it was killed."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "faiss", "alembic.command", "sklearn.linear_model", "psycopg"])
    process = context.Process(target=_run, args=(folder, moment, child), daemon=True)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def events(folder: Path) -> dict[str, int]:
    """Return the number of events in each stage of the last finished run in this folder."""
    counts: dict[str, int] = json.loads((folder / COUNTS).read_text())
    return counts


def spread(counts: dict[str, int], number: int) -> list[Moment]:
    """Return `number` moments, evenly spaced over all events of a run."""
    every = [Moment(stage, event) for stage, count in counts.items() for event in range(1, count + 1)]
    return [every[index] for index in np.linspace(0, len(every) - 1, number).round().astype(int)]


def _run(folder: Path, moment: Moment | None, child: Child) -> None:
    progress = KillingProgress(moment, _next_clock(folder))
    child(folder, progress)
    (folder / COUNTS).write_text(json.dumps(progress.counts))


def _next_clock(folder: Path) -> FrozenClock:
    """Return a clock one day after that of the last run, since generations created in the same second have no order."""
    clock, days = FrozenClock(), folder / "days"
    with days.open("a") as file:
        file.write(".")
    clock.move(seconds=days.stat().st_size * 24 * 3600)
    return clock
