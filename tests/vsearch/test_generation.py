import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import LIKENESS
from tests.vsearch.conftest import Shop
from vsearch import generation, retention
from vsearch.errors import CheckpointMissing, GenerationCorrupt, GenerationError, NoGeneration
from vsearch.generation import Generation
from vsearch.manifest import ID_PATTERN, Likeness, MatchThresholds, new_id


def test_published_and_loaded_it_is_what_was_written(shop: Shop) -> None:
    """Hits, embeddings and thresholds survive the disk."""
    expected = shop.gallery()
    loaded = generation.load(shop.generations / shop.publish())
    query = expected.embedding(105)
    assert loaded.gallery.search(query, k=12) == expected.search(query, k=12)
    np.testing.assert_array_equal(loaded.gallery.product_ids, expected.product_ids)
    np.testing.assert_allclose(
        loaded.whitening.project(shop.blocks), shop.checkpoint.whitening.project(shop.blocks), atol=1e-6
    )
    assert loaded.manifest.likeness == LIKENESS
    assert loaded.blocks_id == shop.checkpoint.blocks_id
    assert loaded.manifest.embedding_size == shop.checkpoint.whitening.size


def test_the_manifest_names_classes_counts_and_files(shop: Shop) -> None:
    """A person can read it, and every file has its checksum."""
    path = shop.generations / shop.publish()
    said = json.loads((path / "manifest.json").read_text())
    assert said["format_version"] == 1
    assert said["classes"][1] == {
        "name": "lamp",
        "count": 12,
        "index_key": "Flat",
        "files": {"cosine": "class-001.cosine.faiss", "euclidean": "class-001.euclidean.faiss"},
        "thresholds": {"exact": 0.8, "very_similar": 0.5, "similar": 0.2},
    }
    others = {file.name for file in path.iterdir()} - {"manifest.json"}
    assert set(said["checksums"]) == others


def test_what_is_written_is_not_seen_before_it_is_published(shop: Shop) -> None:
    """Neither as current nor in the list."""
    shop.write()
    assert generation.listed(shop.generations) == []
    assert generation.current_id(shop.generations) is None


def test_without_a_generation_the_remedy_is_named(tmp_path: Path) -> None:
    """Also where the folder does not exist yet."""
    with pytest.raises(NoGeneration, match="vsearch index run"):
        generation.current(tmp_path / "nowhere")
    assert generation.listed(tmp_path / "nowhere") == []


def test_publishing_makes_it_current(shop: Shop) -> None:
    """The older one stays on disk."""
    first, second = shop.publish(), shop.publish()
    assert generation.current(shop.generations).name == second
    assert generation.listed(shop.generations) == [first, second]


def spoil(path: Path, how: str) -> None:
    """Damage a published generation."""
    index, images, manifest = path / "class-000.cosine.faiss", path / "images.npz", path / "manifest.json"
    said = json.loads(manifest.read_text())
    match how:
        case "index missing":
            index.unlink()
        case "index cut":
            index.write_bytes(index.read_bytes()[:-1])
        case "one bit":
            data = bytearray(images.read_bytes())
            data[200] ^= 1
            images.write_bytes(data)
        case "manifest missing":
            manifest.unlink()
        case "manifest cut":
            manifest.write_bytes(manifest.read_bytes()[:100])
        case "other format":
            manifest.write_text(json.dumps(said | {"format_version": 2}))
        case "folder missing":
            path.rename(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("index missing", r"class-000\.cosine\.faiss is missing"),
        ("index cut", r"class-000\.cosine\.faiss differs"),
        ("one bit", r"images\.npz differs"),
        ("manifest missing", r"manifest\.json is missing"),
        ("manifest cut", r"manifest\.json: Invalid JSON"),
        ("other format", "format_version"),
        ("folder missing", "missing"),
    ],
)
def test_any_damage_is_found_when_loading(shop: Shop, how: str, word: str) -> None:
    """And said in one sentence with the remedy."""
    path = shop.generations / shop.publish()
    spoil(path, how)
    with pytest.raises(GenerationCorrupt, match=word) as caught:
        generation.load(path)
    assert "vsearch index rollback" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_current_file_that_holds_no_id_is_damage(shop: Shop) -> None:
    """Nothing outside the folder can be named by it."""
    shop.publish()
    for content in (b"../../etc", b"", b"\xff\xfe\x00"):
        (shop.generations / "CURRENT").write_bytes(content)
        with pytest.raises(GenerationCorrupt, match="must hold the id"):
            generation.current(shop.generations)


