import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from vsearch.cli import cli
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


@pytest.mark.slow
@pytest.mark.keras
def test_demo_finds_its_own_product(tmp_path):
    """From an empty folder to a search through the real application, the second time without encoding anything."""
    command = [
        sys.executable,
        "-c",
        "from vsearch.cli import main; main()",
        "--data",
        str(tmp_path),
        "demo",
        "--no-serve",
    ]
    first, second = (subprocess.run(command, capture_output=True, text=True, timeout=300) for _ in range(2))

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert re.search(r"Imported feed\.csv: 69 products added", first.stdout)
    assert re.search(r"Searched jun-04-mus\.jpg: first JUN-04-", first.stdout)
    assert "69 as they were" in second.stdout
    assert " 0 newly encoded" in second.stdout
