import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import MATCH_CALIBRATION
from vsearch.core.errors import CheckpointMissing, GenerationCorrupt, GenerationError, NoGeneration
from vsearch.index import generation, retention
from vsearch.index.generation import ID_PATTERN, Generation, MatchCalibration, Quality, new_id


def test_a_published_generation_is_loaded_unchanged(shop):
    expected, path = shop.gallery(), shop.generations / shop.publish()
    loaded = generation.load(path)
    query = expected.embedding(105)
    assert loaded.gallery.search(query, k=12) == expected.search(query, k=12)
    np.testing.assert_array_equal(loaded.gallery.product_ids, expected.product_ids)
    whitening = shop.checkpoint.retrieval.whitening
    np.testing.assert_allclose(loaded.whitening.project(shop.blocks), whitening.project(shop.blocks), atol=1e-6)
    assert loaded.blocks_id == shop.checkpoint.blocks_id
    assert loaded.manifest.match_calibration == MATCH_CALIBRATION
    assert loaded.manifest.embedding_size == whitening.size
    manifest = json.loads((path / "manifest.json").read_text())
    assert set(manifest["checksums"]) == {file.name for file in path.iterdir()} - {"manifest.json"}


def test_a_generation_is_invisible_until_it_is_published(shop):
    shop.write()
    for folder in (shop.generations, shop.folder / "missing"):
        assert generation.generation_ids(folder) == []
        with pytest.raises(NoGeneration, match="vsearch index run"):
            generation.current(folder)
    with pytest.raises(NoGeneration):
        retention.rollback(shop.generations)
    first = shop.publish()
    with pytest.raises(GenerationError, match=f"before {first}.*vsearch index run"):
        retention.rollback(shop.generations)
    second = shop.publish()
    assert generation.current(shop.generations).name == second
    assert generation.generation_ids(shop.generations) == [first, second]


INDEX, IMAGES, MANIFEST = "class-000.cosine.faiss", "images.npz", "manifest.json"
DAMAGES = {
    "index missing": (INDEX, lambda data: None, rf"{INDEX} is missing"),
    "index cut": (INDEX, lambda data: data[:-1], rf"{INDEX} does not match"),
    "one byte": (IMAGES, lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], f"{IMAGES} does not match"),
    "manifest missing": (MANIFEST, lambda data: None, f"{MANIFEST} is missing"),
    "manifest cut": (MANIFEST, lambda data: data[:100], MANIFEST),
    "no object": (MANIFEST, lambda data: b"[]", MANIFEST),
    "older format": (MANIFEST, lambda data: b'{"format_version": 1}', "version 1.*`vsearch index run`"),
}


def damage(path: Path, how: str) -> str:
    name, change, problem = DAMAGES[how]
    changed = change((path / name).read_bytes())
    (path / name).unlink()
    if changed is not None:
        (path / name).write_bytes(changed)
    return problem


@pytest.mark.parametrize("how", [*DAMAGES, "folder missing"])
def test_loading_detects_damage(shop, how):
    path = shop.generations / shop.publish()
    if how == "folder missing":
        path.rename(path.with_name("elsewhere"))
    problem = damage(path, how) if how in DAMAGES else "missing"
    with pytest.raises(GenerationCorrupt, match=f"^Generation {path.name} .*{problem}"):
        generation.load(path)


@pytest.mark.parametrize("content", [b"../../etc", b"", b"\xff\xfe\x00"])
def test_a_current_file_without_an_id_is_damaged(shop, content):
    shop.publish()
    (shop.generations / "CURRENT").write_bytes(content)
    with pytest.raises(GenerationCorrupt, match="CURRENT"):
        generation.current(shop.generations)


def test_rollback_returns_to_the_previously_current_generation(shop):
    """The next rollback does not return to a generation that was rolled back."""
    first, second = shop.publish(), shop.publish()
    assert retention.rollback(shop.generations) == first
    third = shop.publish()
    assert generation.current(shop.generations).name == third
    assert retention.rolled_back(shop.generations) == [second]
    assert retention.rollback(shop.generations) == first
    assert generation.current(shop.generations).name == first
    assert retention.rolled_back(shop.generations) == [third, second]


