"""Products of the catalog."""

from flask import abort
from flask_babel import gettext

from catalog import queries
from webui.api.answers import product_of
from webui.api.operations import operation
from webui.api.schemas import FullProduct
from webui.services import services


@operation("GET", "/products/<path:sku>", "catalog:read", public=True, answer=FullProduct, problems=(404,))
def product(sku: str) -> FullProduct:
    """Return one product."""
    with services().sessions() as session:
        detail = queries.product_by_sku(session, sku)
    if detail is None:
        abort(404, gettext("No product has the SKU %(sku)r.", sku=sku[:80]))
    return product_of(detail)
