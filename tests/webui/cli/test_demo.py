import os
from contextlib import nullcontext

import pytest
from click.testing import CliRunner

from catalog import changes, demo, imports
from catalog.changes import Changes, ProductItem
from catalog.database import open_catalog
from tests.pictures import jpeg
from vsearch.cli import cli, main
from vsearch.core.settings import Settings
from webui.cli import demo as command


@pytest.mark.parametrize("option", ["--feed", "--images"])
def test_feed_and_images_belong_together(option, tmp_path):
    """A feed without pictures, or pictures without a feed, is a usage error before anything is done."""
    file = tmp_path / "file.csv"
    file.write_text("sku,title\n")

    result = CliRunner().invoke(cli, ["--data", str(tmp_path / "data"), "demo", option, str(file)])

    assert result.exit_code == 2
    assert "belong together" in result.output
    assert not (tmp_path / "data").exists()


def test_serve_takes_its_options_over_the_settings(monkeypatch, tmp_path):
    """Options win over settings, and the address is printed when the server says that it is ready."""
    served: list[Settings] = []

    def serve(settings, on_ready):
        served.append(settings)
        on_ready("http://127.0.0.1:1234/", "Nothing is published.")

    monkeypatch.setattr("webui.server.serve", serve)
    result = CliRunner().invoke(cli, ["--data", str(tmp_path), "serve", "--port", "1234", "--threads", "3"])

    assert result.exit_code == 0
    assert (served[0].port, served[0].threads, served[0].host) == (1234, 3, "127.0.0.1")
    assert "http://127.0.0.1:1234/" in result.stdout
    assert "Nothing is published." in result.stderr


def test_the_bad_rows_of_a_feed_of_ones_own_are_listed(tmp_path):
    """As `vsearch catalog import` lists them: which row, and what to do."""
    (tmp_path / "feed.csv").write_text("sku,title,image\nA,Sofa,missing.jpg\n")
    feed = ["--feed", str(tmp_path / "feed.csv"), "--images", str(tmp_path)]

    result = CliRunner().invoke(cli, ["--data", str(tmp_path / "data"), "demo", *feed])

    assert result.exit_code == 1
    assert "feed.csv:2: picture 'missing.jpg' is not in" in result.stderr


@pytest.fixture
def indexed(monkeypatch, tmp_path):
    """A demo shop with three example photos that counts as indexed; gives the skus that each search finds."""
    (tmp_path / "photo.jpg").write_bytes(jpeg(200, 100))
    boxes = [(0, 0, 0.5, 1), (0.25, 0.25, 1, 0.75), (0, 0, 1, 1)]
    examples = [demo.Example(tmp_path / "photo.jpg", f"photo {n}", f"SKU-{n}", box) for n, box in enumerate(boxes)]
    monkeypatch.setattr(demo, "examples", lambda: tuple(examples))
    monkeypatch.setattr(command, "_import", lambda settings, feed, images, **options: None)
    monkeypatch.setattr(command, "_index", lambda settings, accept: None)
    answers: dict[str, list[str]] = {"0,0,0.5,1": ["SKU-0"], "0.25,0.25,1,0.75": [], "0,0,1,1": []}
    found = {box: [{"sku": sku} for sku in skus] for box, skus in answers.items()}
    monkeypatch.setattr(command, "_application", lambda settings: nullcontext(lambda photo, box: found[box]))
    return found


def test_the_demo_says_where_each_example_is_found(indexed, tmp_path):
    """Each photo is searched with its box; two of three are enough."""
    indexed["0,0,1,1"] = [{"sku": sku} for sku in ("A", "B", "SKU-2")]

    result = CliRunner().invoke(cli, ["--data", str(tmp_path / "data"), "demo", "--no-serve"])

    assert result.exit_code == 0, result.output
    assert "photo 0: SKU-0 is place 1\n" in result.stdout
    assert "photo 1: SKU-1 is not among the first 24\n" in result.stdout
    assert "photo 2: SKU-2 is place 3\n" in result.stdout
    assert "Found the products of 2 of 3 example photos among the first 5" in result.stdout


def test_the_demo_fails_where_it_finds_too_few(indexed, tmp_path, capsys):
    """A product at the sixth place is not found."""
    indexed["0,0,1,1"] = [{"sku": sku} for sku in ("A", "B", "C", "D", "E", "SKU-2")]

    with pytest.raises(SystemExit) as caught:
        main(["--data", str(tmp_path / "data"), "demo", "--no-serve"])

    assert caught.value.code == 1
    assert "half its 3 example photos among the first 5, but found 1; run it with" in capsys.readouterr().err


