"""Known answers to evaluate against: relevance files, lists of products, and labelled manifests."""

import csv
import io
from collections import defaultdict
from pathlib import Path

from vsearch.errors import DatasetError

SPLITS = ("train", "val")


def relevant(file: Path) -> dict[str, set[str]]:
    """Return the skus that answer each query of a relevance file (CSV: query, doc, rel)."""
    answers: dict[str, set[str]] = defaultdict(set)
    for row in _rows(file, ("query", "doc", "rel")):
        if row["rel"].strip() not in ("", "0"):
            answers[row["query"]].add(row["doc"])
    if not answers:
        raise DatasetError(f"A relevance file needs at least one relevant pair, but {file} has none.")
    return dict(answers)


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
