"""Known answers to evaluate against: relevance files, lists of products, and labelled manifests."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vsearch.core.errors import DatasetError, InvalidRequest
from vsearch.imaging.geometry import Box

SPLITS = ("train", "val")
SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class Asked:
    """One query of a list of photos: the photo's name without its ending, the part that matters, the right answers.

    `grades` holds the grade of each right sku; 1 where the list has no grades.
    """

    photo: str
    box: Box | None
    grades: dict[str, float]
    category: str


def relevant(file: Path) -> dict[str, dict[str, float]]:
    """Return the skus that answer each query of a relevance file with their grades (CSV: query, doc, rel)."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for number, row in enumerate(_rows(file, ("query", "doc", "rel")), start=2):
        grade = _grade(row["rel"] or "0", file, number)
        if grade > 0:
            found[row["query"]][row["doc"]] = grade
    if not found:
        raise DatasetError(f"A relevance file needs at least one relevant pair, but {file} has none.")
    return dict(found)


def asked(file: Path, *, whole: bool, where: Mapping[str, str] | None = None) -> list[Asked]:
    """Return the queries of a list of photos (CSV: photo, sku, [left, top, right, bottom], [grade], [category]).

    Rows of the same photo and box are one query with several right answers. Of other columns nothing is read.

    Args:
        file: the list; boxes are fractions of the photo's width and height.
        whole: make one query of all rows of a photo, without a box.
        where: column -> value; other rows are left out.
    """
    where = where or {}
    found: dict[tuple[str, Box | None], Asked] = {}
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
            raise DatasetError(
                f"Photos must differ in name, not only in folder or ending, but {file} has {names[photo]!r} and "
                f"{name!r}; rename one."
            )
        box = None if whole else _box(row, file, number)
        query = found.setdefault((photo, box), Asked(photo, box, {}, row.get("category", "").strip()))
        query.grades[sku] = max(grade, query.grades.get(sku, 0.0))
    if not found:
        kept = "".join(f" where {column} is {value!r}" for column, value in where.items())
        raise DatasetError(f"A list of photos needs at least one photo with its sku, but {file} has none{kept}.")
    return list(found.values())


def skus(file: Path) -> list[str]:
    """Return the skus of a list, one a line."""
    found = [line.strip() for line in _text(file).splitlines() if line.strip()]
    if not found:
        raise DatasetError(f"A list of products needs at least one sku, but {file} is empty.")
    return found


def photo_skus(file: Path) -> dict[str, set[str]]:
    """Return the skus that each photo of a list shows (CSV: photo, sku)."""
    right: dict[str, set[str]] = defaultdict(set)
    for row in _rows(file, ("photo", "sku")):
        if row["photo"].strip() and row["sku"].strip():
            right[row["photo"].strip()].add(row["sku"].strip())
    if not right:
        raise DatasetError(f"A list of photos needs at least one photo with its sku, but {file} has none.")
    return dict(right)


def labels(file: Path, column: str) -> dict[str, tuple[str, str]]:
    """Return the split and the class of each picture of a manifest (CSV: image, split, `column`), by file name.

    Names are without their ending. Pictures of no class, and of splits other than train and val, are left out.
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
        raise DatasetError(f"A grade must be a number of 0 or more, but line {number} of {file} has {text!r}; fix it.")
    return grade


def _box(row: Mapping[str, str], file: Path, number: int) -> Box | None:
    """Return the box of a row; None where the list has no boxes, or the row leaves all four sides empty."""
    sides = [row.get(side, "").strip() for side in SIDES]
    if not any(sides):
        return None
    try:
        return Box(*map(float, sides))
    except (ValueError, InvalidRequest):
        raise DatasetError(
            f"A box must be {', '.join(SIDES)} in fractions of the photo from 0 to 1, but line {number} of {file} has "
            f"{', '.join(sides)}; divide pixels by the photo's width and height."
        ) from None


def _rows(file: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a CSV file; cells that a short row lacks are empty."""
    reader = csv.DictReader(io.StringIO(_text(file), newline=""), restval="")
    try:
        have, rows = reader.fieldnames or (), list(reader)
    except csv.Error as error:
        raise DatasetError(f"A data set must be sound CSV, but {file} is not ({error}); export it again.") from None
    missing = [name for name in needed if name not in have]
    if missing:
        raise DatasetError(
            f"This needs the columns {', '.join(needed)}, but {file} lacks {', '.join(missing)}; add or rename them."
        )
    return rows


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DatasetError(f"A data set must be UTF-8 text, but {file} is not; save it again as UTF-8.") from None