def test_rollback_goes_to_what_was_current_before(shop: Shop) -> None:
    """Once and again; what was rolled back from is not what the next one is rolled back to."""
    first, second = shop.publish(), shop.publish()
    assert retention.rollback(shop.generations) == first
    third = shop.publish()
    assert generation.current(shop.generations).name == third != second
    assert retention.rollback(shop.generations) == first
    assert generation.current(shop.generations).name == first


def test_rollback_without_an_earlier_one_is_refused(shop: Shop) -> None:
    """The current one stays."""
    with pytest.raises(NoGeneration):
        retention.rollback(shop.generations)
    only = shop.publish()
    with pytest.raises(GenerationError, match="but there is none; run"):
        retention.rollback(shop.generations)
    assert generation.current(shop.generations).name == only


def test_rollback_works_when_the_current_one_is_damaged(shop: Shop) -> None:
    """That is when it is needed."""
    first, second = shop.publish(), shop.publish()
    spoil(shop.generations / second, "manifest cut")
    assert retention.rollback(shop.generations) == first


def test_rollback_passes_over_what_is_damaged(shop: Shop) -> None:
    """Also where the file that names the current one is lost; a certain one is taken or refused."""
    first, second, third = (shop.publish() for _ in range(3))
    spoil(shop.generations / second, "index cut")
    assert retention.rollback(shop.generations) == first
    (shop.generations / "CURRENT").write_bytes(b"")
    assert retention.rollback(shop.generations) == third
    (shop.generations / "CURRENT").unlink()
    assert retention.rollback(shop.generations) == third
    with pytest.raises(GenerationCorrupt, match=f"Generation {second} must be as it was published"):
        retention.rollback(shop.generations, to=second)
    with pytest.raises(GenerationError, match=f"'none' is none of {first}, {second}, {third}; name one of them"):
        retention.rollback(shop.generations, to="none")
    assert generation.current(shop.generations).name == third
    assert retention.rollback(shop.generations, to=first) == first
    with pytest.raises(GenerationError, match=f"but there is none; go to a newer one with --to {third}"):
        retention.rollback(shop.generations)


def test_rollback_passes_over_what_cannot_be_served(shop: Shop) -> None:
    """Such as one whose model is gone."""
    first, second, _ = (shop.publish() for _ in range(3))

    def usable(found: Generation) -> None:
        if found.generation_id == second:
            raise CheckpointMissing("gone")

    assert retention.rollback(shop.generations, usable=usable) == first


def test_prune_keeps_the_newest_the_current_and_the_one_before(shop: Shop) -> None:
    """After a rollback the current one is not the newest."""
    ids = [shop.publish() for _ in range(5)]
    retention.rollback(shop.generations)
    retention.rollback(shop.generations)
    assert retention.prune(shop.generations, keep=1) == [ids[0], ids[3]]
    assert generation.listed(shop.generations) == [ids[1], ids[2], ids[4]]
    generation.load(generation.current(shop.generations))


def test_clean_removes_what_killed_runs_left(shop: Shop) -> None:
    """Published generations are not touched."""
    shop.write()
    kept = shop.publish()
    retention.clean(shop.generations)
    assert sorted(path.name for path in shop.generations.iterdir()) == [kept, "CURRENT"]


def test_ids_sort_by_time_and_are_recognised(shop: Shop) -> None:
    """Two of one second differ."""
    created = generation.load(shop.generations / shop.publish()).manifest.created_at
    ids = {new_id(created) for _ in range(40)}
    assert len(ids) > 30
    assert all(re.fullmatch(ID_PATTERN, generation_id) for generation_id in ids)


@pytest.mark.parametrize(
    ("score", "label"),
    [(1.0, "exact"), (0.9, "exact"), (0.89, "very similar"), (0.3, "similar"), (0.29, "nothing close")],
)
def test_a_score_is_put_in_words(score: float, label: str) -> None:
    """Thresholds are the least scores of their words."""
    assert MatchThresholds(exact=0.9, very_similar=0.7, similar=0.3).match_label(score) == label


def test_a_class_without_thresholds_of_its_own_takes_those_of_all() -> None:
    """The same score may be called otherwise in another class."""
    assert [LIKENESS.match_label(name, 0.6) for name in ("lamp", "chair")] == ["very similar", "similar"]


def test_a_manifest_from_before_thresholds_were_per_class_is_read(shop: Shop) -> None:
    """Its one set of thresholds stands for every class."""
    path = shop.generations / shop.publish()
    said = json.loads((path / "manifest.json").read_text())
    for entry in said["classes"]:
        del entry["thresholds"]
    (path / "manifest.json").write_text(json.dumps(said))

    assert generation.load(path).manifest.likeness == Likeness(all=LIKENESS.all)
