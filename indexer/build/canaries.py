"""Canaries: a shop's own photos whose product is known, searched for before every publication.

A CSV file (the setting `canaries`) names them: photo,sku, with the photos' paths relative to it.
"""

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
from vsearch.core.errors import CatalogueError, SettingsError, VSearchError
from vsearch.core.files import checksum
from vsearch.imaging.codec import decode
from vsearch.index.generation import Generation

DEPTH = 10
"""The product must be among so many first answers."""


@dataclass(frozen=True)
class Canary:
    """A photo, and the sku of what it shows."""

    photo: Path
    sku: str


def read(file: Path) -> list[Canary]:
    """Read the list.

    Raises:
        SettingsError: it is not there, or no such list.
    """
    rule = "Setting canaries must name a CSV file with the columns photo and sku"
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            if not {"photo", "sku"} <= {*(rows.fieldnames or ())}:
                raise SettingsError(f"{rule}, but {file} has {', '.join(rows.fieldnames or ['none'])}; correct line 1.")
            return [Canary(file.parent / (row["photo"] or ""), row["sku"] or "") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{rule}, but {file} cannot be read ({error}); correct it.") from error


def contents(file: Path) -> set[str]:
    """Return the sha256 of the photos on the list, as far as they can be read: their blocks are stored under it."""
    found = set()
    with suppress(SettingsError):  # the next night says so
        for canary in read(file):
            with suppress(OSError):
                found.add(checksum(canary.photo))
    return found


def problems(file: Path, generation: Generation, encoding: EncodeContext) -> Iterator[str]:
    """Yield which canaries do not find their product; those whose product is not sold any more are left out.

    Raises:
        SettingsError: the list is none, a photo cannot be used, or a product was never in the catalogue.
    """
    for canary in read(file):
        try:
            found = _found(canary, generation, encoding)
        except (VSearchError, OSError) as error:
            raise SettingsError(
                f"Setting canaries must name photos that can be used, and products, but of {file}, {canary.photo.name} "
                f"({canary.sku}) cannot: {error}; correct the list."
            ) from error
        if found is False:
            yield f"the canary {canary.photo.name} does not find {canary.sku} among the first {DEPTH}"


def _found(canary: Canary, generation: Generation, encoding: EncodeContext) -> bool | None:
    """Return whether the canary finds its product; None where that is not in the generation."""
    with encoding.sessions() as session:
        product_id = session.scalar(select(Product.product_id).where(Product.sku == canary.sku))
    if product_id is None:
        raise CatalogueError("the catalogue never had this product")
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
