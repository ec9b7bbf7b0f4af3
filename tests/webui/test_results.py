import math
import queue
import threading
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from catalog import product_edits, queries
from tests.webui.conftest import ROOM, import_products, label_matches, room, withdraw
from vsearch.imaging.codec import Limits, Picture, decode
from vsearch.imaging.geometry import Box
from vsearch.index.generation import PredictedAttribute
from vsearch.search.engine import Engine, Search
from vsearch.search.merging import SearchResult
from vsearch.search.serving import Serving
from webui import results
from webui.criteria import Criteria
from webui.photo_boxes import BADGE_RADIUS, place_badges
from webui.services import CatalogCache, services_of


class RecordingEngine:
    """The real engine, routed to one class with all hits under one label; records what it is called with."""

    def __init__(self, engine: Engine, routed_to: str, label: str) -> None:
        self.taken: list[Serving] = []
        self.searches: list[Search] = []
        self.used: list[Serving | None] = []
        self._engine, self._routed_to, self._label = engine, routed_to, label

    @property
    def serving(self) -> Serving:
        """Another object each time, as if a generation were published in between."""
        self.taken.append(replace(self._engine.serving))
        return self.taken[-1]

    def detected_classes(self, picture: Picture, serving: Serving) -> tuple[str, ...]:
        return ()

    def search(self, picture: Picture, search: Search, *, serving: Serving | None = None) -> SearchResult:
        """Search like the engine; a search without classes is routed to the one class."""
        self.searches.append(search)
        self.used.append(serving)
        if search.classes is not None:
            return self._engine.search(picture, search, serving=serving)
        found = self._engine.search(picture, replace(search, classes=(self._routed_to,)), serving=serving)
        hits = tuple(replace(hit, label=self._label) for hit in found.hits)
        return replace(found, hits=hits, routing="routed")


def recording(site, routed_to: str = "lamp", label: str = "nothing close"):
    """Return the services of the site with a recording engine."""
    return replace(services_of(site.app), engine=RecordingEngine(site.engine, routed_to, label))


@pytest.mark.parametrize(("label", "classes"), [("nothing close", {"Chair", "Lamp"}), ("similar", {"Lamp"})])
def test_all_classes_are_searched_if_nothing_close_is_found(shared_site, label, classes):
    page = results.find_products(recording(shared_site, "lamp", label), shared_site.pictures[6], Criteria())
    titles = [match.card.title for match in page.matches]
    if label == "nothing close":
        assert page.result.routing == "all"
        assert "Chair Model 3 velvet" in titles
    assert {title.split()[0] for title in titles} <= classes


@pytest.mark.parametrize("criteria", [Criteria(), Criteria(price_max=10_500), Criteria(box=Box(0, 0, 0.9, 0.9))])
def test_one_generation_answers_all_of_a_page(shared_site, criteria):
    services = recording(shared_site)
    page = results.find_products(services, shared_site.pictures[6], criteria)
    assert len(services.engine.taken) == 1
    assert len(services.engine.searches) >= 2
    assert all(serving is services.engine.taken[0] for serving in services.engine.used)
    assert page.result.known_classes == tuple(sorted(chip.class_name for chip in page.chips)) == ("chair", "lamp")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_withdrawn_products_leave_no_gap(site, metric):
    """A page is filled by one search, however many products were withdrawn; a restored one is found again."""
    services, everywhere = recording(site), Criteria(class_name="all", metric=metric)

    def find(page: int) -> list[str]:
        found = results.find_products(services, site.pictures[0], everywhere.with_changes(page=page))
        return [match.card.sku for match in found.matches]

    before = find(1) + find(2) + find(3)
    assert sorted(before) == [f"P-{number:02d}" for number in range(12)]
    withdraw(site, *before[:7])
    assert (find(1), find(2)) == (before[7:], [])
    withdraw(site)
    assert find(1) == before[:5]
    assert len(services.engine.searches) == 6


