"""Which generations stay on disk, and which one is gone back to."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from vsearch.errors import GenerationCorrupt, GenerationError, VSearchError
from vsearch.generation import BUILDING, Generation, current, current_id, listed, load, make_current, read_manifest

REMOVING = ".removing-"

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
    if to and to not in here:
        raise GenerationError(
            f"A rollback needs a generation that is on disk, but {to!r} is none of {', '.join(here)}; name one of them."
        )
    for candidate in [to] if to else _earlier(folder):
        try:
            usable(load(folder / candidate))
        except VSearchError as error:
            if to:
                raise
            log.warning("passed over: %s", error)
            continue
        make_current(folder, candidate)
        return candidate
    said = f"A rollback needs an intact generation before {_name(folder)}, but there is none on disk"
    newer = [name for name in here if name > _name(folder)]
    remedy = f"go to a newer one with --to {newer[-1]}" if newer else "run `vsearch index run` instead"
    raise GenerationError(f"{said}; {remedy}.")


def prune(folder: Path, keep: int) -> list[str]:
    """Delete all but the newest `keep`, the current one and those it can be rolled back to; return the deleted ids."""
    path = current(folder)
    kept = {*listed(folder)[-keep:], path.name, _before(folder, path.name), _model_before(folder, path.name)}
    for generation_id in (removed := [name for name in listed(folder) if name not in kept]):
        (folder / generation_id).rename(folder / f"{REMOVING}{generation_id}")
    clean(folder)
    return removed


def clean(folder: Path) -> None:
    """Delete what killed runs left half written or half deleted; only the holder of the run's lock may."""
    for prefix in (BUILDING, REMOVING):
        for path in folder.glob(f"{prefix}*"):
            shutil.rmtree(path)


def _earlier(folder: Path) -> Iterator[str]:
    """Yield what was current before, then what was before that, then all that are older; the newest first."""
    try:
        now = current(folder).name
    except GenerationCorrupt:  # the file that names it; then the newest that is whole is as good as any
        yield from reversed(listed(folder))
        return
    told = [now]
    while (before := _before(folder, told[-1])) and before not in told:
        told.append(before)
        yield before
    yield from (name for name in reversed(listed(folder)) if name < now and name not in told)


def _name(folder: Path) -> str:
    try:
        return current_id(folder) or ""
    except GenerationCorrupt:
        return "the current one, which is not named"


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
