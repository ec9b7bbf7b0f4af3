from dataclasses import replace

import numpy as np
import pytest

from catalog import changes
from catalog.changes import Changes
from tests.pictures import scene
from vsearch.answer import SearchResult
from vsearch.engine import Engine, Search
from vsearch.images import Box, Picture
from webui import results
from webui.criteria import Criteria
from webui.services import services_of


class Recording:
    """The real engine, but the photo leads to one class, and what was asked is written down."""

    def __init__(self, engine: Engine, leads_to: str, label: str) -> None:
        self.serving = engine.serving
        self.asked: list[Search] = []
        self._engine, self._leads_to, self._label = engine, leads_to, label

    def search(self, picture: Picture, search: Search) -> SearchResult:
        """Search as the engine does; an undecided search goes to the one class, all its hits under one label."""
        self.asked.append(search)
        if search.classes is not None:
            return self._engine.search(picture, search)
        found = self._engine.search(picture, replace(search, classes=(self._leads_to,)))
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


def test_fetches_more_when_many_are_withdrawn(site, monkeypatch):
    """A page is filled however many hits are no longer sold."""
    monkeypatch.setattr(results, "SPARE", 0)
    with site.sessions.begin() as session:
        changes.apply(session, Changes(withdrawn=tuple(f"P-{number:02d}" for number in range(6))))

    page = results.find(services_of(site.app), site.pictures[0], Criteria(class_name="all"))
    assert len(page.matches) == 5
    assert page.has_next


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
