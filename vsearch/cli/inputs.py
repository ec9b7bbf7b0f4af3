"""Files given to commands: photos in folders and archives, and ground truth about them."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from vsearch.core.archives import DAMAGED, open_archive
from vsearch.core.errors import DatasetError, ImageRejected, InvalidRequest, first_line
from vsearch.imaging.codec import Limits, Picture, decode
from vsearch.imaging.geometry import Box

ARCHIVES = (".tar", ".tgz", ".gz", ".zip")
_MAX_SIDE = 1600  # px, as for uploads

SPLITS = ("train", "val")
SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class Photo:
    """A file: its name without extension, its path, and its bytes."""

    name: str
    file: str
    data: bytes


def read_photos(paths: Sequence[Path]) -> Iterator[Photo]:
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


def decode_photos(photos: Iterator[Photo], limits: Limits) -> Iterator[tuple[str, Picture]]:
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


def decode_named_photos(
    path: Path, names: Iterable[str], limits: Limits, *, file: Path
) -> Iterator[tuple[str, Picture]]:
    """Yield the photos with these names, listed in `file`, from a path, downscaled like uploads.

    Raises:
        DatasetError: a photo is missing or cannot be read.
    """
    missing = set(names)
    for photo in read_photos([path]):
        if photo.name in missing:
            missing.discard(photo.name)
            try:
                yield photo.name, decode(photo.data, limits, max_side=_MAX_SIDE)
            except ImageRejected as error:
                raise DatasetError(f"The photo {photo.file} cannot be read: {error}") from None
    if missing:
        raise DatasetError(f"The photo {min(missing)!r} listed in {file} is not in {path}.")


@dataclass(frozen=True)
class PhotoQuery:
    """A query in a list of photos."""

    photo: str  # file name without its extension
    box: Box | None
    grades: dict[str, float]  # relevant SKU -> grade, 1 if the list has no grades
    category: str
    neutral: set[str] = field(default_factory=set)  # SKUs that are neither right nor wrong


def read_relevance(file: Path) -> dict[str, dict[str, float]]:
    """Return query -> relevant SKU -> grade from a relevance file (CSV: query, doc, rel)."""
    grades: dict[str, dict[str, float]] = defaultdict(dict)
    for number, row in enumerate(_rows(file, ("query", "doc", "rel")), start=2):
        grade = _grade(row["rel"] or "0", file, number)
        if grade > 0:
            grades[row["query"]][row["doc"]] = grade
    if not grades:
        raise DatasetError(f"{file} has no relevant pairs.")
    return dict(grades)


def read_photo_queries(file: Path, *, whole: bool, where: Mapping[str, str] | None = None) -> list[PhotoQuery]:
    """Return the queries in a list of photos.

    The list is a CSV: photo, sku, [left, top, right, bottom], [grade], [category], [neutral: SKUs separated by |]. Rows
    with the same photo and box (with `whole`, just the same photo) form one query with several relevant products.
    `where` maps columns to the values that select rows. Other columns are ignored.
    """
    where = where or {}
    queries: dict[tuple[str, Box | None], PhotoQuery] = {}
    names: dict[str, str] = {}
    for number, row in enumerate(_rows(file, ("photo", "sku", *where)), start=2):
        if any(row[column] != value for column, value in where.items()):
            continue
        name, sku = row["photo"].strip(), row["sku"].strip()
        grade = _grade(row.get("grade") or "1", file, number)
        if not name or not sku or not grade:
            continue
        photo = Path(name).stem
        if names.setdefault(photo, name) != name:
            both = f"{names[photo]!r} and {name!r} in {file}"
            raise DatasetError(f"The photos {both} differ only in folder or extension. Rename one.")
        box = None if whole else _box(row, file, number)
        query = queries.setdefault((photo, box), PhotoQuery(photo, box, {}, row.get("category", "").strip()))
        query.neutral.update(filter(None, row.get("neutral", "").split("|")))
        query.grades[sku] = max(grade, query.grades.get(sku, 0.0))
    if not queries:
        conditions = "".join(f" where {column} is {value!r}" for column, value in where.items())
        raise DatasetError(f"{file} has no photo with a SKU{conditions}.")
    return list(queries.values())


def read_skus(file: Path) -> list[str]:
    """Return the SKUs of a list, one per line."""
    skus = [line.strip() for line in _text(file).splitlines() if line.strip()]
    if not skus:
        raise DatasetError(f"{file} is empty. List one SKU per line.")
    return skus


def read_labels(file: Path, column: str) -> dict[str, tuple[str, str]]:
    """Return the split and class of each image in a manifest (CSV: image, split, `column`), by name without extension.

    Images without a class, or in splits other than train and val, are left out.
    """
    rows = _rows(file, ("image", "split", column))
    return {
        Path(row["image"]).stem: (row["split"], row[column]) for row in rows if row["split"] in SPLITS and row[column]
    }


def _grade(text: str, file: Path, number: int) -> float:
    try:
        grade = float(text)
    except ValueError:
        grade = math.nan
    if not 0 <= grade < math.inf:
        raise DatasetError(f"{file}, line {number}: {text!r} is not a valid grade. Use a non-negative number.")
    return grade


def _box(row: Mapping[str, str], file: Path, number: int) -> Box | None:
    sides = [row.get(side, "").strip() for side in SIDES]
    if not any(sides):
        return None
    try:
        return Box(*map(float, sides))
    except (ValueError, InvalidRequest):
        remedy = f"Give {', '.join(SIDES)} as fractions of the photo."
        raise DatasetError(f"{file}, line {number}: {', '.join(sides)} is not a valid box. {remedy}") from None


def _rows(file: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(_text(file), newline=""), restval="")
    try:
        columns, rows = reader.fieldnames or (), list(reader)
    except csv.Error as error:
        raise DatasetError(f"{file} is not valid CSV: {error}.") from None
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DatasetError(f"{file} is missing columns: {', '.join(missing)}. It needs {', '.join(needed)}.")
    return rows


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DatasetError(f"{file} is not UTF-8 text. Save it as UTF-8.") from None
