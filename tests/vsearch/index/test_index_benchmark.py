"""What the benchmark of index types measures, apart from times; and `vsearch bench index`."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from tests.fakes import fake_checkpoint, gallery_of, write_generation
from vsearch.cli.bench_index import bench_index
from vsearch.core.errors import InvalidRequest, UnknownClass
from vsearch.core.settings import Settings
from vsearch.index import generation, index_benchmark, index_policy
from vsearch.index.index_benchmark import TypeResult, choose, synthetic_vectors
from vsearch.index.index_policy import GRAPH, SCAN, shopper_like

SCANNED = TypeResult(SCAN, 1.0, 0, 2.0, 2.1, 1.0, 0.1, 768)
SEARCHED = TypeResult(GRAPH, 0.99, 60, 0.2, 0.3, 0.2, 30, 900)


@pytest.mark.parametrize(
    ("scan", "graph", "chosen"),
    [
        (SCANNED, SEARCHED, GRAPH),
        (replace(SCANNED, one_query=1.4), SEARCHED, SCAN),
        (SCANNED, replace(SEARCHED, recall=0.98), SCAN),
        (SCANNED, replace(SEARCHED, one_query=2.5), SCAN),
    ],
    ids=["the graph is faster", "the scan is fast enough", "low recall", "the graph is slower"],
)
def test_the_graph_is_chosen_if_it_saves_time_at_the_recall(scan, graph, chosen):
    flat = replace(scan, name="Flat", one_query=0.01)  # not built by the project, so never chosen
    assert choose([flat, scan, graph]).startswith(f"{chosen}: ")


def test_synthetic_vectors_resemble_a_catalog():
    vectors = synthetic_vectors(3000, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosines = np.sort(vectors @ vectors.T, axis=1)[:, ::-1]
    assert 0.8 < np.median(cosines[:, 1]) < 0.95
    assert 0.35 < np.median(cosines[:, 10]) < 0.6
    queries = shopper_like(vectors, 100)
    assert 0.7 < np.median((queries @ vectors.T).max(axis=1)) < 0.8


def test_every_type_reaches_the_recall_with_the_least_effort():
    results = {result.name: result for result in index_benchmark.compare_types(synthetic_vectors(7000, 16))}
    assert {"Flat", SCAN, GRAPH} < set(results)
    assert any(name.startswith("IVF") for name in results)
    assert all(result.recall >= index_policy.MIN_RECALL for result in results.values())
    assert results[SCAN].effort == results["Flat"].effort == 0 < results[GRAPH].effort
    assert results[SCAN].bytes_per_vector < min(results[GRAPH].bytes_per_vector, results["Flat"].bytes_per_vector)


@pytest.mark.parametrize("key", [SCAN, GRAPH])
def test_the_chosen_index_is_measured_with_exact_filters(key, monkeypatch):
    monkeypatch.setattr(index_policy, "POLICY", ((None, key),))
    monkeypatch.setattr(index_policy, "SCANNED_PER_CANDIDATE", 10)
    measured = index_benchmark.measure_policy(synthetic_vectors(2000, 32))
    assert (measured.vectors, measured.size, measured.key) == (2000, 32, key)
    assert measured.recall >= 0.98
    assert [found.share for found in measured.filters] == [0.001, 0.01, 0.1, 0.5, 1.0]
    assert all(found.exact for found in measured.filters)


def test_the_command_measures_synthetic_vectors(tmp_path):
    arguments = ["--vectors", "1000", "--vectors", "1200", "--size", "16", "--policy-only", "--json"]
    done = CliRunner().invoke(bench_index, arguments, obj=Settings(data=tmp_path))
    assert done.exit_code == 0, done.output
    printed = json.loads(done.output)
    assert [(each["vectors"], each["size"], each["key"]) for each in printed["classes"]] == [
        (1000, 16, SCAN),
        (1200, 16, SCAN),
    ]
    assert "FAISS" in printed["machine"]


def test_the_command_measures_the_largest_class_of_the_published_index(tmp_path):
    settings, vectors = Settings(data=tmp_path), synthetic_vectors(2300, 32)
    classes = ["sofa"] * 1100 + ["lamp"] * 1200
    gallery = gallery_of(vectors, np.arange(2300), np.arange(2300), classes)
    hidden = write_generation(settings.generations, fake_checkpoint(tmp_path / "model"), gallery)
    generation.publish(settings.generations, hidden)
    for options, name, count in (([], "lamp", 1200), (["--class", "sofa"], "sofa", 1100)):
        done = CliRunner().invoke(bench_index, ["--policy-only", *options], obj=settings)
        assert done.exit_code == 0, done.output
        assert f"Class {name!r}, {count} images: the policy gives {SCAN}" in done.output
    for arguments, error in (
        (["--class", "bed"], UnknownClass),
        (["--class", "sofa", "--vectors", "1000"], InvalidRequest),
    ):
        assert isinstance(CliRunner().invoke(bench_index, arguments, obj=settings).exception, error)