def test_timings_are_those_of_all_searches_for_a_page(site, monkeypatch):
    """The first search encodes the photo; one that follows, in other classes, finds the blocks cached."""
    milliseconds, real_search = iter([1000.0, 1.0]), site.engine.search

    def search(*args, **kwargs):
        return replace(real_search(*args, **kwargs), timings={"encode": next(milliseconds)})

    monkeypatch.setattr(site.engine, "search", search)
    label_matches(monkeypatch, math.inf)
    page = results.find_products(services_of(site.app), site.pictures[0], Criteria())
    assert page.result.routing == "all"
    assert page.timings["encode"] == 1001


def test_withdrawn_products_leave_no_gap_among_similar_products(site):
    services = services_of(site.app)
    product_id = int(services.engine.serving.generation.gallery.products[0])

    def similar(count):
        return [match.card.sku for match in results.similar_products(services, product_id, count)]

    everything = similar(99)
    withdraw(site, *everything[:3])
    assert similar(8) == everything[3:11]


def test_catalog_cache_reads_withdrawn_products_once_per_import(site):
    """In between, a search costs two small queries, however large the catalog is."""
    statements: list[str] = []
    event.listen(site.sessions.kw["bind"], "before_cursor_execute", lambda *args: statements.append(args[2]))
    cache, generation = CatalogCache(site.sessions, site.settings), site.engine.serving.generation

    def read(generation=generation) -> tuple[list[int], int]:
        statements.clear()
        found = cache.withdrawn_image_ids(generation).image_ids.tolist()
        return found, sum(statement.startswith("SELECT") for statement in statements)

    assert [read(), read()] == [([], 3), ([], 2)]
    withdraw(site, "P-00", "P-11")
    assert [read(), read()] == [([1, 2, 23, 24], 3), ([1, 2, 23, 24], 2)]
    other = replace(generation, manifest=generation.manifest.model_copy(update={"generation_id": "another"}))
    assert read(other) == ([1, 2, 23, 24], 3)


def test_words_find_predicted_attributes(site):
    """But not those of products whose color is in the feed."""
    predicted = (PredictedAttribute(4, "style", "modern", 0.9), PredictedAttribute(5, "color", "modern red", 0.9))
    serving = site.engine.serving
    site.engine._serving = replace(serving, generation=replace(serving.generation, predicted_attributes=predicted))
    page = results.find_products(services_of(site.app), site.pictures[0], Criteria(text="modern"))
    assert [match.card.product_id for match in page.matches] == [4]


def test_searches_do_not_wait_for_what_is_updated(site, monkeypatch):
    """They use the previous facets of a large catalog until the background thread has read the new ones."""
    monkeypatch.setattr("webui.services.MAX_WAIT_SECONDS", -1)
    cache, generation = CatalogCache(site.sessions, site.settings), site.engine.serving.generation
    work: queue.Queue[bool] = queue.Queue()

    def update() -> None:
        while work.get():
            cache.update(generation)
            work.task_done()

    thread = threading.Thread(target=update)
    thread.start()
    site.closing.callback(thread.join)
    site.closing.callback(work.put, False)

    def updated() -> int:
        work.put(True)
        work.join()
        return len(cache.facets(generation))

    assert updated() == 12
    withdraw(site, "P-00")
    assert len(cache.facets(generation)) == 12
    assert cache.withdrawn_image_ids(generation).image_ids.tolist() == [1, 2], "at once"
    assert updated() == 11


def test_filters_use_the_latest_import_and_edits(site):
    cache, generation = services_of(site.app).catalog, site.engine.serving.generation
    before = cache.facets(generation)
    assert cache.facets(generation) is before
    with site.sessions() as session:
        item = queries.snapshot(session)["P-00"]
    import_products(site, changed=(replace(item, price_minor=10**9, stock=None),))
    after = cache.facets(generation)
    assert (before.prices[0], after.prices[0], after.in_stock[0]) == (10_000, 10**9, False)
    with site.sessions.begin() as session:
        product_edits.save(session, "admin", "P-00", "attributes.color", ("blue",))
    assert "blue" in cache.facets(generation).values["attr.color"].names


