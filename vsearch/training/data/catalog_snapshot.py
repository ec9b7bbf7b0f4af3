"""The images of the shop's catalog as a training source: listed once per run, so that a resumed run sees the same ones.

The engine does not read SQL, so the caller passes a function that lists the images. FOLDER/catalog.json holds the list.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from vsearch.core.errors import DatasetError
from vsearch.core.files import replace_text

logger = logging.getLogger(__name__)

MIN_PRODUCTS: Final = 20
"""Products with images that a catalog needs to be trained on; with fewer, the validation split may be empty."""


@dataclass(frozen=True)
class CatalogImage:
    """An image of a product.

    Attributes:
        file: absolute path.
        name: of the image in reports, unique.
        product: SKU.
        group: shared by the variants of one design.
        category: class of the product.
        attributes: name -> values, such as "color" -> ("red", "blue").
    """

    file: str
    name: str
    product: str
    group: str
    category: str
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)


CatalogReader = Callable[[], Sequence[CatalogImage]]
"""Lists the images of all products on sale."""


def take(read_catalog: CatalogReader, folder: Path, *, begun: bool, finished: bool) -> None:
    """List the catalog in `folder`, unless a run that has begun there has a list.

    Raises:
        DatasetError: there are too few products, or the catalog has changed since the run finished.
        CatalogError: the catalog cannot be read.
    """
    images = read_catalog()
    if (products := len({image.product for image in images})) < MIN_PRODUCTS:
        raise DatasetError(
            f"The catalog has {products} products with readable images; training on it needs at least {MIN_PRODUCTS}. "
            "Import a feed with more."
        )
    text = json.dumps([asdict(image) for image in images], ensure_ascii=False, indent=0) + "\n"
    file = snapshot_file(folder)
    if not begun or not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(file, text)
    elif file.read_text(encoding="utf8") != text:
        if finished:
            raise DatasetError(
                f"The catalog has changed since run {folder} finished. Choose another --runs, or remove that folder."
            )
        logger.warning("The catalog has changed since run %s began, which continues with the old images.", folder)


def snapshot_file(folder: Path) -> Path:
    """Return the file that lists the catalog for a run; it may not exist."""
    return folder / "catalog.json"


def read(folder: Path, limit: int) -> Iterator[tuple[CatalogImage, bytes]]:
    """Yield the listed images with their content, in groups chosen by a hash until there are `limit` images.

    Raises:
        DatasetError: there is no list, or an image is no longer stored.
    """
    file = snapshot_file(folder)
    if not file.is_file():
        raise DatasetError(f"{file} does not exist: only `vsearch train` and its runs can use a catalog as a source.")
    listed: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf8"))
    images = sorted((CatalogImage(**fields) for fields in listed), key=lambda image: _order(image.group))
    taken = 0
    for _, members in groupby(images, lambda image: image.group):
        if taken >= limit:
            return
        for image in members:
            try:
                data = Path(image.file).read_bytes()
            except FileNotFoundError:
                raise DatasetError(
                    f"Image {image.name} of the catalog is no longer stored. Remove {folder} to start again."
                ) from None
            taken += 1
            yield image, data


def _order(group: str) -> tuple[bytes, str]:
    return hashlib.sha256(group.encode()).digest(), group
