"""Products of the catalog as the API returns them."""

from typing import Any

from flask import request, url_for

from catalog.changes import UNCOUNTED_STOCK
from catalog.queries import ProductCard, ProductDetail
from webui.api.schemas import Amount, FullProduct, ProductSummary
from webui.formatting import price_number

IMAGE_WIDTH = 640


def summary_of(card: ProductCard) -> ProductSummary:
    """Return a product for a list."""
    price = None
    if card.price_minor is not None:
        amount = price_number(card.price_minor, card.currency)
        price = Amount(amount=amount, minor_units=card.price_minor, currency=card.currency)
    return ProductSummary(
        sku=card.sku,
        title=card.title,
        brand=card.brand,
        category=card.category,
        price=price,
        stock=None if card.stock == UNCOUNTED_STOCK else card.stock,
        in_stock=None if card.stock is None else card.stock > 0,
        image_url=_image_url(card.image) if card.image else None,
        url=absolute_url("shop.product", sku=card.sku),
    )


def product_of(detail: ProductDetail) -> FullProduct:
    """Return everything that is known about a product."""
    item = detail.item
    return FullProduct(
        **dict(summary_of(detail.card)),
        description=item.description,
        shop_url=item.url,
        attributes={name: list(values) for name, values in item.attributes.items()},
        dimensions=dict(item.dimensions),
        variant_group=item.variant_group,
        article_number=item.article_number,
        images=[_image_url(sha256) for sha256 in detail.pictures],
        variants=[summary_of(card) for card in detail.variants],
    )


def absolute_url(endpoint: str, **values: Any) -> str:
    """Return an absolute URL, or only its path if the Host header is empty or invalid."""
    return url_for(endpoint, _external=bool(request.host), **values)


def _image_url(sha256: str) -> str:
    return absolute_url("shop.catalog_picture", sha256=sha256, width=IMAGE_WIDTH)
