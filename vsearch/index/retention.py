"""Retention of generations on disk, and rollback to an earlier one."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from vsearch.core.errors import GenerationCorrupt, GenerationError, NoGeneration, VSearchError
from vsearch.core.files import REMOVING, UNFINISHED, leftovers, remove_folder
from vsearch.index import delta as deltas
from vsearch.index.generation import (
    BUILDING,
    Generation,
    current,
    current_id,
    generation_ids,
    load,
    make_current,
    read_manifest,
)

HIDDEN = (BUILDING, REMOVING, UNFINISHED)
"""Name prefixes of files and folders that only a killed run leaves behind."""

log = logging.getLogger(__name__)


def rollback(folder: Path, to: str = "", usable: Callable[[Generation], object] = lambda generation: None) -> str:
    """Make an earlier generation current again and return its id.

    It is `to` or, if that is empty, the previously current one, or else the latest older one that can be served.
    `usable` raises if a generation cannot be served.

    Raises:
        GenerationError: there is no such generation, or it cannot be served; nothing has changed.
    """
    on_disk = generation_ids(folder)
    if not on_disk:
        raise NoGeneration(f"No index has been published in {folder}. Run `vsearch index run`.")
    if to and to not in on_disk:
        raise GenerationError(f"There is no generation {to!r} on disk. Choose one of {', '.join(on_disk)}.")
    now = _readable_current_id(folder)
    for candidate in [to] if to else _rollback_order(folder, now):
        try:
            usable(load(folder / candidate))
        except (VSearchError, OSError) as error:
            if to:
                raise
            log.warning("skipping generation %s: %s", candidate, error)
            continue
        make_current(folder, candidate)
        return candidate
    newer = [name for name in on_disk if now and name > now]
    remedy = f"Use --to {newer[-1]} for a newer one." if newer else "Run `vsearch index run`."
    raise GenerationError(f"There is no intact generation to roll back to{f' before {now}' if now else ''}. {remedy}")


def prune(folder: Path, keep: int) -> list[str]:
    """Delete the `prunable` generations and return their ids."""
    removed = prunable(folder, keep)
    for generation_id in removed:
        remove_folder(folder / generation_id)
    for path in deltas.orphans(folder, generation_ids(folder)):
        path.unlink(missing_ok=True)
    return removed


def prunable(folder: Path, keep: int) -> list[str]:
    """Return all ids except the newest `keep`, the current one, and those it can be rolled back to."""
    path = current(folder)
    try:
        model_before = read_manifest(path).model_before
    except GenerationCorrupt:
        model_before = None
    kept = {*generation_ids(folder)[-keep:], path.name, _previous(folder, path.name), model_before}
    return [name for name in generation_ids(folder) if name not in kept]


def rolled_back(folder: Path) -> list[str]:
    """Return the generations on disk that were current and then replaced by an older one, newest first.

    An index run after a rollback records the generation that was current then as previous, not the rolled-back one.
    """
    now = _readable_current_id(folder)
    if now is None:
        return []
    served = [now, *_predecessors(folder, now)]
    return [name for name in reversed(generation_ids(folder)) if name > min(served) and name not in served]


def remove_leftovers(folder: Path) -> None:
    """Delete partially written or deleted files left behind by killed runs; the caller must hold the index-run lock."""
    for path in leftovers(folder, HIDDEN):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _rollback_order(folder: Path, now: str | None) -> Iterator[str]:
    """Yield predecessors, then all other older generations; if `CURRENT` is lost, all generations, newest first."""
    before = [] if now is None else _predecessors(folder, now)
    yield from before
    yield from (name for name in reversed(generation_ids(folder)) if now is None or (name < now and name not in before))


def _predecessors(folder: Path, generation_id: str) -> list[str]:
    """Return the chain of predecessors of a generation, as far as they are on disk."""
    chain = [generation_id]
    while (before := _previous(folder, chain[-1])) and before not in chain:
        chain.append(before)
    return chain[1:]


def _readable_current_id(folder: Path) -> str | None:
    try:
        return current_id(folder)
    except GenerationCorrupt:
        return None


def _previous(folder: Path, generation_id: str) -> str | None:
    """Return the predecessor if it is on disk, or the next older generation if the manifest is unreadable."""
    on_disk = generation_ids(folder)
    try:
        previous = read_manifest(folder / generation_id).previous
    except GenerationCorrupt:
        previous = max((name for name in on_disk if name < generation_id), default=None)
    return previous if previous in on_disk else None
