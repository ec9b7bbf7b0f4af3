"""Photos named on the command line: files, folders and archives, read one after the other."""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsearch.cli.console import err
from vsearch.errors import DatasetError, ImageRejected
from vsearch.images import Limits, Picture, decode


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
        elif path.suffix in (".tar", ".tgz", ".gz"):
            yield from _members(path)
        elif path.is_file():
            yield Photo(path.stem, str(path), path.read_bytes())
        else:
            raise DatasetError(f"A photo must be a file, a folder or a tar archive, but {path} does not exist.")


def count(paths: Sequence[Path]) -> int:
    """Return how many files `read` will yield."""
    return sum(1 for _ in read(paths))


def readable(photos: Iterator[Photo], allowed: Limits) -> Iterator[tuple[str, Picture]]:
    """Decode photos; one that is refused is named on standard error with the reason, and left out."""
    for photo in photos:
        try:
            yield photo.name, decode(photo.data, allowed)
        except ImageRejected as error:
            err.print(f"{photo.file}: {error}", style="yellow")


def _members(path: Path) -> Iterator[Photo]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                data = archive.extractfile(member) if member.isfile() else None
                if data is not None and not Path(member.name).name.startswith("."):
                    yield Photo(Path(member.name).stem, f"{path}:{member.name}", data.read())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DatasetError(
            f"An archive must be a whole tar file, but {path} is not ({error}); copy it again."
        ) from None