def test_rollback_skips_damaged_generations(shop):
    """It also works without a readable CURRENT; a generation named explicitly is never skipped."""
    first, second, third = (shop.publish() for _ in range(3))
    damage(shop.generations / second, "index cut")
    assert retention.rollback(shop.generations) == first
    (shop.generations / "CURRENT").write_bytes(b"")
    assert retention.rollback(shop.generations) == third
    (shop.generations / "CURRENT").unlink()
    assert retention.rollback(shop.generations) == third
    for to, error, words in (
        (second, GenerationCorrupt, second),
        ("none", GenerationError, f"'none'.*{first}, {second}, {third}"),
    ):
        with pytest.raises(error, match=words):
            retention.rollback(shop.generations, to=to)
    assert generation.current(shop.generations).name == third
    assert retention.rollback(shop.generations, to=first) == first
    with pytest.raises(GenerationError, match=f"--to {third}"):
        retention.rollback(shop.generations)


@pytest.mark.parametrize("how", ["manifest cut", "older format"])
def test_rollback_works_when_the_current_generation_is_unreadable_or_another_unusable(shop, how):
    first, second, third = (shop.publish() for _ in range(3))
    damage(shop.generations / third, how)

    def usable(found: Generation) -> None:
        if found.generation_id == second:
            raise CheckpointMissing("gone")

    assert retention.rollback(shop.generations, usable=usable) == first


def test_prune_keeps_the_newest_the_current_and_the_previous_generation(shop):
    ids = [shop.publish() for _ in range(5)]
    retention.rollback(shop.generations)
    retention.rollback(shop.generations)
    assert retention.prune(shop.generations, keep=1) == [ids[0], ids[3]]
    assert generation.generation_ids(shop.generations) == [ids[1], ids[2], ids[4]]
    generation.load(generation.current(shop.generations))


def test_leftovers_of_killed_runs_are_removed(shop):
    shop.write()
    kept = shop.publish()
    (shop.generations / ".new-abc").touch()
    retention.remove_leftovers(shop.generations)
    assert sorted(path.name for path in shop.generations.iterdir()) == [kept, "CURRENT"]


def test_new_ids_match_the_pattern_and_differ_within_a_second(shop):
    created = generation.load(shop.generations / shop.publish()).manifest.created_at
    ids = {new_id(created) for _ in range(40)}
    assert len(ids) > 30
    assert all(re.fullmatch(ID_PATTERN, generation_id) for generation_id in ids)


@pytest.mark.parametrize(
    ("margin", "label"),
    [
        (1.0, "exact"), (0.4, "exact"), (0.39, "very similar"), (0.3, "very similar"), (0.29, "similar"),
        (0.1, "similar"), (0.09, "nothing close"), (-1.0, "nothing close"),
    ],
)  # fmt: skip
def test_thresholds_are_the_lowest_margins_of_their_labels(margin, label):
    assert MATCH_CALIBRATION.match_label(margin, 0.9) == label
    assert MATCH_CALIBRATION.match_label(margin, 0.99) == "exact"


def test_a_calibration_is_added_before_publication(shop):
    """Only the manifest changes, and the generation stays valid."""
    hidden = shop.write()
    before = {file.name: file.read_bytes() for file in hidden.iterdir()}
    calibration, quality = MatchCalibration(exact=0.6, synthetic=25), Quality(photos=25, hit_at_1=0.8, right_score=0.7)
    manifest = generation.add_calibration(hidden, calibration, quality)
    assert generation.load(hidden).manifest == manifest
    assert (manifest.match_calibration, manifest.quality) == (calibration, quality)
    assert {file.name for file in hidden.iterdir() if file.read_bytes() != before[file.name]} == {generation.MANIFEST}


def test_the_text_of_a_calibration_names_its_photos():
    assert "30 photos: 20 pictures" in MATCH_CALIBRATION.text()
    assert "not calibrated" in MatchCalibration().text()
