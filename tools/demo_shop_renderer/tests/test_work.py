import csv
import io
import random

import numpy as np
import pytest
from PIL import Image

from demo_shop_renderer import __main__ as command
from demo_shop_renderer import feed, phone, work
from demo_shop_renderer.boxes import Seen
from demo_shop_renderer.catalogue import products

SEED = 7
FEW = products(SEED)[:3]
SIGHT = Seen(FEW[0].sku, "main", 1, 2, 30, 40, 0.75)
GREY = phone.jpeg(Image.new("RGB", (40, 80)), 10_000)


class Recorder:
    """A renderer that draws nothing and remembers what it was asked for."""

    def __init__(self, stop_after: int = 1000) -> None:
        self.asked: list[str] = []
        self.stop_after = stop_after

    def __call__(self, one: work.Picture) -> tuple[bytes, list[Seen] | None]:
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(one.path.name)
        return GREY, [SIGHT] if one.noted else None


def test_every_product_has_a_packshot_and_three_photos():
    """Each picture has a name of its own."""
    wanted = work.pictures(products(SEED))

    assert len(wanted) == len({one.path for one in wanted}) == 4 * len(products(SEED))
    assert [one.number for one in wanted[: len(products(SEED))]] == [0] * len(products(SEED))


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    """What is there is not rendered again, and nothing half-written is left."""
    wanted = work.pictures(FEW)
    first, second = Recorder(stop_after=5), Recorder()

    with pytest.raises(KeyboardInterrupt):
        list(work.carry_out(tmp_path, wanted, first))
    done = list(work.carry_out(tmp_path, wanted, second))

    assert (len(first.asked), len(second.asked), len(done)) == (5, 7, 7)
    assert sorted(first.asked + second.asked) == sorted(one.path.name for one in wanted)
    assert work.missing(tmp_path, wanted) == []
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_a_photo_without_its_notes_is_rendered_again(tmp_path):
    """A picture whose boxes are not known is of no use."""
    wanted = work.pictures(FEW)
    list(work.carry_out(tmp_path, wanted, Recorder()))
    (tmp_path / wanted[-1].notes).unlink()

    assert work.missing(tmp_path, wanted) == [wanted[-1]]


def test_shares_are_all_and_meet_nowhere():
    """Three processes render each picture once."""
    wanted = work.pictures(FEW)
    shares = [work.share(wanted, part, 3) for part in range(3)]

    assert sorted(one.path for part in shares for one in part) == sorted(one.path for one in wanted)


def test_the_tables_say_what_is_where(tmp_path):
    """photos.csv has a line for each product seen in each photo, packshots.csv one for each product with its split."""
    wanted = work.pictures(FEW)
    list(work.carry_out(tmp_path, wanted, Recorder()))
    feed.write(tmp_path, SEED, work.seen(tmp_path, wanted))

    with (tmp_path / "photos.csv").open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "packshots.csv").open(encoding="utf8", newline="") as file:
        packshots = {row["sku"]: row for row in csv.DictReader(file)}

    assert tuple(rows[0]) == feed.PHOTOS
    assert len(rows) == 9
    assert rows[0] | {"photo": ""} == {
        **{"photo": "", "sku": SIGHT.sku, "role": "main", "left": "0.0250", "top": "0.0250"},
        **{"right": "0.7500", "bottom": "0.5000", "visible": "0.750"},
        **{"category": packshots[SIGHT.sku]["category"], "split": packshots[SIGHT.sku]["split"]},
    }
    assert tuple(packshots[SIGHT.sku]) == feed.PACKSHOTS
    assert {row["split"] for row in packshots.values()} == {"train", "unseen"}
    families = {(row["family"], row["split"]) for row in packshots.values()}
    assert len(families) == len({family for family, _ in families})


def test_the_views_on_turntables_are_listed(tmp_path):
    """The first view of each product comes first, and the table lists the views that are in the folder."""
    wanted = work.turntables(FEW, 2)
    list(work.carry_out(tmp_path, wanted[:4], Recorder()))
    feed.write_turntables(tmp_path, [(one.product, one.number) for one in wanted[:4]])

    with (tmp_path / "turntables.csv").open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["sku"], row["view"]) for row in rows] == [
        (FEW[n].sku, view) for n, view in ((0, "1"), (1, "1"), (2, "1"), (0, "2"))
    ]
    assert all((tmp_path / "turntables" / row["image"]).is_file() for row in rows)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--views", "9"], "--views must be at most 8, but it is 9."),
        (["--only", next(one.sku for one in products(SEED) if one.family.split == "unseen")], "seed 7 has no"),
    ],
)
def test_turntables_are_of_training_products_and_have_eight_views(arguments, sentence, tmp_path, capsys):
    """Products that the evaluation uses cannot be rendered on a turntable."""
    assert command.main(["--out", str(tmp_path), "--seed", str(SEED), "--kind", "turntables", *arguments]) == 1
    assert sentence in capsys.readouterr().err


def test_phones_spoil_the_same_picture_the_same_way():
    """The same number, the same faults; the size stays, so that boxes hold."""
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (72, 96, 3)).astype(np.uint8))
    spoilt = [phone.spoil(picture, random.Random(number)) for number in (3, 3, 4)]

    assert spoilt[0].size == picture.size
    assert spoilt[0].tobytes() == spoilt[1].tobytes() != spoilt[2].tobytes()


def test_heavy_pictures_lose_quality():
    """A JPEG has at most the bytes allowed where any quality does that."""
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (128, 128, 3)).astype(np.uint8))

    data = phone.jpeg(picture, 12_000)

    assert len(data) <= 12_000
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (128, 128)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--jobs", "0"], "must be at least 1"),
        (["--seed", "x"], "must be a whole number"),
        (["--kind", "films"], "invalid choice"),
    ],
)
def test_a_bad_option_is_answered_with_a_sentence(arguments, sentence, tmp_path, capsys):
    """And nothing is rendered."""
    with pytest.raises(SystemExit):
        command.main(["--out", str(tmp_path / "shop"), *arguments])

    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_an_unknown_product_is_named(tmp_path, capsys):
    """With where to look for those there are."""
    assert command.main(["--out", str(tmp_path), "--only", "NONE-1"]) == 1
    assert "has no 'NONE-1'; see packshots.csv" in capsys.readouterr().err
