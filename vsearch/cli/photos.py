"""Photos named on the command line: files, folders and archives, read one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from vsearch.core.archives import DAMAGED, open_archive, reason
from vsearch.core.errors import DatasetError, ImageRejected
from vsearch.imaging.codec import Limits, Picture, decode


@dataclass(frozen=True)
class Photo:
    """A file's bytes and the name to call them by (the file name without its ending)."""

    name: str
    file: str
    data: bytes


def read(paths: Sequence[Path]) -> Iterator[Photo]:
    """Yield every file of the paths in a fixed order; hidden files are left out.

    Raises:
        DatasetError: a path does not exist, or an archive cannot be read.
    """
    for path in paths:
        if path.is_dir():
            for file in sorted(item for item in path.rglob("*") if item.is_file() and not item.name.startswith(".")):
                yield Photo(file.stem, str(file), file.read_bytes())
        elif path.suffix in (".tar", ".tgz", ".gz", ".zip"):
            yield from _members(path)
        elif path.is_file():
            yield Photo(path.stem, str(path), path.read_bytes())
        else:
            raise DatasetError(_not_there(path))


def count(paths: Sequence[Path]) -> int:
    """Return how many files `read` will yield."""
    return sum(1 for _ in read(paths))


def readable(photos: Iterator[Photo], allowed: Limits) -> Iterator[tuple[str, Picture]]:
    """Decode photos; one that is refused is named on standard error with the reason, and left out.

    Raises:
        DatasetError: none can be read, or there are none.
    """
    found = refused = 0
    for photo in photos:
        try:
            picture = decode(photo.data, allowed)
        except ImageRejected as error:
            click.secho(f"{photo.file}: {error}", err=True, fg="yellow")
            refused += 1
            continue
        found += 1
        yield photo.name, picture
    if not found:
        what = "none was; see the reasons above" if refused else "there are no files; name others"
        raise DatasetError(f"At least one picture must be readable, but {what}.")


def _members(path: Path) -> Iterator[Photo]:
    try:
        with open_archive(path) as archive:
            for name in archive:
                yield Photo(Path(name).stem, f"{path}:{name}", archive.read(name))
    except FileNotFoundError:
        raise DatasetError(_not_there(path)) from None
    except DAMAGED as error:
        raise DatasetError(
            f"An archive must be a whole tar or zip file, but {path} is not ({reason(error)}); copy it again."
        ) from None


def _not_there(path: Path) -> str:
    return f"A photo must be a file, a folder, a tar or a zip, but {path} does not exist; check its name."
