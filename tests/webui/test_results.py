from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import event

from catalog import changes, imports, queries
from catalog.changes import Changes
from catalog.models import utc_now
from tests.pictures import scene
from vsearch.imaging.codec import Box, Picture
from vsearch.index.manifest import MatchThresholds
from vsearch.search.engine import Engine, Search
from vsearch.search.merging import SearchResult
from vsearch.search.serving import Serving
from webui import results
from webui.criteria import Criteria
from webui.services import services_of
from webui.withdrawn import Withdrawn


class Recording:
    """The real engine, but the photo leads to one class, and what was asked is written down."""

    def __init__(self, engine: Engine, leads_to: str, label: str) -> None:
        self.taken: list[Serving] = []
        self.asked: list[Search] = []
        self.answered_by: list[Serving | None] = []
        self._engine, self._leads_to, self._label = engine, leads_to, label

    @property
    def serving(self) -> Serving:
        """What answers now: each time another, as if a generation were published between."""
        self.taken.append(replace(self._engine.serving))
        return self.taken[-1]

    def search(self, picture: Picture, search: Search, *, serving: Serving | None = None) -> SearchResult:
        """Search as the engine does; an undecided search goes to the one class, all its hits under one label."""
        self.asked.append(search)
        self.answered_by.append(serving)
        if search.classes is not None:
            return self._engine.search(picture, search, serving=serving)
        found = self._engine.search(picture, replace(search, classes=(self._leads_to,)), serving=serving)
        hits = tuple(replace(hit, label=self._label) for hit in found.hits)
        return replace(found, hits=hits, routing="routed")


@pytest.mark.parametrize(("label", "classes"), [("nothing close", {"Chair", "Lamp"}), ("similar", {"Lamp"})])
def test_photo_that_leads_astray_is_searched_everywhere(site, label, classes):
    """Where the likeliest class holds nothing alike, all classes are searched; else it is left at that."""
    engine = Recording(site.engine, "lamp", label)
    services = replace(services_of(site.app), engine=engine)

    page = results.find(services, site.pictures[6], Criteria())
    titles = [match.card.title for match in page.matches]
    if label == "nothing close":
        assert page.result.routing == "all"
        assert "Chair Model 3 velvet" in titles
    assert {title.split()[0] for title in titles} <= classes


@pytest.mark.parametrize("criteria", [Criteria(), Criteria(price_max=10_500), Criteria(box=Box(0, 0, 0.9, 0.9))])
def test_one_generation_answers_all_of_a_page(site, criteria):
    """Both searches, the kinds of product and the parts, whatever is published meanwhile."""
    engine = Recording(site.engine, "lamp", "nothing close")
    services = replace(services_of(site.app), engine=engine)

    page = results.find(services, site.pictures[6], criteria)
    assert len(engine.taken) == 1
    assert len(engine.asked) >= 2
    assert all(serving is engine.taken[0] for serving in engine.answered_by)
    assert page.result.known_classes == ("chair", "lamp")
    assert {chip.class_name for chip in page.chips} == {"chair", "lamp"}


def withdraw(site, *numbers: int) -> None:
    """Withdraw products as an import does, and bring back all others."""
    gone = [f"P-{number:02d}" for number in numbers]
    with site.sessions.begin() as session:
        now = queries.snapshot(session)
        back = tuple(replace(one, withdrawn=False) for one in now.values() if one.withdrawn and one.sku not in gone)
        changes.apply(session, Changes(withdrawn=tuple(gone), restored=back))
        moment = utc_now()
        imports.record(session, feed="feed", started_at=moment, finished_at=moment, state="imported", message="")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_withdrawn_products_leave_no_gap(site, metric):
    """A page is filled by one search, however many products are no longer sold; one that is back is found again."""
    services = replace(services_of(site.app), engine=Recording(site.engine, "", ""))
    engine, everywhere = services.engine, Criteria(class_name="all", metric=metric)

    def found(page: int) -> list[str]:
        return [match.card.sku for match in results.find(services, site.pictures[0], everywhere.but(page=page)).matches]

    before = found(1) + found(2) + found(3)
    assert sorted(before) == [f"P-{number:02d}" for number in range(12)]
    withdraw(site, *(int(sku[2:]) for sku in before[:6]))
    assert (found(1), found(2)) == (before[6:11], before[11:])
    assert not results.find(services, site.pictures[0], everywhere.but(page=2)).has_next
    withdraw(site)
    assert found(1) == before[:5]
    assert len(engine.asked) == 7


def test_a_product_page_shows_as_many_as_ever_when_some_are_withdrawn(site):
    """Likewise what looks like a product."""
    services = services_of(site.app)
    product_id = int(services.engine.serving.generation.gallery.products[0])
    before = [match.card.sku for match in results.similar(services, product_id, 8)]
    withdraw(site, *(int(sku[2:]) for sku in before[:3]))
    assert [match.card.sku for match in results.similar(services, product_id, 8)] == before[3:8] + [
        sku for sku in all_like(services, product_id) if sku not in before
    ][:3]


def all_like(services, product_id: int) -> list[str]:
    """Return all products that look like one."""
    return [match.card.sku for match in results.similar(services, product_id, 99)]


