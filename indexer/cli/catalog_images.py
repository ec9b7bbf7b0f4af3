"""Lists the catalog's images for training plans with the source kind `catalog`."""

from catalog import database, queries
from catalog.image_store import ImageStore
from indexer.build.class_indexes import assign_classes
from vsearch.core.settings import Settings
from vsearch.training.data.catalog_snapshot import CatalogImage


def list_images(settings: Settings) -> list[CatalogImage]:
    """Return the readable images of live products; an image of several products belongs to the first.

    Their categories are the classes of the index.

    Raises:
        CatalogError: the catalog does not exist or cannot be read.
    """
    store = ImageStore(settings.pictures)
    with database.open_catalog(settings.catalog_url) as sessions, sessions() as session:
        rows = queries.gallery_rows(session)
        attributes = queries.product_attributes(session)
    classes = assign_classes([row.category for row in rows], settings.min_class_size)
    images: dict[str, CatalogImage] = {}
    for row, category in zip(rows, classes, strict=True):
        file, name = str(store.path(row.sha256).absolute()), f"{row.sku} {row.sha256[:12]}"
        group, own = row.variant_group or row.sku, attributes[row.product_id]
        images.setdefault(row.sha256, CatalogImage(file, name, row.sku, group, category, own))
    return list(images.values())
