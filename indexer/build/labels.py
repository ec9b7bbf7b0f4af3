"""Chooses the reviewed photos that class heads and the whitening are fitted to, besides the catalog's pictures."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from catalog.queries import SEPARATOR
from catalog.reviews import EffectiveLabel


@dataclass(frozen=True)
class ReviewedPhoto:
    """A labeled area of a photo.

    Attributes:
        sha256: of the area's image in the store.
        product_id: of the product that it shows; minus the id of the label if only the class is known.
        class_name: of the index.
    """

    sha256: str
    product_id: int
    class_name: str


def choose_photos(
    labels: Iterable[EffectiveLabel], class_of_product: Mapping[int, str], classes: Collection[str]
) -> list[ReviewedPhoto]:
    """Return the photos of the split "train" that show a product or class of the index, by label id.

    A category that is not a class counts as its nearest parent that is one; photos without a class are left out.
    """
    found = []
    for label in sorted(labels, key=lambda label: label.label_id):
        if label.split != "train" or label.verdict == "not ours" or not label.crop_sha256:
            continue
        if label.product_id is not None and label.product_id in class_of_product:
            found.append(ReviewedPhoto(label.crop_sha256, label.product_id, class_of_product[label.product_id]))
        elif class_name := nearest_class(label.category, classes):
            found.append(ReviewedPhoto(label.crop_sha256, -label.label_id, class_name))
    return found


def nearest_class(category: str, classes: Collection[str]) -> str:
    """Return the category, or its nearest parent, that is a class of the index; "" if none is."""
    path = category.split(SEPARATOR)
    names = (SEPARATOR.join(path[:length]) for length in range(len(path), 0, -1))
    return next((name for name in names if name in classes), "")
