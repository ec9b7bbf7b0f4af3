"""What stops a publication although the index is sound: it finds otherwise than the one before."""

from pathlib import Path

import pytest

from indexer import night
from indexer.drift import drift
from indexer.live import verify
from indexer.run import run
from tests.fakes import FakeEncoder
from tests.indexer.shop import Shop
from vsearch import generation as generations
from vsearch.errors import GenerationCorrupt, SettingsError, VerificationFailed
from vsearch.generation import read_manifest
from vsearch.manifest import ClassEntry, Manifest, Quality
from vsearch.settings import Settings


@pytest.fixture
def before(indexed_shop: Shop) -> Manifest:
    """What a shop of 100 sofas and 10 lamps had published."""
    manifest = read_manifest(generations.current(indexed_shop.settings.generations))
    quality = Quality(views=100, hit_at_1=0.8, own_score=0.6)
    return manifest.model_copy(update={"classes": (entry("Sofas", 100), entry("Lamps", 10)), "quality": quality})


def entry(name: str, count: int) -> ClassEntry:
    """Return a class."""
    return ClassEntry(name=name, count=count, index_key="Flat", files={})


def test_a_usual_night_is_no_drift(before: Manifest) -> None:
    """Half of a class may go, a small class altogether; quality may waver."""
    quality = Quality(views=100, hit_at_1=0.71, own_score=0.5)
    assert list(drift(before, before.model_copy(update={"classes": (entry("Sofas", 50),), "quality": quality}))) == []


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
    assert list(drift(before, before.model_copy(update=changed))) == [sentence]


@pytest.mark.parametrize(
    "changed",
    [
        {"quality": Quality(views=100, hit_at_1=1, own_score=0.9)},
        {"quality": Quality(views=100, hit_at_1=0.4, own_score=0.4), "classes": (entry("Sofas", 300),)},
        {"classes": (entry("Couches", 90), entry("Lamps", 10))},
    ],
    ids=["better", "another catalogue", "renamed"],
)
def test_what_is_no_drift(before: Manifest, changed: dict[str, object]) -> None:
    """It finds better, or is another catalogue, or calls a class by another name."""
    assert list(drift(before, before.model_copy(update=changed))) == []


def test_all_in_one_class_is_no_renaming(before: Manifest) -> None:
    """A column of categories that broke looks like that."""
    many = before.model_copy(update={"classes": tuple(entry(name, 40) for name in "ABC")})
    lost = list(drift(many, many.model_copy(update={"classes": (entry("Home", 120),)})))
    assert lost == [f"class {name!r} has 0 pictures and had 40" for name in "ABC"]


def test_another_model_has_scores_of_its_own(before: Manifest) -> None:
    """Its promotion has judged them; and few photos say nothing."""
    bad = Quality(views=100, hit_at_1=0.1, own_score=0.1)
    assert list(drift(before, before.model_copy(update={"quality": bad, "blocks_id": "another"}))) == []
    few = bad.model_copy(update={"views": 19})
    assert list(drift(before, before.model_copy(update={"quality": few}))) == []


def test_a_night_that_drifts_is_not_published_unless_that_is_meant(shop: Shop) -> None:
    """The index before stays, with what to do; nothing is left half-built."""
    shop.add([f"T{n:03d}" for n in range(12)], "Tables")
    first = run(shop.settings, open_encoder=FakeEncoder).generation_id
    shop.withdraw(*[f"T{n:03d}" for n in range(7)])
    with pytest.raises(VerificationFailed, match=r"'Tables' has 10 pictures and had 24;.*--accept drift`"):
        run(shop.settings, open_encoder=FakeEncoder)
    assert generations.current_id(shop.settings.generations) == first
    assert shop.latest_run().state == "failed"
    report = night.run(shop.settings, open_encoder=FakeEncoder, accept={"drift"})
    assert report.state == "published"
    assert list(shop.settings.generations.glob(".*")) == []


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
    monkeypatch.setattr("indexer.canaries.DEPTH", 1)
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
    with pytest.raises(SettingsError, match=rf"{sentence}.*; mend the list"):
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
    with pytest.raises(GenerationCorrupt, match=r"class-000\.cosine\.faiss differs from its checksum.*rollback"):
        verify(indexed_shop.settings, FakeEncoder)
