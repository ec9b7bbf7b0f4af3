"""Drift from the published index, canaries, and `vsearch index verify`."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import update

from catalog.database import open_catalog
from catalog.models import Product, utc_now
from indexer.build import generation_checks
from indexer.build.class_indexes import OTHER
from indexer.build.generation_checks import Members, drift, verify_published
from indexer.build.reindex import reindex
from indexer.cli.jobs import jobs as jobs_command
from indexer.jobs import execution
from indexer.jobs.kinds import FUNCTIONS
from tests.fakes import FakeDetector, FakeEncoder
from tests.indexer.shop import Shop
from vsearch.core.errors import GenerationCorrupt, SettingsError, VerificationFailed, VSearchError
from vsearch.core.settings import Settings
from vsearch.imaging.codec import decode, encode_jpeg
from vsearch.imaging.geometry import Box
from vsearch.index import generation as generations
from vsearch.index.generation import ClassEntry, Manifest, Quality, read_manifest

SOFAS, LAMPS, NEW = range(100), range(100, 110), range(900, 1000)


def one_picture_each(*products: range) -> dict[int, int]:
    """Return these products, each with one picture."""
    return {product: 1 for some in products for product in some}


def quality(hit_at_1: float = 0.8, right_score: float = 0.6, photos: int = 100) -> Quality:
    """Return a search quality."""
    return Quality(photos=photos, hit_at_1=hit_at_1, right_score=right_score)


def manifest(members: Members, of_views: Quality, blocks_id: str = "the same") -> Manifest:
    """Return a manifest with the data used to measure drift."""
    counts = {name: sum(products.values()) for name, products in members.items()}
    classes = tuple(ClassEntry(name=name, count=count, index_key="Flat", files={}) for name, count in counts.items())
    return Manifest.model_construct(classes=classes, quality=of_views, blocks_id=blocks_id)


BEFORE: Members = {"Sofas": one_picture_each(SOFAS), "Lamps": one_picture_each(LAMPS)}


def find_drift(after: Members, of_views: Quality, blocks_id: str = "the same", before: Members = BEFORE) -> list[str]:
    """Return the drift from a shop of 100 sofas and 10 lamps."""
    new = manifest(after, of_views, blocks_id)
    return list(drift(manifest(before, quality()), new, lambda: (before, after)))


@pytest.mark.parametrize(
    ("members", "of_views"),
    [
        ({"Sofas": one_picture_each(SOFAS[:50])}, quality(0.71, 0.5)),
        (BEFORE, quality(1, 0.9)),
        ({"Sofas": one_picture_each(range(300))}, quality(0.4, 0.4)),
        (BEFORE, quality(0.1, 0.1, photos=19)),
        ({"Couches": one_picture_each(SOFAS), "Lamps": one_picture_each(LAMPS)}, quality()),
        ({"Couches": one_picture_each(SOFAS[:90], NEW[:30]), "Sofas": one_picture_each(SOFAS[99:])}, quality()),
        ({"Corner": one_picture_each(SOFAS[:40]), "Two seats": one_picture_each(SOFAS[40:])}, quality()),
        ({"Lamps": one_picture_each(SOFAS), "Sofas": one_picture_each(LAMPS)}, quality()),
        ({"Couches": one_picture_each(SOFAS, LAMPS)}, quality()),
        ({"Couches": dict.fromkeys(SOFAS[:60], 3)}, quality()),
    ],
    ids=[
        "within the limits",
        "better",
        "another catalog",
        "too few views",
        "renamed",
        "renamed with new products",
        "split",
        "exchanged",
        "joined by a small class",
        "more pictures",
    ],
)
def test_no_drift(members: Members, of_views: Quality) -> None:
    assert find_drift(members, of_views) == []


def test_scores_of_another_model_are_not_compared() -> None:
    assert find_drift(BEFORE, quality(0.1, 0.1), blocks_id="another") == []


@pytest.mark.parametrize(
    ("members", "of_views", "words"),
    [
        (BEFORE, quality(hit_at_1=0.64), "80% to 64%"),
        (BEFORE, quality(right_score=0.4), "0.60 to 0.40"),
        ({"Sofas": one_picture_each(SOFAS[:49])}, quality(), "'Sofas' shrank from 100 to 49"),
        ({"Lamps": one_picture_each(LAMPS)}, quality(), "'Sofas' shrank from 100 to 0"),
        ({"Couches": one_picture_each(NEW)}, quality(), "'Sofas'"),
        ({"Everything": one_picture_each(SOFAS, NEW, range(500, 520))}, quality(), "'Sofas'"),
        ({"Couches": one_picture_each(SOFAS[:49])}, quality(), "'Sofas'"),
        ({"Couches": one_picture_each(SOFAS[:30]), "Others": one_picture_each(SOFAS[30:], NEW)}, quality(), "'Sofas'"),
    ],
    ids=[
        "fewer hits",
        "lower scores",
        "shrunk",
        "gone",
        "other products",
        "merged with everything",
        "half of them gone",
        "most of them among others",
    ],
)
def test_drift(members: Members, of_views: Quality, words: str) -> None:
    (problem,) = find_drift(members, of_views)
    assert words in problem


@pytest.mark.parametrize("names", ["AB", "ABC"])
def test_merging_all_classes_is_drift(names: str) -> None:
    """This is the effect of a broken category column."""
    before = {name: one_picture_each(range(40 * number, 40 * number + 40)) for number, name in enumerate(names)}
    after = {"Home": one_picture_each(range(40 * len(names)))}
    assert len(find_drift(after, quality(), before=before)) == len(names)


def test_lost_pictures_are_drift_though_the_products_stay() -> None:
    before = {"Sofas": dict.fromkeys(range(50), 2)}
    assert len(find_drift({"Sofas": one_picture_each(range(49))}, quality(), before=before)) == 1


def test_a_renamed_category_is_published(shop: Shop) -> None:
    """This also works next to a category named like the class of other products."""
    shop.add([f"T{n:03d}" for n in range(12)], "other")
    shop.add(["B001"], "Benches")
    reindex(shop.settings, open_encoder=FakeEncoder)
    with shop.sessions.begin() as session:
        session.execute(update(Product).where(Product.category == "other").values(category="Living room > Others"))
    assert reindex(shop.settings, open_encoder=FakeEncoder).state == "published"
    names = {entry.name: entry.count for entry in read_manifest(generations.current(shop.settings.generations)).classes}
    assert (names["Living room > Others"], names[OTHER], "other" in names) == (24, 2, False)


def test_drift_stops_the_publication_unless_accepted(shop: Shop) -> None:
    shop.add([f"T{n:03d}" for n in range(12)], "Tables")
    first = reindex(shop.settings, open_encoder=FakeEncoder).generation_id
    shop.withdraw(*[f"T{n:03d}" for n in range(7)])
    with pytest.raises(VerificationFailed, match=r"'Tables'.*--accept drift`"):
        reindex(shop.settings, open_encoder=FakeEncoder)
    assert generations.current_id(shop.settings.generations) == first
    assert shop.latest_run().state == "failed"
    report = reindex(shop.settings, open_encoder=FakeEncoder, accept={"drift"})
    assert report.state == "published"
    assert list(shop.settings.generations.glob(".*")) == []


def run_job(settings: Settings, *arguments: str) -> str:
    """Submit a job, execute it, and return its final state."""
    submitted = CliRunner().invoke(jobs_command, ["run", *arguments], obj=settings)
    assert submitted.exit_code == 0, submitted.output
    with open_catalog(settings.catalog_url, write=True) as sessions:
        job = execution.claim_next(sessions, "worker:1", utc_now())
    assert job is not None
    return execution.execute(settings, job.job_id, "worker:1", FUNCTIONS)


@pytest.mark.parametrize("kind", ["index", "nightly"])
def test_a_job_accepts_drift_for_itself_only(shop: Shop, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.build.reindex.MIN_PHOTOS", 1000)  # a job opens the real encoder
    shop.add([f"T{n:03d}" for n in range(32)], "Tables")
    reindex(shop.settings, open_encoder=FakeEncoder)
    shop.withdraw(*[f"T{n:03d}" for n in range(18)])
    states = [run_job(shop.settings, kind), run_job(shop.settings, kind, "--accept", "drift", "--accept", "canaries")]
    shop.withdraw(*[f"T{n:03d}" for n in range(18, 32)])
    assert [*states, run_job(shop.settings, kind)] == ["failed", "done", "failed"]


@pytest.mark.parametrize(("kind", "cause"), [("index", "shrink"), ("import", "drift"), ("train", "rows")])
def test_a_job_refuses_to_accept_what_cannot_happen_to_it(tmp_path: Path, kind: str, cause: str) -> None:
    result = CliRunner().invoke(jobs_command, ["run", kind, "--accept", cause], obj=Settings(data=tmp_path))
    assert isinstance(result.exception, VSearchError)
    assert cause in str(result.exception)


def with_canaries(shop: Shop, *rows: str) -> Settings:
    """Return settings with these canaries."""
    file = shop.settings.data / "canaries.csv"
    file.write_text("\n".join(["photo,sku", *rows]) + "\n")
    return shop.settings.model_copy(update={"canaries": file})


def write_photo(shop: Shop, number: int) -> str:
    """Write a catalog picture as a photo and return its name."""
    row = shop.rows()[number]
    (shop.settings.data / f"{number}.jpg").write_bytes(shop.store.read(row.sha256))
    return f"{number}.jpg"


def test_canaries_must_find_their_product(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Canaries of withdrawn products are skipped."""
    monkeypatch.setattr(generation_checks, "CANARY_DEPTH", 1)
    rows = shop.rows()
    good, wrong = f"{write_photo(shop, 0)},{rows[0].sku}", f"{write_photo(shop, 4)},{rows[-1].sku}"
    shop.add(["GONE"], "Lamps")
    shop.withdraw("GONE")
    settings = with_canaries(shop, good, f"{write_photo(shop, 0)},GONE")
    assert reindex(settings, open_encoder=FakeEncoder).state == "published"
    shop.add(["N1"], "Lamps")
    settings = with_canaries(shop, good, wrong)
    with pytest.raises(VerificationFailed, match=rf"4\.jpg.*{rows[-1].sku}.*--accept canaries`"):
        reindex(settings, open_encoder=FakeEncoder)
    assert reindex(settings, open_encoder=FakeEncoder, accept={"canaries"}).state == "published"


