import io
import os
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from flask import Flask, request
from rich.console import Console

from catalog import changes, demo, queries
from catalog.changes import Changes, ProductItem
from catalog.database import open_catalog
from tests.pictures import jpeg
from vsearch.cli import cli, console
from vsearch.core.settings import Metric, Settings
from vsearch.detection.detector import Detection
from vsearch.imaging.geometry import Box
from vsearch.index.gallery import Gallery
from vsearch.search.merging import LabeledHit, SearchResult, detection_weight
from webui.cli import serve as commands


@pytest.mark.parametrize("option", ["--feed", "--images", "--mapping"])
def test_feed_and_images_belong_together(option, tmp_path):
    (file := tmp_path / "file.csv").write_text("sku,title\n")
    result = CliRunner().invoke(cli, ["--data", str(tmp_path / "data"), "demo", option, str(file)])
    assert result.exit_code == 2
    assert "--feed" in result.output
    assert not (tmp_path / "data").exists()


def test_options_of_serve_override_the_settings(monkeypatch, tmp_path):
    served: list[Settings] = []

    def serve(settings, on_ready):
        served.append(settings)
        on_ready("http://127.0.0.1:1234/", "Nothing is published.")

    monkeypatch.setattr("webui.server.serve", serve)
    result = CliRunner().invoke(cli, ["--data", str(tmp_path), "serve", "--port", "1234", "--threads", "3"])
    assert result.exit_code == 0
    assert (served[0].port, served[0].threads, served[0].host) == (1234, 3, "127.0.0.1")
    assert "http://127.0.0.1:1234/" in result.stdout
    assert "Nothing is published." in result.stderr


@pytest.fixture
def indexed(monkeypatch, tmp_path):
    """The demo shop, as if indexed, with three example photos; returns the skus that each search finds, by box."""
    (tmp_path / "photo.jpg").write_bytes(jpeg(200, 100))
    boxes = [(0, 0, 0.5, 1), (0.25, 0.25, 1, 0.75), (0, 0, 1, 1)]
    photos = tuple(demo.DemoPhoto(tmp_path / "photo.jpg", f"photo {n}", f"SKU-{n}", box) for n, box in enumerate(boxes))
    monkeypatch.setattr(demo, "example_photos", lambda: photos)
    monkeypatch.setattr(commands, "_update_index", lambda settings, accept: None)
    answers: dict[str, list[str]] = {"0,0,0.5,1": ["SKU-0"], "0.25,0.25,1,0.75": [], "0,0,1,1": []}
    found = {box: [{"sku": sku} for sku in skus] for box, skus in answers.items()}
    app = Flask(__name__)
    app.add_url_rule("/api/v1/search", "search", lambda: {"results": found[request.args["box"]]}, methods=["POST"])
    monkeypatch.setattr("webui.server.build", lambda settings: (app, None))
    monkeypatch.setattr("webui.cli.serve.services_of", lambda app: io.BytesIO())
    return found


def test_the_demo_reports_the_rank_of_each_example(indexed, tmp_path, failed):
    """It fails if it finds fewer than half."""
    arguments = ["--data", str(tmp_path / "data"), "demo", "--no-serve"]
    indexed["0,0,1,1"] = [{"sku": sku} for sku in ("A", "B", "SKU-2")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    for text in ("SKU-0 is rank 1\n", "SKU-1 is not among", "SKU-2 is rank 3\n", "2 of 3 example photos"):
        assert text in result.stdout
    indexed["0,0,1,1"] = [{"sku": sku} for sku in ("A", "B", "C", "D", "E", "SKU-2")]
    assert "1 of 3 example photos" in failed(*arguments)


@pytest.mark.parametrize("own", [False, True])
def test_the_demo_becomes_a_server_with_example_photos(indexed, monkeypatch, tmp_path, own):
    """Those of the demo shop, unless the settings name others."""
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: became.append(arguments))
    data, folder = tmp_path / "data", tmp_path / "own"
    environ = {"VSEARCH_EXAMPLES": str(folder) if own else ""}
    arguments = ["--data", str(data), "demo", "--host", "0.0.0.0", "--port", "1234"]
    result = CliRunner().invoke(cli, arguments, env=environ)
    assert result.exit_code == 0, result.output
    given = str(folder if own else data / "demo" / "examples")
    assert became[0][-7:] == ["serve", "--host", "0.0.0.0", "--port", "1234", "--examples", given]
    assert (data / "demo" / "examples").exists() != own


def test_the_demo_runs_index_run(tmp_path):
    """Which maps the columns and prints the bad rows of the feed; without pictures there is nothing to index."""
    (tmp_path / "feed.csv").write_text("number,name,photo\n" + "".join(f"A{n},Sofa {n},{n}.jpg\n" for n in range(3)))
    (tmp_path / "names.toml").write_text('[columns]\nsku = "number"\ntitle = "name"\nimage = "photo"\n')
    feed = ["--feed", f"{tmp_path}/feed.csv", "--images", f"{tmp_path}", "--mapping", f"{tmp_path}/names.toml"]
    result = CliRunner().invoke(cli, ["--data", str(tmp_path / "data"), "demo", *feed, "--no-serve"])
    assert result.exit_code == 1
    assert all(f"feed.csv:{line}:" in result.stderr for line in (2, 3, 4))


DETECTION = Detection(Box(0.3528, 0.6931, 0.752, 1), 0.0625)  # its hits count half
VALUES = {"fca_0014.jpg": (0.6, DETECTION.box), "fca_0015.jpg": (0.4, None), "fca_0016.jpg": (0.7, DETECTION.box)}
MARGINS = {"fca_0014.jpg": 0.3, "fca_0015.jpg": 0.4, "fca_0016.jpg": 0.35}
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
    hits = [LabeledHit(ids[sku], 1, "Sofas", value, 0.5, MARGINS[sku], "similar", box) for sku, value, box in found]
    monkeypatch.setattr("webui.cli.serve.load_engine", lambda settings: FakeEngine(hits))
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
