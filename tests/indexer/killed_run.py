"""An index run or a promotion in a process of its own that kills itself, or is killed, at a chosen moment."""

import hashlib
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from indexer import night
from indexer.promote import promote
from indexer.report import Advance
from indexer.run import run
from tests.fakes import FakeEncoder
from tests.indexer.shop import open_shop
from vsearch.images import Picture
from vsearch.model.checkpoint import Checkpoint, load

LOG = "encoded.log"


@dataclass(frozen=True)
class Moment:
    """When a run dies: as a stage begins, at its n-th step or n-th forced write, or after some seconds; else never."""

    stage: str = ""
    step: int = 0
    write: int = 0
    seconds: float = 0

    @property
    def never(self) -> bool:
        """Whether the run is let finish."""
        return self == Moment()


def die() -> None:
    """End at once; nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


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


class Deadly:
    """Progress that kills the process at its moment."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self.stage = ""
        self.count = 0
        self.write = os.fsync

    def __call__(self, stage: str) -> "Deadly":
        """Take note of the stage."""
        self.stage = stage
        if stage == self.moment.stage and not (self.moment.step or self.moment.write):
            die()
        return self

    def __enter__(self) -> Advance:
        return lambda done, total: self._count(self.moment.step)

    def __exit__(self, *error: object) -> None:
        return None

    def fsync(self, handle: int) -> None:
        """Force a write, unless this is the one to die at."""
        self._count(self.moment.write)
        self.write(handle)

    def _count(self, last: int) -> None:
        if last and self.stage == self.moment.stage:
            self.count += 1
            if self.count == last:
                die()


def logging_encoder(folder: Path) -> Callable[[Checkpoint], LoggingEncoder]:
    """Return what opens an encoder that logs in this folder."""

    def open_encoder(checkpoint: Checkpoint) -> LoggingEncoder:
        encoder = LoggingEncoder(checkpoint)
        encoder.folder = folder
        return encoder

    return open_encoder


def child(folder: Path, moment: Moment) -> None:
    """Run, in the child process."""
    deadly = Deadly(moment)
    os.fsync = deadly.fsync  # type: ignore[assignment]  # a process of its own, which dies of it
    with threadpool_limits(1):
        run(open_shop(folder).settings, open_encoder=logging_encoder(folder), progress=deadly)


def night_child(folder: Path, moment: Moment, database_url: str = "") -> None:
    """Take the feed in the folder and index, in the child process."""
    deadly = Deadly(moment)
    os.fsync = deadly.fsync  # type: ignore[assignment]  # a process of its own, which dies of it
    settings = open_shop(folder, database_url=database_url, max_shrink_share=1.0).settings
    feed, images = str(folder / "feed.csv"), str(folder / "images")
    with threadpool_limits(1):
        night.run(
            settings,
            feed=feed,
            images=images,
            open_encoder=logging_encoder(folder),
            progress=deadly,
            accept={"drift"},
        )


def promoting_child(folder: Path, moment: Moment) -> None:
    """Promote the checkpoint in the folder "candidate", in the child process."""
    deadly = Deadly(moment)
    os.fsync = deadly.fsync  # type: ignore[assignment]  # a process of its own, which dies of it
    settings = open_shop(folder, checkpoint="").settings
    with threadpool_limits(1):
        promote(settings, load(folder / "candidate"), open_encoder=FakeEncoder, progress=deadly, allow_drop=1)


def run_until(folder: Path, moment: Moment, target: Callable[[Path, Moment], None] = child) -> int:
    """Run in a new process until the moment, or to the end, and return its exit code: -9 when it was killed."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "faiss", "alembic.command", "sklearn.linear_model"])
    process = context.Process(target=target, args=(folder, moment))
    process.start()
    process.join(moment.seconds or 60)
    process.kill()
    process.join()
    assert process.exitcode is not None
    return process.exitcode
