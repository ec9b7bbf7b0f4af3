"""Which generations stay on disk, and which one is gone back to."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from vsearch.errors import GenerationCorrupt, GenerationError, NoGeneration, VSearchError
from vsearch.files import REMOVING, leftovers, remove_folder
from vsearch.generation import BUILDING, Generation, current, current_id, listed, load, make_current, read_manifest

HIDDEN = (BUILDING, REMOVING)

log = logging.getLogger(__name__)


def rollback(folder: Path, to: str = "", usable: Callable[[Generation], object] = lambda generation: None) -> str:
    """Make an earlier generation current again, and return its id; one that cannot be served is passed over.

    Args:
        folder: of the generations.
        to: the one wanted; empty means that which was current before, else the newest older one that is whole.
        usable: raises what stands against serving it.

    Raises:
        NoGeneration: nothing has been published.
        GenerationError: there is none, or the one wanted is not there or damaged; nothing changed.
    """
    here = listed(folder)
    if not here:
        raise NoGeneration(f"A rollback needs a published index, but {folder} holds none; run `vsearch index run`.")
    if to and to not in here:
        raise GenerationError(
            f"A rollback needs a generation that is on disk, but {to!r} is none of {', '.join(here)}; name one of them."
        )
    now = _current(folder)
    for candidate in [to] if to else _earlier(folder, now):
        try:
            usable(load(folder / candidate))
        except (VSearchError, OSError) as error:
            if to:
                raise
            log.warning("passed over: %s", error)
            continue
        make_current(folder, candidate)
        return candidate
    newer = [name for name in here if now and name > now]
    remedy = f"go to a newer one with --to {newer[-1]}" if newer else "run `vsearch index run` instead"
    before = f"before {now}" if now else "on disk"
    raise GenerationError(f"A rollback needs an intact generation {before}, but there is none; {remedy}.")


def prune(folder: Path, keep: int) -> list[str]:
    """Delete all but the newest `keep`, the current one and those it can be rolled back to; return the deleted ids."""
    for generation_id in (removed := superseded(folder, keep)):
        remove_folder(folder / generation_id)
    clean(folder)
    return removed


def superseded(folder: Path, keep: int) -> list[str]:
    """Return the ids that `prune` deletes."""
    path = current(folder)
    kept = {*listed(folder)[-keep:], path.name, _before(folder, path.name), _model_before(folder, path.name)}
    return [name for name in listed(folder) if name not in kept]


def taken_back(folder: Path) -> list[str]:
    """Return the generations on disk that were published after the one that was then served again, the newest first.

    A run that follows a rollback publishes anew, and its manifest says what was current then: not what was taken back.
    """
    served = [now] if (now := _current(folder)) else []
    while served and (before := _before(folder, served[-1])) and before not in served:
        served.append(before)
    return [name for name in reversed(listed(folder)) if served and name > min(served) and name not in served]


def clean(folder: Path) -> None:
    """Delete what killed runs left half written or half deleted; only the holder of the run's lock may."""
    for path in leftovers(folder, HIDDEN):
        shutil.rmtree(path)


def _earlier(folder: Path, now: str | None) -> Iterator[str]:
    """Yield what was current before, then what was before that, then all that are older; the newest first.

    Where the file that names the current one is lost, the newest that is whole is as good as any.
    """
    if now is None:
        yield from reversed(listed(folder))
        return
    told = [now]
    while (before := _before(folder, told[-1])) and before not in told:
        told.append(before)
        yield before
    yield from (name for name in reversed(listed(folder)) if name < now and name not in told)


def _current(folder: Path) -> str | None:
    try:
        return current_id(folder)
    except GenerationCorrupt:
        return None


def _before(folder: Path, generation_id: str) -> str | None:
    """Return what was current before, if still on disk; by age where the manifest cannot say."""
    try:
        previous = read_manifest(folder / generation_id).previous
    except GenerationCorrupt:
        previous = max((name for name in listed(folder) if name < generation_id), default=None)
    return previous if previous in listed(folder) else None


def _model_before(folder: Path, generation_id: str) -> str | None:
    try:
        return read_manifest(folder / generation_id).model_before
    except GenerationCorrupt:
        return None
