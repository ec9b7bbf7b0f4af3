"""The commands with the bundled ensemble and the demo shop."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from catalog import demo
from vsearch.cli import cli

pytestmark = pytest.mark.keras

Run = Callable[..., Result]

MIN_FOUND = 7
"""Example photos of the demo whose product is among the first five results."""


@pytest.fixture(scope="module", autouse=True)
def few_views() -> Iterator[None]:
    """Save time: encoding views takes longer than encoding the shop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSEARCH_WHITENING_PRODUCTS", "80")
        patch.setenv("VSEARCH_WHITENING_VIEWS", "2")
        yield


@pytest.fixture(scope="module")
def first(few_views: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The data folder of `vsearch demo --no-serve`, run in a process of its own, and its output."""
    folder = tmp_path_factory.mktemp("shop") / "data"
    call = [sys.executable, "-c", "from vsearch.cli import main; main()", "--data", str(folder), "demo", "--no-serve"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def data(first: tuple[Path, str]) -> Path:
    """The data folder of the demo shop."""
    return first[0]


@pytest.fixture
def run(data: Path) -> Run:
    """Return a function that runs a command on that data folder and expects success."""

    def call(*arguments: object) -> Result:
        result = CliRunner().invoke(cli, ["--data", str(data), *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    return call


@pytest.fixture
def photo() -> Path:
    """A shopper's photo."""
    return demo.example_photos()[0].path


def skus() -> list[str]:
    """Return the skus of the demo shop."""
    return [line.partition(",")[0] for line in demo.FEED.read_text(encoding="utf8").splitlines()[1:]]


def test_the_demo_finds_its_own_products(first: tuple[Path, str]) -> None:
    found = re.search(r"Found the products of (\d) of 8 example photos", first[1])
    assert "added: 438" in first[1]
    assert found
    assert int(found[1]) >= MIN_FOUND


def test_a_second_run_encodes_nothing(run: Run) -> None:
    again = run("demo", "--no-serve").stdout

    assert "unchanged: 438" in again
    assert "0 pictures encoded" in again


def test_a_packshot_finds_its_own_product_first(run: Run) -> None:
    sku = skus()[0]
    picture = demo.PICTURES / f"{sku.lower()}.jpg"

    printed = json.loads(run("search", picture, "--json").stdout)

    assert printed["hits"][0]["sku"] == sku
    assert printed["hits"][0]["match"] == "exact"
    assert printed["hits"][0]["score"] > 0.95
    assert {"encode", "search"} <= set(printed["timings_ms"])


def test_a_euclidean_search_reports_distances(run: Run, photo: Path) -> None:
    anywhere = json.loads(run("search", photo, "--class", "all", "--json").stdout)
    named = anywhere["hits"][0]["class"] if "class" in anywhere["hits"][0] else anywhere["classes"][0]

    part = ("--metric", "euclidean", "--class", named, "--box", "0.1,0.1,0.9,0.9")
    printed = json.loads(run("search", photo, *part, "--json").stdout)

    distances = [hit["distance"] for hit in printed["hits"]]
    assert distances == sorted(distances)
    assert printed["classes"] == [named]


def test_the_prediction_table_has_a_row_per_network_and_a_vote(run: Run, photo: Path) -> None:
    output = run("predict", photo).output

    assert all(name in output for name in ("pocket_resnet", "pocket_vgg", "pocket_inception", "vote"))


def test_encode_writes_aligned_arrays(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for sku in skus()[::10]:
        shutil.copy(demo.PICTURES / f"{sku.lower()}.jpg", folder)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("no picture")

    run("encode", folder, tmp_path / "photos", "--out", tmp_path / "all.npz")

    with np.load(tmp_path / "all.npz") as arrays:
        assert sorted(arrays["ids"]) == sorted(file.stem for file in folder.iterdir())
        assert arrays["embeddings"].dtype == np.float32
        assert len(arrays["embeddings"]) == len(arrays["ids"]) == len(arrays["probabilities"])
        np.testing.assert_allclose(arrays["probabilities"].sum(axis=1), 1, rtol=1e-4)
        assert arrays["probabilities"].shape[1] == len(arrays["classes"])


def test_evaluation_scores_the_search_and_its_baselines(run: Run) -> None:
    printed = json.loads(run("evaluate", "shopper", "--kind", "crop", "--sample", 12, "--json").stdout)

    assert list(printed["scores"])[:2] == ["vsearch, all classes", "vsearch, routed"]
    assert all(0 <= found["hit@1"]["mean"] <= found["hit@5"]["mean"] <= 1 for found in printed["scores"].values())
    assert 0.5 < printed["routing_loss"] <= 1.2


def test_a_relevance_file_is_scored(run: Run, tmp_path: Path) -> None:
    """Two products that are relevant to each other: a query ignores its own product."""
    first, second = skus()[:2]
    qrels = tmp_path / "qrels.csv"
    qrels.write_text(f"query,iter,doc,rel\n{first},0,{second},1\n{second},0,{first},1\n{second},0,none,0\n")

    printed = json.loads(run("evaluate", "retrieval", "--qrels", qrels, "--json").stdout)

    assert (printed["title"], printed["queries"]) == ("qrels.csv", 2)


def test_a_file_that_is_no_picture_is_refused(data: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("hello")

    result = CliRunner().invoke(cli, ["--data", str(data), "search", str(bad)])

    assert result.exit_code == 1
    assert "text" in str(result.exception)
