"""What stops a publication although the index is sound: it finds otherwise than the one before."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from catalog.models import Product
from indexer.build import nightly
from indexer.build.drift import Members, drift
from indexer.build.indexes import OTHER
from indexer.build.run import run
from indexer.build.verify_published import verify
from indexer.cli.jobs import command as jobs_command
from indexer.jobs import jobs
from indexer.jobs.kinds import WORK
from tests.fakes import FakeEncoder
from tests.indexer.shop import Shop
from vsearch.core.errors import GenerationCorrupt, SettingsError, VerificationFailed, VSearchError
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index.generation import read_manifest
from vsearch.index.manifest import ClassEntry, Manifest, Quality


@pytest.fixture
def before(indexed_shop: Shop) -> Manifest:
    """What a shop of 100 sofas and 10 lamps had published."""
    manifest = read_manifest(generations.current(indexed_shop.settings.generations))
    quality = Quality(views=100, hit_at_1=0.8, own_score=0.6)
    return manifest.model_copy(update={"classes": (entry("Sofas", 100), entry("Lamps", 10)), "quality": quality})


def entry(name: str, count: int) -> ClassEntry:
    """Return a class."""
    return ClassEntry(name=name, count=count, index_key="Flat", files={})


def members_of(manifest: Manifest, first: int = 0) -> Members:
    """Return products of one picture each for all classes, numbered through in their order."""
    members = {}
    for each in manifest.classes:
        members[each.name] = dict.fromkeys(range(first, first + each.count), 1)
        first += each.count
    return members


def found(before: Manifest, after: Manifest, have: Members | None = None) -> list[str]:
    """Return what is unlike; products keep their numbers where it is not said which ones the classes `have`."""
    known = {product for products in members_of(before).values() for product in products}
    return list(drift(before, after, lambda: (members_of(before), have or members_of(after, first=max(known) + 1))))


def test_a_usual_night_is_no_drift(before: Manifest) -> None:
    """Half of a class may go, a small class altogether; quality may waver."""
    quality = Quality(views=100, hit_at_1=0.71, own_score=0.5)
    assert found(before, before.model_copy(update={"classes": (entry("Sofas", 50),), "quality": quality})) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"classes": (entry("Sofas", 49),)}, "class 'Sofas' has 49 pictures and had 100"),
        ({"classes": (entry("Lamps", 10),)}, "class 'Sofas' has 0 pictures and had 100"),
        (
            {"quality": Quality(views=100, hit_at_1=0.69, own_score=0.6)},
            "69% of made photos find their product first, and 80% did",
        ),
        (
            {"quality": Quality(views=100, hit_at_1=0.8, own_score=0.4)},
            "made photos score 0.40 with their own product, and 0.60 before",
        ),
    ],
)
def test_what_is_unlike_is_said(before: Manifest, changed: dict[str, object], sentence: str) -> None:
    """One clause each."""
    assert found(before, before.model_copy(update=changed)) == [sentence]


@pytest.mark.parametrize(
    "changed",
    [
        {"quality": Quality(views=100, hit_at_1=1, own_score=0.9)},
        {"quality": Quality(views=100, hit_at_1=0.4, own_score=0.4), "classes": (entry("Sofas", 300),)},
    ],
    ids=["better", "another catalogue"],
)
def test_what_is_no_drift(before: Manifest, changed: dict[str, object]) -> None:
    """It finds better, or is another catalogue."""
    assert found(before, before.model_copy(update=changed)) == []


def pictures(*products: range) -> dict[int, int]:
    """Return these products with a picture each."""
    return {product: 1 for some in products for product in some}


SOFAS, LAMPS, NEW = range(100), range(100, 110), range(900, 1000)


@pytest.mark.parametrize(
    "have",
    [
        {"Couches": pictures(SOFAS), "Lamps": pictures(LAMPS)},
        {"Home > Couches": pictures(SOFAS[:90], NEW[:30]), "Sofas": pictures(SOFAS[99:])},
        {"Corner": pictures(SOFAS[:40]), "Two seats": pictures(SOFAS[40:]), "Lamps": pictures(LAMPS)},
        {"Lamps": pictures(SOFAS), "Sofas": pictures(LAMPS)},
        {"Couches": pictures(SOFAS, LAMPS)},
        {"Couches": dict.fromkeys(SOFAS[:60], 3)},
    ],
    ids=[
        "renamed",
        "renamed, some new, one left",
        "split",
        "exchanged",
        "with a small one",
        "fewer, with more pictures",
    ],
)
def test_a_class_is_known_by_its_products(before: Manifest, have: Members) -> None:
    """Whatever it is called."""
    after = before.model_copy(
        update={"classes": tuple(entry(name, sum(products.values())) for name, products in have.items())}
    )
    assert found(before, after, have) == []


@pytest.mark.parametrize(
    "have",
    [
        {"Couches": pictures(NEW), "Lamps": pictures(LAMPS)},
        {"Everything": pictures(SOFAS, NEW, range(500, 520))},
        {"Couches": pictures(SOFAS[:49])},
        {"Couches": pictures(SOFAS[:30]), "Others": pictures(SOFAS[30:], NEW)},
    ],
    ids=["other products", "among others", "half of them gone", "most of them among others"],
)
def test_a_name_alone_is_no_renaming(before: Manifest, have: Members) -> None:
    """As many products, but others; or these, but lost among others."""
    after = before.model_copy(update={"classes": tuple(entry(name, len(products)) for name, products in have.items())})
    assert found(before, after, have) == ["class 'Sofas' has 0 pictures and had 100"]


def test_all_in_one_class_is_no_renaming(before: Manifest) -> None:
    """A column of categories that broke looks like that; two classes are enough for it."""
    for names in ("ABC", "AB"):
        many = before.model_copy(update={"classes": tuple(entry(name, 40) for name in names)})
        one = many.model_copy(update={"classes": (entry("Home", 40 * len(names)),)})
        lost = found(many, one, {"Home": pictures(range(40 * len(names)))})
        assert lost == [f"class {name!r} has 0 pictures and had 40" for name in names]


def test_pictures_that_are_lost_are_lost(before: Manifest) -> None:
    """Although their products are all there."""
    few = before.model_copy(update={"classes": (entry("Sofas", 49),)})
    had = {"Sofas": dict.fromkeys(range(50), 2), "Lamps": pictures(LAMPS)}
    have = {"Sofas": pictures(range(49))}
    assert list(drift(before, few, lambda: (had, have))) == ["class 'Sofas' has 49 pictures and had 100"]


def test_a_renamed_category_is_published(shop: Shop) -> None:
    """With what is too small beside a category "other" of the shop's own, which keeps its name and its products."""
    shop.add([f"T{n:03d}" for n in range(12)], "other")
    shop.add(["B001"], "Benches")
    first = run(shop.settings, open_encoder=FakeEncoder)
    with shop.sessions.begin() as session:
        session.execute(update(Product).where(Product.category == "other").values(category="Living room > Others"))
    second = run(shop.settings, open_encoder=FakeEncoder)
    names = {entry.name: entry.count for entry in read_manifest(generations.current(shop.settings.generations)).classes}
    assert (first.state, second.state) == ("published", "published")
    assert (names["Living room > Others"], names[OTHER], "other" in names) == (24, 2, False)


