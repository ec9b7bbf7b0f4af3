"""What a plan's pictures are made of, as one short text: the same content gives the same, wherever it lies."""

import hashlib
import json
from pathlib import Path
from typing import Any

from vsearch.core.files import checksum, replace_text
from vsearch.training.data.examples import existing
from vsearch.training.plan import Plan
from vsearch.training.plan_sources import CsvSource, FolderSource, NpzSource, Source, TagsSource, TfrecordSource

_LATER = {"boxes": None, "val": "val"}  # keys that came later -> what they are when left out
_FORMAT = 1  # counted up when the same sources would be kept otherwise


def fingerprint(plan: Plan, root: Path, work: Path) -> str:
    """Return 16 hex digits that change with the sources' content, their labels and splits, and the shape kept.

    Args:
        plan: its sources' paths are relative to `root`.
        root: folder of the data sets.
        work: checksums are remembered in its folder `cache`.

    Raises:
        DatasetError: a source's file is not there.
    """
    known = _Checksums(work / "cache" / "checksums.json")
    sources = [
        [
            _told(source),
            [known.of(path) for path in _paths(source, root)],
            _drawing() if isinstance(source, TagsSource) else None,
        ]
        for source in plan.source
    ]
    known.save()
    said = [_FORMAT, plan.cache_shape, plan.framing, plan.seed, sources]
    said += ["boxes"] if plan.finds_boxes else []
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


class _Checksums:
    """Remembers the checksums of files by path, size and time of change, so that a large file is read once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._known: dict[str, list[str]] = json.loads(file.read_text(encoding="utf8"))
        except (OSError, ValueError):
            self._known = {}
        self._before = dict(self._known)

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file's content, or of the names and contents below a folder."""
        path = existing(path).resolve()
        files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
        states = [f"{file.relative_to(path)} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
        state = hashlib.sha256("\n".join(states).encode()).hexdigest()
        if self._known.get(str(path), [""])[0] != state:
            contents = [f"{file.relative_to(path)} {checksum(file)}" for file in files]
            self._known[str(path)] = [state, hashlib.sha256("\n".join(contents).encode()).hexdigest()]
        return self._known[str(path)][1]

    def save(self) -> None:
        """Write what is new."""
        if self._known != self._before:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            replace_text(self._file, json.dumps(self._known))


def _told(source: Source) -> dict[str, Any]:
    """Return what a source says of its pictures; what it leaves out of `_LATER` is left out, as before there was it."""
    said = source.model_dump(mode="json", exclude={"terms", "repeat", "strangers"})
    return {key: value for key, value in said.items() if _LATER.get(key, ...) != value}


def _paths(source: Source, root: Path) -> list[Path]:
    if isinstance(source, NpzSource):
        return [root / source.file]
    if isinstance(source, CsvSource):
        return [root / source.manifest, root / source.images]
    if isinstance(source, FolderSource):
        return [root / source.folder]
    return [root / source.folder / "index.json"] if isinstance(source, TfrecordSource) else []


def _drawing() -> int:
    from vsearch.training import tags

    return tags.DRAWING