def test_catalog_cache_reads_currencies_again_after_an_import(site):
    cache = services_of(site.app).catalog
    assert cache.currencies() == ("EUR",)
    with site.sessions() as session:
        items = [replace(item, currency="SEK") for item in queries.snapshot(session).values() if item.currency]
    import_products(site, changed=tuple(items))
    assert cache.currencies() == ("SEK",)
    import_products(site, changed=tuple(replace(item, price_minor=None, currency="") for item in items))
    assert CatalogCache(site.sessions, site.settings.model_copy(update={"currency": "GBP"})).currencies() == ("GBP",), (
        "no prices: the setting"
    )


def test_hidden_products_are_counted_up_to_a_limit(shared_site, monkeypatch):
    services, photo = services_of(shared_site.app), shared_site.pictures[6]
    everywhere = results.find_products(services, photo, Criteria(class_name="all"))
    monkeypatch.setattr(results, "MAX_COUNTED", 3)
    label_matches(monkeypatch, everywhere.matches[3].hit.margin)
    page = results.find_products(services, photo, Criteria(class_name="all", price_min=20_000))
    assert page.filtered_out == 3


def test_nothing_is_counted_if_no_product_passes(shared_site):
    """No product is not "nothing close"."""
    services = recording(shared_site, "lamp", "similar")
    page = results.find_products(services, shared_site.pictures[6], Criteria(class_name="all", price_max=1))
    assert (page.matches, page.nothing_close, page.filtered_out) == ((), False, 0)


@pytest.mark.parametrize("criteria", [Criteria(), Criteria(metric="euclidean"), Criteria(class_name="all")])
def test_criteria_that_only_order_products_hide_nothing(shared_site, criteria, monkeypatch):
    label_matches(monkeypatch, 9)
    services = recording(shared_site)
    page = results.find_products(services, shared_site.pictures[6], criteria)
    assert (page.nothing_close, page.filtered_out) == (True, 0)
    assert len(services.engine.searches) == (1 if criteria.class_name else 2)


def test_featured_products_are_spread_over_the_index(shared_site):
    services = services_of(shared_site.app)
    for count in (1, 5, 8, 12, 50):
        skus = [card.sku for card in results.featured_products(services, count)]
        assert len(set(skus)) == len(skus) == min(count, 12)
    assert {card.sku >= "P-06" for card in results.featured_products(services, 4)} == {True, False}


def change(site, sku: str, **fields) -> None:
    with site.sessions() as session:
        item = queries.snapshot(session)[sku]
    import_products(site, changed=(replace(item, **fields),))


def skus(page) -> list[str]:
    return [match.card.sku for match in page.matches]


def find(site, criteria: Criteria, product: int = 6, **options):
    return results.find_products(services_of(site.app), site.pictures[product], criteria, **options)


def test_one_card_stands_for_a_design(site):
    """The best of its variants; with filters, the best one that passes them. Programs get each product."""
    everywhere = Criteria(class_name="all")
    before = skus(find(site, everywhere))
    colors = dict(zip(before[:3], ("red", "green", "blue"), strict=True))
    for sku, color in colors.items():
        change(
            site,
            sku,
            variant_group="duo",
            attributes={"color": (color,), "leg": ("oak",)},
            stock=0 if color == "red" else 9,
        )
    page = find(site, everywhere)
    assert skus(page)[:3] == [before[0], before[3], before[4]]
    assert len({sku for number in (1, 2, 3) for sku in skus(find(site, everywhere.with_changes(page=number)))}) == 10
    best = page.matches[0]
    assert {variant.name: variant.card.sku for variant in best.variants} == {"green": before[1], "blue": before[2]}
    assert {variant.name for variant in best.in_stock_instead} == {"green", "blue"}
    assert page.matches[1].variants == page.matches[1].in_stock_instead == ()
    green = find(site, everywhere.with_changes(chosen=(("attr.color", ("Green",)),)))
    assert (skus(green), green.matches[0].in_stock_instead, green.matches[0].variants) == ([before[1]], (), ())
    not_red = find(site, everywhere.with_changes(text="-red"))
    assert [variant.name for variant in not_red.matches[0].variants] == ["blue"]
    assert skus(find(site, everywhere, by_design=False)) == before


