"""Drift from the published index, canaries, and `vsearch index verify`."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from catalog.database import open_catalog
from catalog.models import Product, utc_now
from indexer.build import checks
from indexer.build.checks import Members, drift, verify_published
from indexer.build.indexes import OTHER
from indexer.build.nightly import reindex
from indexer.cli.jobs import command as jobs_command
from indexer.jobs import execution
from indexer.jobs.kinds import FUNCTIONS
from tests.fakes import FakeEncoder
from tests.indexer.shop import Shop
from vsearch.core.errors import GenerationCorrupt, SettingsError, VerificationFailed, VSearchError
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index.generation import ClassEntry, Manifest, Quality, read_manifest

SOFAS, LAMPS, NEW = range(100), range(100, 110), range(900, 1000)


@pytest.fixture
def before(indexed_shop: Shop) -> Manifest:
    """The manifest of a shop with 100 sofas and 10 lamps."""
    manifest = read_manifest(generations.current(indexed_shop.settings.generations))
    return with_classes(manifest, Sofas=100, Lamps=10).model_copy(update={"quality": quality()})


def with_classes(manifest: Manifest, **counts: int) -> Manifest:
    """Return a manifest with these classes."""
    classes = tuple(ClassEntry(name=name, count=count, index_key="Flat", files={}) for name, count in counts.items())
    return manifest.model_copy(update={"classes": classes})


def quality(hit_at_1: float = 0.8, own_score: float = 0.6, views: int = 100) -> Quality:
    """Return a search quality."""
    return Quality(views=views, hit_at_1=hit_at_1, own_score=own_score)


def one_picture_each(*products: range) -> dict[int, int]:
    """Return these products with one picture each."""
    return {product: 1 for some in products for product in some}


def numbered(manifest: Manifest, first: int = 0) -> Members:
    """Return products for all classes, numbered in their order."""
    members = {}
    for entry in manifest.classes:
        members[entry.name] = one_picture_each(range(first, first + entry.count))
        first += entry.count
    return members


def find_drift(before: Manifest, after: Manifest, members: Members | None = None) -> list[str]:
    """Return the drift; without `members`, all products after are new."""
    return list(drift(before, after, lambda: (numbered(before), members or numbered(after, first=10_000))))


@pytest.mark.parametrize(
    ("counts", "new_quality"),
    [
        ({"Sofas": 50}, quality(0.71, 0.5)),
        ({"Sofas": 100, "Lamps": 10}, quality(1, 0.9)),
        ({"Sofas": 300}, quality(0.4, 0.4)),
        ({"Sofas": 100, "Lamps": 10}, quality(0.1, 0.1, views=19)),
    ],
    ids=["within the limits", "better", "another catalog", "too few views"],
)
def test_no_drift(before: Manifest, counts: dict[str, int], new_quality: Quality) -> None:
    after = with_classes(before, **counts).model_copy(update={"quality": new_quality})
    assert find_drift(before, after) == []


def test_scores_of_another_model_are_not_compared(before: Manifest) -> None:
    assert find_drift(before, before.model_copy(update={"quality": quality(0.1, 0.1), "blocks_id": "another"})) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"quality": quality(hit_at_1=0.69)}, ("80%", "69%")),
        ({"quality": quality(own_score=0.4)}, ("0.60", "0.40")),
    ],
)
def test_worse_quality_is_drift(before: Manifest, changed: dict[str, object], words: tuple[str, ...]) -> None:
    (problem,) = find_drift(before, before.model_copy(update=changed))
    assert all(word in problem for word in words)


@pytest.mark.parametrize("counts", [{"Sofas": 49}, {"Lamps": 10}])
def test_a_shrunken_class_is_drift(before: Manifest, counts: dict[str, int]) -> None:
    (problem,) = find_drift(before, with_classes(before, **counts))
    assert "'Sofas'" in problem
    assert f"from 100 to {counts.get('Sofas', 0)}" in problem


@pytest.mark.parametrize(
    "members",
    [
        {"Couches": one_picture_each(SOFAS), "Lamps": one_picture_each(LAMPS)},
        {"Home > Couches": one_picture_each(SOFAS[:90], NEW[:30]), "Sofas": one_picture_each(SOFAS[99:])},
        {"Corner": one_picture_each(SOFAS[:40]), "Two seats": one_picture_each(SOFAS[40:])},
        {"Lamps": one_picture_each(SOFAS), "Sofas": one_picture_each(LAMPS)},
        {"Couches": one_picture_each(SOFAS, LAMPS)},
        {"Couches": dict.fromkeys(SOFAS[:60], 3)},
    ],
    ids=["renamed", "renamed with new products", "split", "exchanged", "joined by a small class", "more pictures"],
)
def test_a_class_is_recognized_by_its_products(before: Manifest, members: Members) -> None:
    after = with_classes(before, **{name: sum(products.values()) for name, products in members.items()})
    assert find_drift(before, after, members) == []


@pytest.mark.parametrize(
    "members",
    [
        {"Couches": one_picture_each(NEW), "Lamps": one_picture_each(LAMPS)},
        {"Everything": one_picture_each(SOFAS, NEW, range(500, 520))},
        {"Couches": one_picture_each(SOFAS[:49])},
        {"Couches": one_picture_each(SOFAS[:30]), "Others": one_picture_each(SOFAS[30:], NEW)},
    ],
    ids=["other products", "merged with everything", "half of them gone", "most of them among others"],
)
def test_a_lost_class_is_drift_whatever_the_names(before: Manifest, members: Members) -> None:
    after = with_classes(before, **{name: len(products) for name, products in members.items()})
    (problem,) = find_drift(before, after, members)
    assert "'Sofas'" in problem


@pytest.mark.parametrize("names", ["AB", "ABC"])
def test_merging_all_classes_is_drift(before: Manifest, names: str) -> None:
    """A broken category column looks like that."""
    old = with_classes(before, **dict.fromkeys(names, 40))
    total = 40 * len(names)
    found = find_drift(old, with_classes(before, Home=total), {"Home": one_picture_each(range(total))})
    assert len(found) == len(names)


def test_lost_pictures_are_drift_though_the_products_stay(before: Manifest) -> None:
    old = {"Sofas": dict.fromkeys(range(50), 2), "Lamps": one_picture_each(LAMPS)}
    new = {"Sofas": one_picture_each(range(49))}
    assert len(list(drift(before, with_classes(before, Sofas=49), lambda: (old, new)))) == 1


def test_a_renamed_category_is_published(shop: Shop) -> None:
    """Also beside a category named like the class of other products."""
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
    with open_catalog(settings.catalogue_url, write=True) as sessions:
        job = execution.claim_next(sessions, "worker:1", utc_now())
    assert job is not None
    return execution.execute(settings, job.job_id, "worker:1", FUNCTIONS)


@pytest.mark.parametrize("kind", ["index", "nightly"])
def test_a_job_accepts_drift_for_itself_only(shop: Shop, kind: str) -> None:
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
    """Unless it has been withdrawn."""
    monkeypatch.setattr(checks, "CANARY_DEPTH", 1)
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


@pytest.mark.parametrize("row", ["none.jpg,S000", "0.jpg,TYPO"])
def test_an_unusable_canary_stops_the_publication(shop: Shop, row: str) -> None:
    """A list full of typing errors would detect nothing."""
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
