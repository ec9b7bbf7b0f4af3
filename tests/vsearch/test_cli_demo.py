import os
from contextlib import nullcontext

import pytest
from click.testing import CliRunner

from catalog import demo
from tests.pictures import jpeg
from vsearch.cli import cli, main
from vsearch.cli import demo as command
from vsearch.settings import Settings


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
    assert "feed.csv:2: picture 'missing.jpg' must be in" in result.stderr


@pytest.fixture
def indexed(monkeypatch, tmp_path):
    """A demo shop with three example photos that counts as indexed; gives the skus that each search finds."""
    (tmp_path / "photo.jpg").write_bytes(jpeg(200, 100))
    boxes = [(0, 0, 0.5, 1), (0.25, 0.25, 1, 0.75), (0, 0, 1, 1)]
    examples = [demo.Example(tmp_path / "photo.jpg", f"photo {n}", f"SKU-{n}", box) for n, box in enumerate(boxes)]
    monkeypatch.setattr(demo, "examples", lambda: tuple(examples))
    monkeypatch.setattr(command, "_import", lambda settings, feed, images: None)
    monkeypatch.setattr(command, "_index", lambda settings: None)
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
