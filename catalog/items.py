"""One product as plain data: what a feed says and what SQL holds, in a form that can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PLENTY = 2**31 - 1
"""The stock of a product that can be had, where the shop does not say how many there are."""


@dataclass(frozen=True, slots=True)
class ProductItem:
    """A product without ids; two are equal exactly when nothing about the product differs.

    Args:
        sku: the shop's own key, unique.
        title: what the product is called.
        brand: empty where unknown.
        description: empty where unknown.
        category: path in the shop's own tree, such as "Sofas > Corner sofas"; empty where unknown.
        price_minor: price in minor units of `currency` (cents); None where unknown.
        currency: three letters of ISO 4217; empty where there is no price.
        url: the product's page in the shop; empty where unknown.
        stock: pieces in stock; `PLENTY` where there are some, None where unknown.
        attributes: name -> values, such as {"colour": ("red", "white")}.
        dimensions: name -> number and unit, such as {"width": "180 cm"}.
        variant_group: shared by the products that are one design; None where it stands alone.
        images: its pictures, the first shown first: names as the feed gives them, and sha256 of their content
            everywhere else. `indexer.importing` turns the one into the other.
        article_number: digits as printed on its shelf tag, without the dots; None where unknown. Several may share one.
        withdrawn: SQL still knows it, and shoppers do not see it; never so in a feed.
    """

    sku: str
    title: str
    brand: str = ""
    description: str = ""
    category: str = ""
    price_minor: int | None = None
    currency: str = ""
    url: str = ""
    stock: int | None = None
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dimensions: Mapping[str, str] = field(default_factory=dict)
    variant_group: str | None = None
    images: tuple[str, ...] = ()
    article_number: str | None = None
    withdrawn: bool = False
