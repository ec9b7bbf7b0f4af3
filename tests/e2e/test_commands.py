"""The commands on the real bundled ensemble and the demo shop, as an operator types them."""

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


@pytest.fixture(scope="module", autouse=True)
def few_views() -> Iterator[None]:
    """Encoding views to fit the embedding on takes longer than encoding the shop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSEARCH_WHITENING_PRODUCTS", "80")
        patch.setenv("VSEARCH_WHITENING_VIEWS", "2")
        yield


@pytest.fixture(scope="module")
def first(few_views: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The data folder that `vsearch demo --no-serve` made in a process of its own, and what it printed."""
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
    """Return a function that runs a command on that data folder, and must succeed."""

    def call(*arguments: object) -> Result:
        result = CliRunner().invoke(cli, ["--data", str(data), *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    return call


@pytest.fixture
def photo() -> Path:
    """One of the demo's shopper photos."""
    return demo.example_photos()[0].path


def skus() -> list[str]:
    """The keys of the demo's products."""
    return [line.partition(",")[0] for line in demo.FEED.read_text(encoding="utf8").splitlines()[1:]]


def test_the_demo_finds_its_own_products(first: tuple[Path, str]) -> None:
    """From an empty folder to a search through the real application."""
    assert re.search(r"Imported feed\.csv: 438 products added", first[1])
    assert re.search(r"Found the products of \d of 8 example photos", first[1])


def test_the_demo_does_nothing_twice(run: Run) -> None:
    """Neither imported nor encoded again."""
    again = run("demo", "--no-serve").stdout

    assert "438 as they were" in again
    assert " 0 newly encoded" in again


def test_a_second_index_run_encodes_nothing_and_says_so(run: Run) -> None:
    """Nothing has changed, so nothing is done."""
    assert "0 pictures encoded" in run("index", "run").output


def test_a_packshot_finds_its_own_product_first(run: Run) -> None:
    """Searched with a catalogue picture, the best hit is that very product, and exact: it stands among its views."""
    sku = skus()[0]
    picture = demo.PICTURES / f"{sku.lower()}.jpg"

    said = json.loads(run("search", picture, "--json").stdout)

    assert said["hits"][0]["sku"] == sku
    assert said["hits"][0]["match"] == "exact"
    assert said["hits"][0]["score"] > 0.95
    assert {"encode", "search"} <= set(said["timings_ms"])


def test_a_euclidean_search_reports_distances(run: Run, photo: Path) -> None:
    """Of one part of a photo, best first means nearest first, in the one class that was named."""
    anywhere = json.loads(run("search", photo, "--class", "all", "--json").stdout)
    named = anywhere["hits"][0]["class"] if "class" in anywhere["hits"][0] else anywhere["classes"][0]

    part = ("--metric", "euclidean", "--class", named, "--box", "0.1,0.1,0.9,0.9")
    said = json.loads(run("search", photo, *part, "--json").stdout)

    distances = [hit["distance"] for hit in said["hits"]]
    assert distances == sorted(distances)
    assert said["classes"] == [named]


def test_the_prediction_table_names_three_models_and_a_vote(run: Run, photo: Path) -> None:
    """Each of the pocket networks has its line."""
    output = run("predict", photo).output

    assert all(name in output for name in ("pocket_resnet", "pocket_vgg", "pocket_inception", "vote"))


def test_encoded_arrays_agree_with_the_live_index(run: Run, tmp_path: Path) -> None:
    """ids are file names, embeddings are the generation's, and each picture is nearest to itself."""
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


def test_evaluation_prints_the_search_beside_its_baselines(run: Run) -> None:
    """Made shopper photos are scored for the routed and the full search, HOG and colour, with the routing loss."""
    said = json.loads(run("evaluate", "shopper", "--kind", "crop", "--sample", 12, "--json").stdout)

    assert list(said["scores"])[:2] == ["vsearch, all classes", "vsearch, routed"]
    assert all(0 <= found["hit@1"]["mean"] <= found["hit@5"]["mean"] <= 1 for found in said["scores"].values())
    assert said["routing_loss"] > 0


def test_a_relevance_file_is_scored(run: Run, tmp_path: Path) -> None:
    """Two products that name each other: each query leaves itself out, so the other is the one answer."""
    first, second = skus()[:2]
    qrels = tmp_path / "qrels.csv"
    qrels.write_text(f"query,iter,doc,rel\n{first},0,{second},1\n{second},0,{first},1\n{second},0,none,0\n")

    said = json.loads(run("evaluate", "retrieval", "--qrels", qrels, "--json").stdout)

    assert (said["title"], said["queries"]) == ("qrels.csv", 2)


def test_a_photo_of_nothing_readable_is_one_sentence(data: Path, tmp_path: Path) -> None:
    """A text file is no photo: exit code 1 by the sentence of the picture door."""
    bad = tmp_path / "bad.jpg"
    bad.write_text("hello")

    result = CliRunner().invoke(cli, ["--data", str(data), "search", str(bad)])

    assert result.exit_code == 1
    assert "text" in str(result.exception)