def test_only_an_import_makes_a_search_read_what_is_withdrawn(site):
    """Between two imports it is one small question to SQL, however large the catalogue is."""
    asked: list[str] = []
    event.listen(site.sessions.kw["bind"], "before_cursor_execute", lambda *seen: asked.append(seen[2]))
    known, generation = Withdrawn(), site.engine.serving.generation

    def read() -> tuple[list[int], int]:
        asked.clear()
        with site.sessions() as session:
            found = known.image_ids(session, generation).tolist()
        return found, sum(statement.startswith("SELECT") for statement in asked)

    assert read() == ([], 2)
    assert read() == ([], 1)
    withdraw(site, 0, 11)
    assert read() == ([1, 2, 23, 24], 2)
    assert read() == ([1, 2, 23, 24], 1)
    other = replace(generation, manifest=generation.manifest.model_copy(update={"generation_id": "another"}))
    with site.sessions() as session:
        assert known.image_ids(session, other).tolist() == [1, 2, 23, 24]
    assert read() == ([1, 2, 23, 24], 2)


def test_box_is_what_is_searched(site):
    """With a box only that part of the photo counts."""
    both = np.concatenate([site.pictures[4], site.pictures[20]], axis=1)
    halves = {(0.0, 0.5): "P-02", (0.5, 1.0): "P-10"}
    for (left, right), sku in halves.items():
        page = results.find(services_of(site.app), both, Criteria(box=Box(left, 0, right, 1), class_name="all"))
        assert page.matches[0].card.sku == sku


def test_nothing_close_is_only_said_of_products(site):
    """An empty page is not "nothing close": filters emptied it, not the photo."""
    page = results.find(services_of(site.app), np.array(scene()), Criteria(price_min=10**9))

    assert page.matches == ()
    assert not page.nothing_close


@pytest.mark.parametrize(
    "filters",
    [
        Criteria(price_max=10_500),
        Criteria(price_min=13_200),
        Criteria(in_stock=True),
        Criteria(class_name="lamp"),
        Criteria(box=Box(0, 0, 0.12, 0.12)),
        Criteria(class_name="lamp", price_min=100, box=Box(0, 0, 0.9, 0.9), metric="euclidean"),
    ],
)
def test_filters_that_leave_nothing_close_are_told_from_a_catalogue_without(site, filters, monkeypatch):
    """What would be close without them is counted; where nothing in the catalogue is close, that is said."""
    services = services_of(site.app)
    photo = site.pictures[6].copy()
    photo[:8, :8] = np.random.default_rng(0).integers(0, 255, (8, 8, 3))
    monkeypatch.setattr(MatchThresholds, "match_label", lambda _, margin: "exact" if margin > 0.99 else "nothing close")

    page = results.find(services, photo, filters)
    assert page.nothing_close
    assert (page.close_unfiltered, page.filtered_out) == (1, "1 product")
    assert results.find(services, photo, filters.unfiltered).close

    monkeypatch.setattr(MatchThresholds, "match_label", lambda _, margin: "nothing close")
    page = results.find(services, photo, filters)
    assert page.nothing_close
    assert (page.close_unfiltered, page.filtered_out) == (0, "")


def test_many_close_products_are_not_counted_to_the_end(site, monkeypatch):
    """Some are enough to say that the filters are to blame."""
    services = services_of(site.app)
    margins = [
        match.hit.margin for match in results.find(services, site.pictures[6], Criteria(class_name="all")).matches
    ]
    monkeypatch.setattr(results, "MAX_COUNTED", 3)
    monkeypatch.setattr(
        MatchThresholds, "match_label", lambda _, margin: "similar" if margin >= margins[3] else "nothing close"
    )
    page = results.find(services, site.pictures[6], Criteria(class_name="all", price_min=20_000))
    assert page.filtered_out == "at least 3 products"


def test_where_no_product_passes_nothing_else_is_searched(site):
    """The page says so and leads to all that look alike."""
    engine = Recording(site.engine, "lamp", "similar")
    page = results.find(
        replace(services_of(site.app), engine=engine), site.pictures[6], Criteria(class_name="all", price_max=1)
    )
    assert page.matches == ()
    assert page.filtered_out == ""
    assert len(engine.asked) == 1


@pytest.mark.parametrize("criteria", [Criteria(), Criteria(text="velvet"), Criteria(class_name="all")])
def test_what_only_orders_products_is_no_filter(site, criteria, monkeypatch):
    """Nothing is left out by it, so nothing close is nothing close, and there is no second search for it."""
    monkeypatch.setattr(MatchThresholds, "match_label", lambda _, margin: "nothing close")
    engine = Recording(site.engine, "lamp", "nothing close")
    page = results.find(replace(services_of(site.app), engine=engine), site.pictures[6], criteria)
    assert page.nothing_close
    assert page.filtered_out == ""
    assert len(engine.asked) == (1 if criteria.class_name else 2)


def test_showcase_comes_from_all_over_the_index(site):
    """As many products as asked for, or all there are."""
    services = services_of(site.app)
    for count in (1, 5, 8, 12, 50):
        skus = [card.sku for card in results.showcase(services, count)]
        assert len(set(skus)) == len(skus) == min(count, 12)
    assert {sku >= "P-06" for sku in [card.sku for card in results.showcase(services, 4)]} == {True, False}