def test_another_model_has_scores_of_its_own(before: Manifest) -> None:
    """Its promotion has judged them; and few photos say nothing."""
    bad = Quality(views=100, hit_at_1=0.1, own_score=0.1)
    assert found(before, before.model_copy(update={"quality": bad, "blocks_id": "another"})) == []
    few = bad.model_copy(update={"views": 19})
    assert found(before, before.model_copy(update={"quality": few})) == []


def test_a_night_that_drifts_is_not_published_unless_that_is_meant(shop: Shop) -> None:
    """The index before stays, with what to do; nothing is left half-built."""
    shop.add([f"T{n:03d}" for n in range(12)], "Tables")
    first = run(shop.settings, open_encoder=FakeEncoder).generation_id
    shop.withdraw(*[f"T{n:03d}" for n in range(7)])
    with pytest.raises(VerificationFailed, match=r"'Tables' has 10 pictures and had 24;.*--accept drift`"):
        run(shop.settings, open_encoder=FakeEncoder)
    assert generations.current_id(shop.settings.generations) == first
    assert shop.latest_run().state == "failed"
    report = nightly.run(shop.settings, open_encoder=FakeEncoder, accept={"drift"})
    assert report.state == "published"
    assert list(shop.settings.generations.glob(".*")) == []


def job(settings: Settings, *arguments: str) -> str:
    """Ask for an index job at the command line, have it done, and return the state it ended in."""
    asked = CliRunner().invoke(jobs_command, ["run", *arguments], obj=settings)
    assert asked.exit_code == 0, asked.output
    found = re.search(r"Job (\d+)", asked.output)
    assert found is not None
    return jobs.execute(settings, int(found[1]), WORK)


@pytest.mark.parametrize("kind", ["index", "night"])
def test_what_is_accepted_ahead_counts_once(shop: Shop, kind: str) -> None:
    """It is kept with the job that it was asked for with; the next one fails again."""
    shop.add([f"T{n:03d}" for n in range(32)], "Tables")
    run(shop.settings, open_encoder=FakeEncoder)
    shop.withdraw(*[f"T{n:03d}" for n in range(18)])
    ended = [job(shop.settings, kind), job(shop.settings, kind, "--accept", "drift", "--accept", "canaries")]
    shop.withdraw(*[f"T{n:03d}" for n in range(18, 32)])
    assert [*ended, job(shop.settings, kind)] == ["failed", "done", "failed"]


