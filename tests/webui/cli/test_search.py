import io
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from catalog import changes, queries
from catalog.changes import Changes, ProductItem
from catalog.database import open_catalog
from tests.pictures import jpeg
from vsearch.cli import cli, console
from vsearch.core.settings import Metric
from vsearch.detection.detector import Detection
from vsearch.imaging.geometry import Box
from vsearch.index.gallery import Gallery
from vsearch.search.merging import LabeledHit, SearchResult, detection_weight

DETECTION = Detection(Box(0.3528, 0.6931, 0.752, 1), 0.0625)  # its hits count half
VALUES = {"fca_0014.jpg": (0.6, DETECTION.box), "fca_0015.jpg": (0.4, None), "fca_0016.jpg": (0.7, DETECTION.box)}
ORDERED: dict[Metric, tuple[str, ...]] = {
    "cosine": ("fca_0015.jpg", "fca_0016.jpg", "fca_0014.jpg"),
    "euclidean": ("fca_0015.jpg", "fca_0014.jpg", "fca_0016.jpg"),
}


class FakeEngine:
    def __init__(self, hits: list[LabeledHit]) -> None:
        self._hits = tuple(hits)
        gallery = Gallery({"cosine": {}}, np.empty(0, np.int64), np.empty(0, np.int64))
        self.serving = SimpleNamespace(generation=SimpleNamespace(gallery=gallery))

    def search(self, picture: object, search: object) -> SearchResult:
        classes = ("Sofas", "Lamps", "Beds", "Rugs", "Chairs")
        return SearchResult(self._hits, classes, "routed", "g", None, {"encode": 1.0}, classes, (DETECTION,))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_table_shows_the_value_that_it_is_ordered_by(metric, tmp_path, monkeypatch):
    """Hits of a doubtful detection count less; neither sku nor box is wrapped."""
    with open_catalog(tmp_path / "catalog.sqlite", write=True) as sessions:
        items = tuple(ProductItem(sku, "A long title of a product, and longer") for sku in VALUES)
        with sessions.begin() as session:
            changes.apply(session, Changes(added=items))
        with sessions() as session:
            ids = {sku: queries.product_by_sku(session, sku).card.product_id for sku in VALUES}
    found = [(sku, *VALUES[sku]) for sku in ORDERED[metric]]
    hits = [LabeledHit(ids[sku], 1, "Sofas", value, 0.5, 0.5, "similar", box) for sku, value, box in found]
    monkeypatch.setattr("webui.cli.load_engine", lambda settings: FakeEngine(hits))
    monkeypatch.setattr(console, "out", Console(file=(shown := io.StringIO()), width=80))
    (tmp_path / "photo.jpg").write_bytes(jpeg(40, 30))
    result = CliRunner().invoke(
        cli, ["--data", str(tmp_path), "search", str(tmp_path / "photo.jpg"), "--metric", metric]
    )
    assert result.exit_code == 0, result.output
    printed = shown.getvalue()
    lines = [line.split() for line in printed.splitlines() if ".jpg" in line and "photo" not in line]
    assert printed.startswith("photo.jpg in Sofas, Lamps, Beds and 2 more (encode 1 ms)")
    assert detection_weight(DETECTION) == 0.5
    assert tuple(line[1] for line in lines) == ORDERED[metric]
    numbers = [next(float(word) for word in line if word.startswith(("0.", "1."))) for line in lines]
    assert numbers == ([0.4, 0.35, 0.3] if metric == "cosine" else [0.4, 1.2, 1.4])
    assert printed.count("0.3528,0.6931,0.752,1 ") == 2
