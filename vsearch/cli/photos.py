"""Photos named on the command line: files, folders and archives."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from vsearch.core.archives import DAMAGED, open_archive
from vsearch.core.errors import DatasetError, ImageRejected, first_line
from vsearch.imaging.codec import Limits, Picture, decode

ARCHIVES = (".tar", ".tgz", ".gz", ".zip")
_MAX_SIDE = 1600  # px, as for uploads


@dataclass(frozen=True)
class Photo:
    """A file: its name without extension, its path, and its bytes."""

    name: str
    file: str
    data: bytes


def read(paths: Sequence[Path]) -> Iterator[Photo]:
    """Yield all files in the paths, except hidden ones, in a fixed order.

    Raises:
        DatasetError: a path does not exist, or an archive cannot be read.
    """
    for path in paths:
        if path.is_file() and path.suffix not in ARCHIVES:
            yield Photo(path.stem, str(path), path.read_bytes())
            continue
        if not path.exists():
            raise DatasetError(f"{path} does not exist.")
        try:
            with open_archive(path) as archive:
                for name in archive:
                    yield Photo(Path(name).stem, f"{path}:{name}", archive.read(name))
        except DAMAGED as error:
            raise DatasetError(f"{path} cannot be read ({first_line(error)}).") from None


def decode_all(photos: Iterator[Photo], limits: Limits) -> Iterator[tuple[str, Picture]]:
    """Yield names and decoded photos; rejected photos are reported on standard error and left out.

    Raises:
        DatasetError: no photo can be read.
    """
    found = rejected = 0
    for photo in photos:
        try:
            picture = decode(photo.data, limits)
        except ImageRejected as error:
            click.secho(f"{photo.file}: {error}", err=True, fg="yellow")
            rejected += 1
            continue
        found += 1
        yield photo.name, picture
    if not found:
        raise DatasetError("No photo can be read; see above." if rejected else "There are no photos to read.")


def decode_named(path: Path, names: Iterable[str], limits: Limits, *, file: Path) -> Iterator[tuple[str, Picture]]:
    """Yield the photos with these names, listed in `file`, from a path, downscaled like uploads.

    Raises:
        DatasetError: a photo is missing or cannot be read.
    """
    missing = set(names)
    for photo in read([path]):
        if photo.name in missing:
            missing.discard(photo.name)
            try:
                yield photo.name, decode(photo.data, limits, max_side=_MAX_SIDE)
            except ImageRejected as error:
                raise DatasetError(f"The photo {photo.file} cannot be read: {error}") from None
    if missing:
        raise DatasetError(f"The photo {min(missing)!r} listed in {file} is not in {path}.")
