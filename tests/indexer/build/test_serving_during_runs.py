"""Searches through the web server while index runs publish and an operator rolls back."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from indexer.build.reindex import rollback
from tests.fakes import FakeEncoder, FakeReader
from tests.indexer.shop import Retailer
from vsearch.detection.detector import no_detector
from vsearch.index import generation as generations
from vsearch.search.engine import Engine
from webui import create_app
from webui.server import BackgroundThread
from webui.services import services_of

pytestmark = pytest.mark.slow

THREADS = 8
PUBLICATIONS = 9


@contextmanager
def serving(retailer: Retailer) -> Iterator[str]:
    """Yield the address of an application that reloads what is published."""
    engine = Engine(retailer.settings, FakeEncoder, open_detector=no_detector)
    engine.refresh()
    app = create_app(retailer.settings, engine=engine, sessions=retailer.sessions, open_reader=FakeReader)
    background = BackgroundThread(services_of(app), refresh_seconds=0.05)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    background.start()
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        background.stop()


@dataclass(frozen=True)
class Known:
    """Facts that are certain before a search begins."""

    withdrawn: frozenset[str] = frozenset()
    prices: dict[str, int] = field(default_factory=dict)


@dataclass
class Shoppers:
    """Threads that search and compare each response with what was known before the search.

    Attributes:
        latest: the generation that each thread last saw.
    """

    address: str
    photo: bytes
    known: Known = field(default_factory=Known)
    failures: list[BaseException] = field(default_factory=list)
    answers: list[tuple[str, set[str]]] = field(default_factory=list)
    latest: dict[int, str] = field(default_factory=lambda: dict.fromkeys(range(THREADS), ""))
    answered: threading.Condition = field(default_factory=threading.Condition)
    ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Search in threads while the block runs."""
        threads = [threading.Thread(target=self._search, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.ended.set()
            for thread in threads:
                thread.join()

    def wait_for(self, generation: str) -> None:
        """Wait until each thread has a response from this generation or one thread has failed."""
        with self.answered:
            self.answered.wait_for(lambda: self.failures or set(self.latest.values()) == {generation})

    def _search(self, number: int) -> None:
        try:
            while not self.ended.wait(0.1):  # without a pause, the index runs would get no CPU time
                known = self.known
                with urllib.request.urlopen(f"{self.address}/api/v1/search?class=all", self.photo) as response:
                    answer = json.load(response)
                found = {result["sku"]: result["price"]["minor_units"] for result in answer["results"]}
                assert found
                assert not found.keys() & known.withdrawn, "a result was withdrawn before the search"
                assert all(price >= known.prices.get(sku, 0) for sku, price in found.items()), "a price is outdated"
                with self.answered:
                    self.answers.append((answer["generation"], set(found)))
                    self.latest[number] = answer["generation"]
                    self.answered.notify()
        except BaseException as error:
            with self.answered:
                self.failures.append(error)
                self.answered.notify()


def test_searches_while_indexes_are_published_and_rolled_back(drawn: Retailer) -> None:
    """There are no errors, no responses that mix two generations, no withdrawn products, and no outdated prices."""
    limits = {"results_per_page": 60, "searches_in_flight": THREADS, "threads": THREADS + 1, "rate_limit": ""}
    drawn.settings = drawn.settings.model_copy(update=limits)
    drawn.run_nightly()
    contents = {current(drawn): {sku for sku, _ in drawn.indexed()}}
    photo = (Path(drawn.images) / "3.jpg").read_bytes()
    with serving(drawn) as address:
        shoppers = Shoppers(address, photo)
        with shoppers.searching():
            shoppers.wait_for(current(drawn))
            for number in range(PUBLICATIONS):
                if number % 3 == 2:
                    rollback(drawn.settings)
                else:
                    publish_changes(drawn, shoppers, number)
                    contents[current(drawn)] = {sku for sku, _ in drawn.indexed()}
                shoppers.wait_for(current(drawn))
    assert shoppers.failures == []
    assert {generation for generation, _ in shoppers.answers} == contents.keys()
    assert all(found <= contents[generation] for generation, found in shoppers.answers)


def current(retailer: Retailer) -> str:
    """Return the id of the current generation."""
    return generations.current(retailer.settings.generations).name


def publish_changes(retailer: Retailer, shoppers: Shoppers, number: int) -> None:
    """Run the nightly job with one product withdrawn, one added, and a higher price for all."""
    rows, gone = retailer.rows, f"P{number:02d}"
    picture = rows.pop(gone)["image"]
    for row in rows.values():
        row["price"] = str(int(row["price"]) + 1)
    rows[f"N{number:02d}"] = {**rows["P39"], "sku": f"N{number:02d}", "image": picture}

    def update_known() -> None:
        prices = {sku: 100 * int(row["price"]) for sku, row in rows.items()}
        shoppers.known = Known(shoppers.known.withdrawn | {gone}, prices)

    retailer.run_nightly(on_imported=update_known)