def test_variants_with_the_same_values_are_named_by_title(site):
    for sku in ("P-03", "P-04"):
        change(site, sku, variant_group="duo")
    (variant,) = find(site, Criteria(class_name="all")).matches[0].variants
    assert variant.name == variant.card.title


def test_names_of_variants_repeat_no_value(site):
    """Of furniture of one wood, color and material are the same; two variants of each tell the other attributes."""
    for sku, (color, material) in {"P-03": ("oak", "oak"), "P-04": ("oak", "pine"), "P-05": ("ash", "pine")}.items():
        change(site, sku, variant_group="trio", attributes={"color": (color,), "material": (material,)})
    (match,) = [each for each in find(site, Criteria(class_name="all")).matches if each.variants]
    names = {match.card.sku: "", **{each.card.sku: each.name for each in match.variants}}
    expected = {"P-03": "oak", "P-04": "oak, pine", "P-05": "ash, pine"}
    assert {sku: name or expected[sku] for sku, name in names.items()} == expected


def test_a_filtered_width_is_on_the_card(site):
    change(site, "P-03", dimensions={"width": "800 mm"})
    matches = find(site, Criteria(class_name="all", width_max=80)).matches
    assert {match.card.sku: match.width for match in matches}["P-03"] == 80
    assert {match.width for match in find(site, Criteria(class_name="all")).matches} == {None}


def test_words_filter_within_the_classes_of_the_photo(site):
    """Products that are named so come before those whose description mentions it, each by likeness."""
    order = [sku for number in (1, 2) for sku in skus(find(site, Criteria(class_name="chair", page=number)))]
    change(site, order[0], description="Looks good beside moss green velvet.")
    change(site, order[3], attributes={"color": ("moss",)})
    change(site, "P-09", title="Lamp, moss velvet")
    services = recording(site, "chair", "similar")
    page = results.find_products(services, site.pictures[6], Criteria(text="moss"))
    assert skus(page) == [order[3], order[0]]
    assert page.narrowing.classes() == {"chair": 2, "lamp": 1}
    page = results.find_products(services, site.pictures[6], Criteria(text="moss -velvet"))
    assert (skus(page), page.narrowing.classes()) == ([order[3]], {"chair": 1, "lamp": 0})
    page = results.find_products(services, site.pictures[6], Criteria(text="moss suede velvet"))
    assert (skus(page), page.narrowing.unknown_words) == ([order[0]], ("suede",))
    assert not page.narrowing.words_relaxed


def test_words_that_no_product_has_together_decide_on_the_order(site):
    change(site, "P-05", title="Chair, moss")
    page = find(site, Criteria(class_name="chair", text="moss velvet lamp"))
    assert page.narrowing.words_relaxed
    assert set(skus(page)[:3]) == {"P-03", "P-04", "P-05"}
    assert len(page.matches) == 5


@pytest.mark.parametrize("sort", ["price", "price_desc"])
def test_sort_by_price(site, sort):
    """Other currencies and products without a price are last."""
    change(site, "P-06", currency="JPY")
    pages = [find(site, Criteria(class_name="all", sort=sort, page=number)) for number in (1, 2, 3)]
    found = [card for page in pages for card in (match.card for match in page.matches)]
    prices = [card.price_minor for card in found[:10]]
    assert prices == sorted(prices, reverse=sort == "price_desc")
    assert [card.sku for card in found[10:]] == ["P-06", "P-11"]


def test_counts_on_the_page(site):
    """A facet's own selection does not count for it; the whole filtered set does, not this page of it."""
    for number in range(12):
        change(
            site,
            f"P-{number:02d}",
            attributes={"color": (("red", "blue", "green")[number % 3],)},
            brand=f"B{number % 2}",
        )
    page = find(site, Criteria(class_name="chair", chosen=(("attr.color", ("BLUE",)),)))
    counts = {
        facet.name: {option.value: option.count for option in facet.options} for facet in page.narrowing.choices()
    }
    colors = {"red": 2, "blue": 2, "green": 2}
    assert counts == {"brand": {"B0": 1, "B1": 1}, "attr.color:family": {"blue": 2}, "attr.color": colors}
    assert page.narrowing.classes() == {"chair": 2, "lamp": 2}
    assert page.narrowing.in_stock() == 1
    assert len(page.matches) == 2


