"""Canaries: photos of the shop's own that must find their known product before an index is published."""

import csv
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from catalog import stored_blocks
from catalog.models import Product
from indexer.build.encode import EncodeContext
from vsearch.core.errors import CatalogError, SettingsError, VSearchError
from vsearch.core.files import checksum
from vsearch.imaging.codec import decode
from vsearch.index.generation import Generation

DEPTH = 10
"""The product must be among so many first results."""


@dataclass(frozen=True)
class Canary:
    """A photo, and the sku of the product it shows."""

    photo: Path
    sku: str


def read_canaries(file: Path) -> list[Canary]:
    """Read the CSV file of the setting `canaries`: columns photo and sku, photos relative to the file.

    Raises:
        SettingsError: the file cannot be read or lacks a column.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            if not {"photo", "sku"} <= {*(rows.fieldnames or ())}:
                raise SettingsError(f"Setting canaries: {file} lacks the columns photo and sku. Correct line 1.")
            return [Canary(file.parent / (row["photo"] or ""), row["sku"] or "") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"Setting canaries: {file} cannot be read as CSV ({error}). Correct it.") from error


def canary_contents(file: Path) -> set[str]:
    """Return the sha256 of the canary photos that can be read; their blocks are stored under it."""
    found = set()
    with suppress(SettingsError):  # the next build reports it
        for canary in read_canaries(file):
            with suppress(OSError):
                found.add(checksum(canary.photo))
    return found


def failing_canaries(file: Path, generation: Generation, encoding: EncodeContext) -> Iterator[str]:
    """Yield a sentence for each canary that does not find its product; withdrawn products are skipped.

    Raises:
        SettingsError: the list or a photo cannot be used, or a product was never in the catalog.
    """
    for canary in read_canaries(file):
        try:
            found = _finds_product(canary, generation, encoding)
        except (VSearchError, OSError) as error:
            reason = str(error).rstrip(".")
            raise SettingsError(
                f"Setting canaries: {canary.photo.name} ({canary.sku}) in {file} cannot be used: {reason}. "
                "Correct the list."
            ) from error
        if found is False:
            yield f"Canary {canary.photo.name} does not find {canary.sku} among the first {DEPTH} results."


def _finds_product(canary: Canary, generation: Generation, encoding: EncodeContext) -> bool | None:
    """Return None if the product is not in the generation."""
    with encoding.sessions() as session:
        product_id = session.scalar(select(Product.product_id).where(Product.sku == canary.sku))
    if product_id is None:
        raise CatalogError("The catalog never had this product.")
    if product_id not in generation.gallery.product_ids:
        return None
    data = canary.photo.read_bytes()
    key = (hashlib.sha256(data).hexdigest(), 0)
    with encoding.sessions() as session:
        known = not stored_blocks.missing(session, encoding.blocks_id, [key])
        blocks = stored_blocks.read(session, encoding.blocks_id, [key]) if known else None
    if blocks is None:
        blocks = encoding.encoder().blocks([decode(data, encoding.limits)])
        with encoding.sessions.begin() as session:
            stored_blocks.put(session, encoding.blocks_id, [key], blocks)
    embedding = generation.whitening.project(blocks)[0]
    return any(hit.product_id == product_id for hit in generation.gallery.search(embedding, k=DEPTH))