@pytest.mark.parametrize("own", [False, True])
def test_the_demo_offers_its_examples_unless_the_shop_has_some(indexed, monkeypatch, tmp_path, own):
    """They are given to the server that it becomes."""
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: became.append(arguments))
    data, folder = tmp_path / "data", tmp_path / "own"
    environ = {"VSEARCH_EXAMPLES": str(folder) if own else ""}

    result = CliRunner().invoke(cli, ["--data", str(data), "demo", "--port", "1234"], env=environ)

    assert result.exit_code == 0, result.output
    given = str(folder if own else data / "demo" / "examples")
    assert became[0][-5:] == ["serve", "--port", "1234", "--examples", given]
    assert (data / "demo" / "examples").exists() != own


def test_the_demo_listens_where_it_is_told(indexed, monkeypatch, tmp_path):
    """Host and port go to the server that it becomes."""
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: became.append(arguments))

    result = CliRunner().invoke(cli, ["--data", str(tmp_path), "demo", "--host", "0.0.0.0", "--port", "1234"])

    assert result.exit_code == 0, result.output
    assert became[0][became[0].index("serve") :][:5] == ["serve", "--host", "0.0.0.0", "--port", "1234"]


@pytest.fixture
def feed(tmp_path):
    """The options for a feed of three products with names of its own, and their pictures."""
    (tmp_path / "feed.csv").write_text("number,name,photo\n" + "".join(f"A{n},Sofa {n},{n}.jpg\n" for n in range(3)))
    (tmp_path / "names.toml").write_text('[columns]\nsku = "number"\ntitle = "name"\nimage = "photo"\n')
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(40 + number, 30))
    return ["--feed", str(tmp_path / "feed.csv"), "--images", str(tmp_path), "--mapping", str(tmp_path / "names.toml")]


@pytest.fixture
def unindexed(monkeypatch):
    """The demo up to the index; gives what the index was told to accept."""
    accepted: list[tuple[str, ...]] = []
    monkeypatch.setattr(command, "_index", lambda settings, accept: accepted.append(accept))
    monkeypatch.setattr(command, "_search_once", lambda settings: None)
    return accepted


def put(data, skus):
    """Give a data folder a catalogue of these products."""
    with open_catalog(data / "catalogue.sqlite", write=True) as sessions, sessions.begin() as session:
        changes.apply(session, Changes(added=tuple(ProductItem(sku, "Product") for sku in skus)))


def live(data):
    """Return the skus of a catalogue."""
    with open_catalog(data / "catalogue.sqlite") as sessions, sessions() as session:
        return imports.live_skus(session)


def test_a_shop_does_not_take_the_place_of_the_demo_shop(feed, unindexed, tmp_path, capsys):
    """One sentence says what to do, and nothing is changed; it may be meant."""
    data = tmp_path / "data"
    put(data, demo.skus())

    with pytest.raises(SystemExit):
        main(["--data", str(data), "demo", *feed, "--no-serve"])

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "holds the demo shop; give this one a folder of its own, as in `vsearch --data shop demo`" in said
    assert live(data) == demo.skus()
    accept = ["--accept", "shrink", "--accept", "columns", "--accept", "drift"]
    result = CliRunner().invoke(cli, ["--data", str(data), "demo", *feed, *accept, "--no-serve"])
    assert result.exit_code == 0, result.output
    assert live(data) == {"A0", "A1", "A2"}
    assert unindexed == [("shrink", "columns", "drift")]


def test_nor_the_demo_shop_that_of_another(tmp_path, unindexed, capsys):
    """Someone types it in the folder of the shop."""
    put(tmp_path, ["A", "B"])

    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "demo", "--no-serve"])

    assert "holds another shop than the demo" in capsys.readouterr().err
    assert live(tmp_path) == {"A", "B"}


def test_a_shop_of_ones_own_comes_again(feed, unindexed, tmp_path):
    """With the names of its columns, and in its own folder."""
    arguments = ["--data", str(tmp_path / "data"), "demo", *feed, "--no-serve"]

    first, second = (CliRunner().invoke(cli, arguments) for _ in range(2))

    assert "feed.csv: 3 products added" in first.stdout
    assert "0 products added, 0 changed, 3 as they were" in second.stdout


def test_a_mapping_belongs_to_a_feed(tmp_path):
    """The demo shop needs none."""
    (tmp_path / "names.toml").write_text("")
    result = CliRunner().invoke(cli, ["--data", str(tmp_path), "demo", "--mapping", str(tmp_path / "names.toml")])

    assert result.exit_code == 2
    assert "--mapping belongs to --feed" in result.output
