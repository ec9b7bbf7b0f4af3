"""Lists the catalog's images and reviewed photos for training plans with the source kind `catalog`."""

from dataclasses import replace

from catalog import database, queries, reviews
from catalog.image_store import ImageStore
from indexer.build.class_indexes import assign_classes
from indexer.build.labels import choose_photos
from vsearch.core.settings import Settings
from vsearch.training.data.catalog_snapshot import CatalogImage


def list_images(settings: Settings, *, reviewed: bool = True) -> list[CatalogImage]:
    """Return the readable images of live products; an image of several products belongs to the first.

    Their categories are the classes of the index. With `reviewed`, also the reviewed photos of products that are not
    kept for evaluation.

    Raises:
        CatalogError: the catalog does not exist or cannot be read.
    """
    store = ImageStore(settings.pictures)
    with database.open_catalog(settings.catalog_url) as sessions, sessions() as session:
        rows = queries.gallery_rows(session)
        attributes = queries.product_attributes(session)
        labels = reviews.effective_labels(session) if reviewed else []
    classes = assign_classes([row.category for row in rows], settings.min_class_size)
    images: dict[str, CatalogImage] = {}
    of_product: dict[int, CatalogImage] = {}
    for row, category in zip(rows, classes, strict=True):
        file, name = str(store.path(row.sha256).absolute()), f"{row.sku} {row.sha256[:12]}"
        group, own = row.variant_group or row.sku, attributes[row.product_id]
        image = images.setdefault(row.sha256, CatalogImage(file, name, row.sku, group, category, own))
        of_product.setdefault(row.product_id, image)
    for photo in choose_photos(labels, {key: image.category for key, image in of_product.items()}, set(classes)):
        if photo.product_id in of_product:
            file, known = str(store.path(photo.sha256).absolute()), of_product[photo.product_id]
            name = f"{known.product} {photo.sha256[:12]}"
            images.setdefault(photo.sha256, replace(known, file=file, name=name))
    return list(images.values())
