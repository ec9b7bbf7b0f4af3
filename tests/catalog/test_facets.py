import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import sessionmaker

from catalog import facets
from catalog.changes import Changes, ProductItem, apply
from catalog.facets import BRAND, CLASS, Filters, Passing, ProductFacets, Values
from catalog.full_text import match, read_vocabulary
from catalog.models import Image

FAMILIES = {"red": ["red"], "green": ["green"], "moss": ["green"], "teal": ["blue", "green"]}
COLORS, MATERIALS, BRANDS = tuple(FAMILIES), ("oak", "steel", "velvet"), ("Nordhem", "Kontur", "")
CATEGORIES = ("Chairs", "Lamps", "Sofas")


@st.composite
def products(draw):
    number = draw(st.integers(1, 12))
    return [
        ProductItem(
            sku=f"P-{each}",
            title=draw(st.sampled_from(COLORS)),
            brand=draw(st.sampled_from(BRANDS)),
            category=draw(st.sampled_from(CATEGORIES)),
            price_minor=draw(st.sampled_from((None, 100, 200, 300))),
            currency=draw(st.sampled_from(("EUR", "USD"))),
            stock=draw(st.sampled_from((None, 0, 5))),
            attributes=draw(
                st.fixed_dictionaries(
                    {}, optional={"color": subset(COLORS), "material": subset(MATERIALS)},
                )
            ),
            dimensions=draw(st.sampled_from(({}, {"width": "80 cm"}, {"width": "1 m"}, {"width": "900 mm"}))),
            images=(f"{each:064d}",),
        )
        for each in range(number)
    ]  # fmt: skip


def subset(values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True).map(tuple)


@st.composite
def filters(draw):
    prices = st.sampled_from((None, 100, 200, 300))
    chosen = {
        "attr.color": COLORS,
        "attr.color:family": ("red", "green", "blue"),
        "attr.material": MATERIALS,
        BRAND: BRANDS[:2],
    }
    return Filters(
        price_min=draw(prices),
        price_max=draw(prices),
        currency="EUR",
        in_stock=draw(st.booleans()),
        width_max=draw(st.sampled_from((None, 85.0, 95.0))),
        chosen=tuple((name, draw(subset(values))) for name, values in chosen.items() if draw(st.booleans())),
    )


def condition(name: str, filters: Filters) -> str:
    """Return a filter in SQL, over the rows of `LISTED`."""
    if name == "price":
        low, high = filters.price_min or 0, filters.price_max or 1000
        return f"currency = 'EUR' AND price_minor BETWEEN {low} AND {high}"
    if name in ("stock", "width"):
        return "stock > 0" if name == "stock" else f"width <= {filters.width_max}"
    return f"{column_of(name)} && {listed(dict(filters.chosen)[name])}"


def column_of(name: str) -> str:
    return name.removeprefix("attr.").replace(":", "_")


def listed(values) -> str:
    return "ARRAY[" + ", ".join(f"'{value}'" for value in values) + "]"


def expected(session, conditions: list[str], name: str) -> dict[str, int]:
    """Return the counts of a facet by SQL."""
    array = column_of(name)
    statement = f"SELECT value, count(*) FROM ({LISTED}) AS listed, unnest({array}) AS value"
    rows = session.execute(text(f"{statement} WHERE {' AND '.join([*conditions, 'true'])} GROUP BY value"))
    return {value: count for value, count in rows if value}


LISTED = f"""SELECT product_id, price_minor, currency, stock, title, ARRAY[brand::text] AS brand,
    ARRAY[category::text] AS class,
    ARRAY(SELECT json_array_elements_text(attributes->'color')) AS color,
    ARRAY(SELECT DISTINCT family FROM json_array_elements_text(attributes->'color') AS color
        JOIN (VALUES {", ".join(f"('{c}', '{f}')" for c, found in FAMILIES.items() for f in found)})
        AS family (shade, family)
        ON shade = color) AS color_family,
    ARRAY(SELECT json_array_elements_text(attributes->'material')) AS material,
    CASE dimensions->>'width' WHEN '80 cm' THEN 80 WHEN '1 m' THEN 100 WHEN '900 mm' THEN 90 END AS width
    FROM product"""


def of_categories(session, found: ProductFacets) -> ProductFacets:
    ids = [
        np.array(session.scalars(text("SELECT image_id FROM image JOIN product USING (product_id) WHERE category = :c"),
                                 {"c": category}).all(), dtype=np.int64)
        for category in CATEGORIES
    ]  # fmt: skip
    return found.of_classes(CATEGORIES, ids)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(items=products(), filters=filters(), word=st.sampled_from(("", *COLORS)), classes=subset(CATEGORIES))
def test_counts_equal_those_of_sql(pg_engine, items, filters, word, classes):
    """Each facet's own selection does not count for it; the words and the classes searched do."""
    with sessionmaker(pg_engine)() as session:
        apply(session, Changes(added=tuple(items)))
        found = of_categories(session, facets.product_facets(session).with_color_families())
        masks = found.masks(filters)
        conditions = {name: condition(name, filters) for name in masks}
        if word:
            (wanted,) = match(session, word, read_vocabulary(session)).wanted or [None]
            if wanted is not None:
                masks["words"] = found.rows_of(wanted.mentioned)
                meant = listed([shade for shade, found_in in FAMILIES.items() if shade == word or word in found_in])
                conditions["words"] = f"(title = ANY({meant}) OR color && {meant})"
        masks[CLASS] = found.values[CLASS].rows_with(classes, len(found))
        conditions[CLASS] = f"class && {listed(classes)}"
        passing = Passing(len(found), masks)
        for name, values in found.values.items():
            counts = dict(zip(values.names, values.counts(passing.without(name)).tolist(), strict=True))
            others = [each for key, each in conditions.items() if key != name]
            assert {value: count for value, count in counts.items() if count} == expected(session, others, name), name
        total = f"SELECT count(*) FROM ({LISTED}) AS listed WHERE {' AND '.join(conditions.values())}"
        assert passing.all.sum() == session.scalar(text(total))


