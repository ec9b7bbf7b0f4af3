"""Structured data about a product for search engines and link previews (schema.org, Open Graph)."""

from typing import Any

from flask import url_for

from catalog.queries import ProductDetail
from webui.formatting import price_number, web_address
from webui.image_files import WIDTHS


def structured_data(detail: ProductDetail) -> dict[str, Any]:
    """Return a product as schema.org `Product` in JSON-LD; what the feed does not say is left out."""
    item, card = detail.item, detail.card
    page = web_address(item.url) or url_for("shop.product", sku=item.sku, _external=True)
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": item.title,
        "sku": item.sku,
        "url": page,
        "image": [picture_url(sha256) for sha256 in detail.pictures],
        "description": item.description,
        "category": item.category,
        "brand": {"@type": "Brand", "name": item.brand} if item.brand else "",
        "inProductGroupWithID": item.variant_group,
        "color": ", ".join(item.attributes.get("color", item.attributes.get("colour", ()))),
        "material": ", ".join(item.attributes.get("material", ())),
    }
    if item.price_minor is not None:
        data["offers"] = {
            "@type": "Offer",
            "url": page,
            "price": price_number(item.price_minor, item.currency),
            "priceCurrency": item.currency,
        }
        if card.stock is not None:
            state = "InStock" if card.stock > 0 else "OutOfStock"
            data["offers"]["availability"] = f"https://schema.org/{state}"
    return {name: value for name, value in data.items() if value}


def picture_url(sha256: str) -> str:
    """Return the address of an image of a product in its largest size."""
    return url_for("shop.catalog_picture", sha256=sha256, width=max(WIDTHS), _external=True)