@pytest.mark.parametrize(("kind", "cause"), [("index", "shrink"), ("import", "drift"), ("train", "rows")])
def test_what_a_job_never_meets_is_not_accepted(tmp_path: Path, kind: str, cause: str) -> None:
    """A typing error is said before the night."""
    asked = CliRunner().invoke(jobs_command, ["run", kind, "--accept", cause], obj=Settings(data=tmp_path))
    assert isinstance(asked.exception, VSearchError)
    assert f"but not {cause}; leave that out" in str(asked.exception)


def with_canaries(shop: Shop, *rows: str) -> Settings:
    """Return settings with these canaries."""
    file = shop.settings.data / "canaries.csv"
    file.write_text("\n".join(["photo,sku", *rows]) + "\n")
    return shop.settings.model_copy(update={"canaries": file})


def photo(shop: Shop, place: int) -> str:
    """Write the picture of a row as a photo; return its name."""
    row = shop.rows()[place]
    (shop.settings.data / f"{place}.jpg").write_bytes(shop.store.read(row.sha256))
    return f"{place}.jpg"


def test_canaries_must_find_their_product(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose product is sold no more says nothing; one that finds another stops the publication."""
    monkeypatch.setattr("indexer.build.canaries.DEPTH", 1)
    rows = shop.rows()
    good, wrong = f"{photo(shop, 0)},{rows[0].sku}", f"{photo(shop, 4)},{rows[-1].sku}"
    shop.add(["GONE"], "Lamps")
    shop.withdraw("GONE")
    settings = with_canaries(shop, good, f"{photo(shop, 0)},GONE")
    assert run(settings, open_encoder=FakeEncoder).state == "published"
    shop.add(["N1"], "Lamps")
    settings = with_canaries(shop, good, wrong)
    with pytest.raises(VerificationFailed) as caught:
        run(settings, open_encoder=FakeEncoder)
    assert f"the canary 4.jpg does not find {rows[-1].sku} among the first 1" in str(caught.value)
    assert str(caught.value).endswith("run `vsearch index run --accept canaries`.")
    assert run(settings, open_encoder=FakeEncoder, accept={"canaries"}).state == "published"


@pytest.mark.parametrize(
    ("row", "sentence"), [("none.jpg,S000", "No such file"), ("0.jpg,TYPO", "never had this product")]
)
def test_a_canary_that_cannot_sing_is_said(shop: Shop, row: str, sentence: str) -> None:
    """A list full of typing errors would warn of nothing."""
    photo(shop, 0)
    settings = with_canaries(shop, row)
    with pytest.raises(SettingsError, match=rf"{sentence}.*; correct the list"):
        run(settings, open_encoder=FakeEncoder)
    assert run(settings, open_encoder=FakeEncoder, accept={"canaries"}).state == "published"


@pytest.mark.parametrize("content", [None, "picture,sku\na,b\n"])
def test_a_list_of_canaries_that_is_none_is_said(indexed_shop: Shop, content: str | None) -> None:
    """Before anything is published without them."""
    file = indexed_shop.settings.data / "canaries.csv"
    if content:
        file.write_text(content)
    (problem,) = verify(indexed_shop.settings.model_copy(update={"canaries": file}), FakeEncoder).problems
    assert "must name a CSV file with the columns photo and sku" in problem


def test_what_is_live_can_be_looked_at(indexed_shop: Shop) -> None:
    """It is sound; what came and went since is said."""
    said = verify(indexed_shop.settings, FakeEncoder)
    assert (said.problems, said.notes, said.pictures) == ((), (), 24)
    indexed_shop.withdraw(indexed_shop.rows()[0].sku)
    indexed_shop.add(["N1"], "Lamps")
    said = verify(with_canaries(indexed_shop, f"{photo(indexed_shop, 5)},N1"), FakeEncoder)
    assert said.notes == (
        "2 pictures of the catalogue came since; the next run indexes them.",
        "2 pictures of the catalogue went since; shoppers do not see them.",
    )
    indexed_shop.store.path(indexed_shop.rows()[3].sha256).unlink()
    (problem,) = verify(indexed_shop.settings, FakeEncoder).problems
    assert problem.startswith("1 pictures have no file, such as one of ")


def test_a_damaged_live_index_is_said(indexed_shop: Shop) -> None:
    """With the file's name, and what to do."""
    folder: Path = generations.current(indexed_shop.settings.generations)
    file = next(folder.glob("class-000.cosine.faiss"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(GenerationCorrupt, match=r"class-000\.cosine\.faiss"):
        verify(indexed_shop.settings, FakeEncoder)
