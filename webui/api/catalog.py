"""Products of the catalog, and what they can be filtered by."""

from flask import abort
from flask_babel import gettext

from catalog import product_listing, queries
from catalog.queries import ProductDetail
from webui import word_search
from webui.api.answers import amount_of, product_of, summary_of
from webui.api.operations import operation
from webui.api.pagination import after_of, cursor_of
from webui.api.parameters import criteria_of
from webui.api.schemas import (
    FacetAnswer,
    FacetsAnswer,
    FacetValue,
    FullProduct,
    ListedItem,
    PriceBand,
    ProductPage,
    ProductQuery,
    SearchParameters,
)
from webui.narrowing import Facet, PriceRange
from webui.services import services


@operation("GET", "/products", "catalog:read", query=ProductQuery, answer=ProductPage)
def products(query: ProductQuery) -> ProductPage:
    """List products, in the order in which they were added.

    A product that changes while a program reads page after page is neither skipped nor listed twice.
    """
    filters = query.model_dump(mode="json", exclude={"cursor", "limit"})
    after = after_of(filters, query.cursor) or 0
    with services().sessions() as session:
        found = product_listing.find_after(
            session,
            after,
            query.limit + 1,
            words=query.text or "",
            category=query.category or "",
            brand=query.brand or "",
            state="" if query.state == "all" else query.state,
            changed_since=query.changed_since,
        )
    listed = found[: query.limit]
    return ProductPage(
        products=[
            ListedItem(**dict(summary_of(each.card)), updated_at=each.updated_at, withdrawn=each.withdrawn)
            for each in listed
        ],
        next=cursor_of(filters, listed[-1].card.product_id) if len(found) > len(listed) else None,
    )


@operation("GET", "/products/<path:sku>", "catalog:read", public=True, answer=FullProduct, problems=(404,))
def product(sku: str) -> FullProduct:
    """Return one product."""
    return product_of(find_product(sku))


@operation("GET", "/facets", "catalog:read", public=True, query=SearchParameters, answer=FacetsAnswer)
def facets(query: SearchParameters) -> FacetsAnswer:
    """Return what products can be filtered by, given the words and filters of a search."""
    criteria = criteria_of(query)
    narrowed = word_search.narrow(services(), criteria)
    narrowing = narrowed.narrowing
    counts = narrowing.classes()
    return FacetsAnswer(
        total=int(narrowing.passing.all.sum()),
        generation=narrowed.generation_id,
        classes=[
            FacetValue(value=name, count=count, chosen=name == criteria.class_name) for name, count in counts.items()
        ],
        facets=[_facet(each) for each in narrowing.choices()],
        prices=[_price_band(each, criteria.currency) for each in narrowing.price_ranges()],
        in_stock=narrowing.in_stock(),
        unknown_words=list(narrowing.unknown_words),
    )


def find_product(sku: str) -> ProductDetail:
    """Return a live product; 404 if there is none."""
    with services().sessions() as session:
        detail = queries.product_by_sku(session, sku)
    return detail or abort(404, gettext("No product has the SKU %(sku)r.", sku=sku[:80]))


def _facet(facet: Facet) -> FacetAnswer:
    values = [FacetValue(value=each.value, count=each.count, chosen=each.chosen) for each in facet.options]
    return FacetAnswer(name=facet.name, values=values)


def _price_band(band: PriceRange, currency: str) -> PriceBand:
    return PriceBand(low=amount_of(band.low, currency), end=amount_of(band.end, currency), count=band.count)
