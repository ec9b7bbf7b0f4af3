"""An index run, a night or a promotion in a process of its own that kills itself at a chosen event.

Events are what a run leaves traces by, and what may lie between two of them: a stage begins, a step of it is done, an
SQL statement or a commit, a file operation that writes (opened, renamed, removed, ...), and a forced write. They depend
on the work alone, never on how fast the machine is.
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
from indexer.build.nightly import reindex
from indexer.promotion.promote import promote
from tests.fakes import FakeEncoder, FrozenClock
from tests.indexer.shop import Shop, settings_of
from vsearch.core.progress import ProgressCallback
from vsearch.imaging.codec import Picture, decode
from vsearch.models.checkpoint import Checkpoint, load

LOG = "encoded.log"
COUNTS = "events.json"
WRITING = {"os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
"""Names that Python's audit hooks have for file operations; opening is one only where it is for writing.

Making a folder is none: how many tries that takes depends on which pictures have been stored before.
"""


@dataclass(frozen=True)
class Moment:
    """When a run dies: at the n-th event of a stage; its beginning is the first. The stage "" precedes all others."""

    stage: str
    event: int = 1


class LoggingEncoder(FakeEncoder):
    """Writes down which pictures it encodes."""

    folder: Path

    def blocks(self, pictures: Sequence[Picture]) -> NDArray[np.float16]:
        """Encode, and log the pictures' digests."""
        blocks = super().blocks(pictures)
        with (self.folder / LOG).open("a") as log:
            log.writelines(f"{digest(picture)}\n" for picture in pictures)
        return blocks


def digest(picture: Picture) -> str:
    """Return what a picture is called in the log."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


_digests: dict[Key, str] = {}  # drawing every view takes longer than a run


def stored(shop: Shop) -> set[str]:
    """Return what the views that blocks are stored for are called in the log."""
    with shop.sessions() as session:
        rows = session.execute(sa.select(StoredBlocks.sha256, StoredBlocks.view))
        keys: set[Key] = {(sha256, view) for sha256, view in rows}
    for sha256, view in keys:
        if (sha256, view) not in _digests:
            _digests[sha256, view] = digest(view_of(decode(shop.store.read(sha256)), sha256, view))
    return {_digests[key] for key in keys}


def encoded(shop: Shop) -> list[str]:
    """Return the digests of the pictures that were encoded, in all runs together."""
    log = shop.settings.data / LOG
    return log.read_text().splitlines() if log.exists() else []


class Deadly:
    """Progress that counts the events of each stage and kills the process at its moment.

    Create it once in a process: nothing that it listens to can be let go of.

    Args:
        moment: when to die; None lets the run end.
        clock: tells the run's time.
    """

    def __init__(self, moment: Moment | None, clock: FrozenClock) -> None:
        self.moment, self.clock = moment, clock
        self.stage = ""
        self.counts: Counter[str] = Counter()
        self.lock = threading.RLock()
        self.force = os.fsync
        os.fsync = self.fsync  # type: ignore[assignment]  # a process of its own, which dies of it
        sa.event.listen(sa.Engine, "before_cursor_execute", lambda *_: self.happen())
        sa.event.listen(sa.Engine, "commit", lambda *_: self.happen())
        sys.addaudithook(self.audit)

    def __call__(self, stage: str) -> "Deadly":
        """Take note of the stage."""
        self.stage = stage
        self.happen()
        return self

    def __enter__(self) -> ProgressCallback:
        return lambda done, total: self.happen()

    def __exit__(self, *error: object) -> None:
        return None

    def audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Count file operations."""
        if name in WRITING or (name == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            self.happen()

    def fsync(self, handle: int) -> None:
        """Force a write; where it is the one to die at, half of the file is lost, as in a power cut."""
        self.happen(handle)
        self.force(handle)

    def happen(self, handle: int | None = None) -> None:
        """Count an event, and die if it is the one."""
        with self.lock:
            self.counts[self.stage] += 1
            if self.moment == Moment(self.stage, self.counts[self.stage]):
                with suppress(OSError):  # a folder has no length
                    if handle is not None:
                        os.truncate(handle, os.fstat(handle).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)


def logging_encoder(folder: Path) -> Callable[[Checkpoint], LoggingEncoder]:
    """Return what opens an encoder that logs in this folder."""

    def open_encoder(checkpoint: Checkpoint) -> LoggingEncoder:
        encoder = LoggingEncoder(checkpoint)
        encoder.folder = folder
        return encoder

    return open_encoder


def run_child(folder: Path, progress: Deadly) -> None:
    """Run, in the child process."""
    reindex(settings_of(folder), open_encoder=logging_encoder(folder), progress=progress, clock=progress.clock)


def night_child(folder: Path, progress: Deadly, database_url: str = "") -> None:
    """Take the feed in the folder and index, in the child process."""
    reindex(
        settings_of(folder, database_url=database_url, max_shrink_share=1.0),
        feed=str(folder / "feed.csv"),
        images=str(folder / "images"),
        open_encoder=logging_encoder(folder),
        progress=progress,
        clock=progress.clock,
        accept={"drift"},
        delete_unused=True,
    )


def promoting_child(folder: Path, progress: Deadly) -> None:
    """Promote the checkpoint in the folder "candidate", in the child process."""
    settings = settings_of(folder, checkpoint="")
    promote(
        settings,
        load(folder / "candidate"),
        allow_drop=1,
        open_encoder=FakeEncoder,
        progress=progress,
        clock=progress.clock,
    )


Child = Callable[[Path, Deadly], None]


def run_until(folder: Path, moment: Moment | None, child: Child = run_child) -> int:
    """Run in a new process until the moment, or to the end, and return its exit code: -9 when it was killed."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "faiss", "alembic.command", "sklearn.linear_model", "psycopg"])
    process = context.Process(target=_run, args=(folder, moment, child), daemon=True)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def events(folder: Path) -> dict[str, int]:
    """Return how many events each stage had of the last run in this folder that nobody killed."""
    counts: dict[str, int] = json.loads((folder / COUNTS).read_text())
    return counts


def spread(counts: dict[str, int], number: int) -> list[Moment]:
    """Return so many moments at equal distances over all events of a run, from the first to the last."""
    every = [Moment(stage, event) for stage, count in counts.items() for event in range(1, count + 1)]
    return [every[index] for index in np.linspace(0, len(every) - 1, number).round().astype(int)]


def _run(folder: Path, moment: Moment | None, child: Child) -> None:
    deadly = Deadly(moment, _next_night(folder))
    child(folder, deadly)
    (folder / COUNTS).write_text(json.dumps(deadly.counts))


def _next_night(folder: Path) -> FrozenClock:
    """Return a clock a day after the last run's: of two generations of one second, chance says which is deleted."""
    clock, nights = FrozenClock(), folder / "nights"
    with nights.open("a") as file:
        file.write(".")
    clock.move(seconds=nights.stat().st_size * 24 * 3600)
    return clock