ITEM = ProductItem(
    "A", "Chair", price_minor=100, currency="EUR", stock=1, attributes={"color": ("Red",)}, images=("a" * 64, "b" * 64)
)
ITEMS = (
    ITEM,
    replace(ITEM, sku="B", price_minor=200, stock=0, attributes={"color": ("red", "RED ")}, images=("c" * 64,)),
    replace(ITEM, sku="C", price_minor=300, stock=None, attributes={"color": ("red",), "size": ("M",)}),
    replace(ITEM, sku="D", price_minor=None, currency="", attributes={}, dimensions={"Breite": "2 ft"}),
    replace(ITEM, sku="E", images=()),
    replace(ITEM, sku="F"),
)


@pytest.fixture
def found(session):
    apply(session, Changes(added=ITEMS))
    apply(session, Changes(withdrawn=("F",)))
    session.query(Image).filter(Image.sha256 == "b" * 64, Image.product_id == 3).update({"problem": "unreadable"})
    session.commit()
    return facets.product_facets(session)


@pytest.mark.parametrize(
    ("filters", "image_ids"),
    [
        ({}, [1, 2, 3, 4, 6, 7]),
        ({"price_min": 200}, [3, 4]),
        ({"price_max": 200}, [1, 2, 3]),
        ({"price_min": 0, "currency": "USD"}, []),
        ({"in_stock": True}, [1, 2, 6, 7]),
        ({"width_max": 61}, [6, 7]),
        ({"width_max": 60}, []),
        ({"chosen": (("attr.color", ("RED",)),)}, [1, 2, 3, 4]),
        ({"chosen": (("attr.color", ("mauve",)),)}, []),
        ({"chosen": (("attr.nothing", ("red",)),)}, []),
    ],
)
def test_filters(found, filters, image_ids):
    """Bounds are inclusive; products with unknown values are excluded."""
    filters = Filters(**{"currency": "EUR", **filters})
    ids = found.image_ids_of(Passing(len(found), found.masks(filters)).all)
    assert (ids.tolist(), ids.dtype) == (image_ids, np.int64)
    assert bool(filters) == (filters != Filters(currency=filters.currency))


def test_families_of_colors(session):
    """They are above the attribute, and other attributes have none, though woods have colors, too."""
    values = ({"color": ("moss", "Rouge"), "wood": ("oak",)}, {"color": ("hellgrün",), "wood": ("walnut", "pine")})
    items = [replace(ITEM, sku=str(number), attributes=each) for number, each in enumerate(values)]
    apply(session, Changes(added=tuple(items)))
    found = facets.product_facets(session).with_color_families()
    assert list(found.values) == [BRAND, "attr.color:family", "attr.color", "attr.wood"]
    family = found.values["attr.color:family"]
    counts = family.counts(np.ones(2, dtype=bool)).tolist()
    assert dict(zip(family.names, counts, strict=True)) == {"green": 2, "red": 1}
    colored = {value: ids.tolist() for value, ids in found.colored().items()}
    assert colored == {"moss": [1], "Rouge": [1], "hellgrün": [2]}


def test_values_that_differ_in_case_are_one(found):
    colors = found.values["attr.color"]
    assert (colors.names, colors.counts(np.ones(len(found), dtype=bool)).tolist()) == (("red",), [3])
    assert found.facets == (), "one value is no choice"


def test_predicted_attributes_are_those_of_products_without_one(found):
    predicted = [
        (4, "color", "Green", 0.9),
        (1, "color", "blue", 0.9),
        (3, "style", "modern", 0.8),
        (99, "color", "x", 1),
    ]
    more = found.with_predictions(json.loads(json.dumps(predicted)))
    assert more.values["attr.color"].names == ("Green", "red")
    assert more.values["attr.color"].counts(np.ones(4, dtype=bool)).tolist() == [1, 3]
    assert more.values["attr.style"].names == ("modern",)
    assert more.facets == ("attr.color",)
    assert sorted(more.predicted) == [(3, "modern"), (4, "Green")], "not of a product that has one"


def test_designs(session):
    items = [replace(ITEM, sku=sku, variant_group=group) for sku, group in (("A", "x"), ("B", None), ("C", "x"))]
    apply(session, Changes(added=tuple(items)))
    found = facets.product_facets(session)
    designs = [found.design_of(product_id) for product_id in (1, 2, 3, 99)]
    assert (designs[0] == designs[2], len(set(designs))) == (True, 3)


def test_empty_catalog(session):
    found = facets.product_facets(session).of_classes((), ())
    assert len(found.image_ids_of(Passing(0, found.masks(Filters(price_min=1, in_stock=True))).all)) == 0
    assert Values.of(()).rows_with(("x",), 3).tolist() == [False] * 3
