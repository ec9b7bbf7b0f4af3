from dataclasses import replace

import pytest
from sqlalchemy import event

from catalog import queries
from tests.webui.conftest import import_products, label_matches, withdraw
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box
from vsearch.search.engine import Engine, Search
from vsearch.search.merging import SearchResult
from vsearch.search.serving import Serving
from webui import results
from webui.criteria import Criteria
from webui.results import reciprocal_rank_fusion
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


def test_withdrawn_products_leave_no_gap_among_similar_products(site):
    services = services_of(site.app)
    product_id = int(services.engine.serving.generation.gallery.products[0])

    def similar(count):
        return [match.card.sku for match in results.similar_products(services, product_id, count)]

    everything = similar(99)
    withdraw(site, *everything[:3])
    assert similar(8) == everything[3:11]


def test_catalog_cache_reads_withdrawn_products_once_per_import(site):
    """In between, a search costs one small query, however large the catalog is."""
    statements: list[str] = []
    event.listen(site.sessions.kw["bind"], "before_cursor_execute", lambda *args: statements.append(args[2]))
    cache, generation = CatalogCache(site.sessions, "EUR"), site.engine.serving.generation

    def read(generation=generation) -> tuple[list[int], int]:
        statements.clear()
        found = cache.withdrawn_image_ids(generation).image_ids.tolist()
        return found, sum(statement.startswith("SELECT") for statement in statements)

    assert [read(), read()] == [([], 2), ([], 1)]
    withdraw(site, "P-00", "P-11")
    assert [read(), read()] == [([1, 2, 23, 24], 2), ([1, 2, 23, 24], 1)]
    other = replace(generation, manifest=generation.manifest.model_copy(update={"generation_id": "another"}))
    assert read(other) == ([1, 2, 23, 24], 2)


def test_filters_use_the_prices_of_the_latest_import(site):
    cache = services_of(site.app).catalog
    before = cache.facets()
    assert cache.facets() is before
    with site.sessions() as session:
        item = queries.snapshot(session)["P-00"]
    import_products(site, changed=(replace(item, price_minor=10**9, stock=None),))
    assert before.image_ids_where(price_min=10**9).tolist() == []
    assert cache.facets().image_ids_where(price_min=10**9).tolist() == [1, 2]
    assert not {1, 2} & set(cache.facets().image_ids_where(in_stock=True).tolist())


def test_catalog_cache_reads_currencies_again_after_an_import(site):
    cache = services_of(site.app).catalog
    assert cache.currencies() == ("EUR",)
    with site.sessions() as session:
        items = [replace(item, currency="SEK") for item in queries.snapshot(session).values() if item.currency]
    import_products(site, changed=tuple(items))
    assert cache.currencies() == ("SEK",)
    import_products(site, changed=tuple(replace(item, price_minor=None, currency="") for item in items))
    assert CatalogCache(site.sessions, "GBP").currencies() == ("GBP",), "no prices: the setting"


def test_hidden_products_are_counted_up_to_a_limit(shared_site, monkeypatch):
    services, photo = services_of(shared_site.app), shared_site.pictures[6]
    everywhere = results.find_products(services, photo, Criteria(class_name="all"))
    monkeypatch.setattr(results, "MAX_COUNTED", 3)
    label_matches(monkeypatch, everywhere.matches[3].hit.margin)
    page = results.find_products(services, photo, Criteria(class_name="all", price_min=20_000))
    assert page.filtered_out == "at least 3 products"


def test_nothing_is_counted_if_no_product_passes(shared_site):
    """No product is not "nothing close"."""
    services = recording(shared_site, "lamp", "similar")
    page = results.find_products(services, shared_site.pictures[6], Criteria(class_name="all", price_max=1))
    assert (page.matches, page.nothing_close, page.filtered_out) == ((), False, "")
    assert len(services.engine.searches) == 1


@pytest.mark.parametrize("criteria", [Criteria(), Criteria(text="velvet"), Criteria(class_name="all")])
def test_criteria_that_only_order_products_hide_nothing(shared_site, criteria, monkeypatch):
    label_matches(monkeypatch, 9)
    services = recording(shared_site)
    page = results.find_products(services, shared_site.pictures[6], criteria)
    assert (page.nothing_close, page.filtered_out) == (True, "")
    assert len(services.engine.searches) == (1 if criteria.class_name else 2)


def test_featured_products_are_spread_over_the_index(shared_site):
    services = services_of(shared_site.app)
    for count in (1, 5, 8, 12, 50):
        skus = [card.sku for card in results.featured_products(services, count)]
        assert len(set(skus)) == len(skus) == min(count, 12)
    assert {card.sku >= "P-06" for card in results.featured_products(services, 4)} == {True, False}


@pytest.mark.parametrize(
    ("rankings", "fused"), [([[1, 2, 3, 4], [3, 9]], [3, 1, 2, 9, 4]), ([[3, 1, 2]], [3, 1, 2]), ([], [])]
)
def test_reciprocal_rank_fusion(rankings, fused):
    assert reciprocal_rank_fusion(rankings) == fused