def test_price_ranges_cover_every_product_once(shared_site):
    page = find(shared_site, Criteria(class_name="all", in_stock=False))
    ranges = page.narrowing.price_ranges()
    assert sum(each.count for each in ranges) == 11
    assert (ranges[0].low, ranges[-1].end) == (None, None)
    for each in ranges:
        bounds = {"price_min": each.low, "price_max": None if each.end is None else each.end - 1}
        assert find(shared_site, Criteria(class_name="all", **bounds)).narrowing.passing.all.sum() == each.count


def test_what_to_try_if_nothing_close_passes(shared_site, monkeypatch):
    """Similar products just above the price, and without one of the filters."""
    label_matches(monkeypatch, 0.6)
    (best,) = (match.card for match in find(shared_site, Criteria(class_name="all")).matches if match.hit.margin >= 0.6)
    below = Criteria(class_name="all", price_max=best.price_minor - 1, in_stock=False)
    assert find(shared_site, below).suggestions == results.Suggestions(1, {"price": 1})
    cheap = below.with_changes(price_max=best.price_minor // 2)
    assert find(shared_site, cheap).suggestions == results.Suggestions(0, {"price": 1})
    assert find(shared_site, cheap.with_changes(text="lamp")).suggestions == results.Suggestions(0, {})
    assert find(shared_site, Criteria(class_name="all", text="lamp")).suggestions == results.Suggestions(
        0, {"words": 1}
    )


def test_what_filters_hide_of_the_class_of_the_photo(shared_site, monkeypatch):
    """Its products are not replaced in silence by others: the page says what each filter hides, and the nearest."""
    label_matches(monkeypatch, 0.6)
    cheapest = find(shared_site, Criteria(class_name="chair", sort="price")).matches[0].card.price_minor
    missing = find(shared_site, Criteria(class_name="chair", price_max=cheapest - 1)).missing
    assert (missing.class_name, missing.nearest.price_minor) == ("chair", cheapest)
    assert list(missing.hidden) == ["price"]
    assert find(shared_site, Criteria(class_name="chair", price_max=cheapest)).missing is None
    assert find(shared_site, Criteria(class_name="all", price_max=1)).missing is None
    guessed = find(shared_site, Criteria(price_max=1)).missing
    assert guessed.hidden.keys() == {"price"}


def test_each_product_says_which_part_of_the_photo_it_is(detector_site):
    photo = decode(room(), Limits())
    page = results.find_products(services_of(detector_site.app), photo, Criteria(class_name="all"))
    parts = {match.card.sku: page.part_of(match) for match in page.matches}
    numbers = {found.box: number for number, found in enumerate(page.boxes, start=1)}
    assert (parts["P-09"], parts["P-03"]) == (numbers[ROOM[0]], numbers[ROOM[1]])
    page = results.find_products(services_of(detector_site.app), photo, Criteria(class_name="all", box=ROOM[0]))
    assert {page.part_of(match) for match in page.matches} == {0}


@given(
    st.lists(st.tuples(*[st.floats(0, 0.85)] * 2, *[st.floats(0.15, 1)] * 2), min_size=1, max_size=3),
    st.sampled_from([(400, 400), (300, 900), (900, 300)]),
)
def test_numbers_of_boxes_do_not_overlap(found, size):
    """Up to three boxes, as many as are detected; the numbers stay in the photo."""
    boxes = [Box(x, y, min(1, x + width), min(1, y + height)) for x, y, width, height in found]
    placed = place_badges(boxes, size)
    radius = BADGE_RADIUS / 100 * max(size)
    for x, y in placed:
        assert radius - 1e-6 <= x * size[1] <= size[1] - radius + 1e-6
        assert radius - 1e-6 <= y * size[0] <= size[0] - radius + 1e-6
    for (x, y), (u, v) in combinations(placed, 2):
        assert math.hypot((x - u) * size[1], (y - v) * size[0]) >= 2 * radius - 1e-6