def test_canaries_are_searched_as_served(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product in the left third of a photo of something else is found through its box."""
    monkeypatch.setattr(generation_checks, "CANARY_DEPTH", 1)
    row, other = shop.rows()[0], shop.rows()[-1]
    parts = [decode(shop.store.read(each.sha256)) for each in (row, other, other)]
    photo = np.concatenate(parts, axis=1)
    (shop.settings.data / "room.jpg").write_bytes(encode_jpeg(photo))
    settings = with_canaries(shop, f"room.jpg,{row.sku}")
    with pytest.raises(VerificationFailed, match=r"room\.jpg"):
        reindex(settings, open_encoder=FakeEncoder)
    assert reindex(settings, open_encoder=FakeEncoder, open_detector=FakeDetector(Box(0, 0, 1 / 3, 1))).classes == 4


@pytest.mark.parametrize("row", ["none.jpg,S000", "0.jpg,TYPO"])
def test_an_unusable_canary_stops_the_publication(shop: Shop, row: str) -> None:
    """A list full of typos would detect nothing."""
    write_photo(shop, 0)
    settings = with_canaries(shop, row)
    with pytest.raises(SettingsError, match=row.split(",")[1]):
        reindex(settings, open_encoder=FakeEncoder)
    assert reindex(settings, open_encoder=FakeEncoder, accept={"canaries"}).state == "published"


@pytest.mark.parametrize("content", [None, "picture,sku\na,b\n"])
def test_verify_reports_an_unusable_list_of_canaries(indexed_shop: Shop, content: str | None) -> None:
    file = indexed_shop.settings.data / "canaries.csv"
    if content:
        file.write_text(content)
    (problem,) = verify_published(indexed_shop.settings.model_copy(update={"canaries": file}), FakeEncoder).problems
    assert str(file) in problem


def test_verify_compares_the_published_index_with_the_catalog(indexed_shop: Shop) -> None:
    result = verify_published(indexed_shop.settings, FakeEncoder)
    assert (result.problems, result.notes, result.pictures) == ((), (), 24)
    indexed_shop.withdraw(indexed_shop.rows()[0].sku)
    indexed_shop.add(["N1"], "Lamps", pictures=3)
    result = verify_published(with_canaries(indexed_shop, f"{write_photo(indexed_shop, 5)},N1"), FakeEncoder)
    added, removed = result.notes
    assert (": 3." in added, ": 2." in removed) == (True, True)
    lost = indexed_shop.rows()[3]
    indexed_shop.store.path(lost.sha256).unlink()
    (problem,) = verify_published(indexed_shop.settings, FakeEncoder).problems
    assert lost.sku in problem


def test_verify_names_a_damaged_file(indexed_shop: Shop) -> None:
    folder: Path = generations.current(indexed_shop.settings.generations)
    file = next(folder.glob("class-000.cosine.faiss"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(GenerationCorrupt, match=re.escape(file.name)):
        verify_published(indexed_shop.settings, FakeEncoder)
