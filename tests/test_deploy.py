"""Files in docs/deploy name only existing commands and settings."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from indexer.cli.catalog_import import catalog
from indexer.cli.jobs import jobs
from vsearch.cli import COMMANDS
from vsearch.core.settings import Settings

FOLDER = Path(__file__).parents[1] / "docs" / "deploy"


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
def test_every_setting_and_command_exists(file):
    text = file.read_text(encoding="utf8")
    settings = {name.lower() for name in re.findall(r"VSEARCH_([A-Z_]+)", text)}
    assert settings <= set(Settings.model_fields)
    for words in re.findall(r"ExecStart(?:Pre)?=\S+/vsearch (.*)", text):
        assert words.split()[0] in COMMANDS
        assert words.split()[0] != "jobs" or words.split()[1] in jobs.commands
        assert words.split()[0] != "catalog" or words.split()[1] in catalog.commands


def test_web_server_and_worker_wait_for_the_schema():
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    assert set(compose["services"]) == {"upgrade", "web", "worker", "db"}
    for name in ("web", "worker"):
        assert compose["services"][name]["depends_on"]["upgrade"] == {"condition": "service_completed_successfully"}
    assert compose["services"]["upgrade"]["command"] == ["vsearch", "catalog", "upgrade"]
    assert compose["services"]["worker"]["command"] == ["vsearch", "jobs", "worker"]
    assert compose["services"]["web"]["environment"] == compose["services"]["worker"]["environment"]


def test_the_image_contains_no_data_or_settings_of_the_shop():
    ignored = set((FOLDER.parents[1] / ".dockerignore").read_text().splitlines())
    assert {"data", "vsearch.toml", ".git", ".venv"} <= ignored


@pytest.mark.slow
def test_systemd_accepts_the_units():
    """Its only complaint is that the program is not installed."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd on this machine (Debian: apt-get install systemd)")
    units = sorted(map(str, [*FOLDER.glob("*.service"), *FOLDER.glob("*.socket")]))
    said = subprocess.run([program, "verify", *units], capture_output=True, text=True, check=False).stderr.splitlines()
    assert [line for line in said if "vsearch" in line and "is not executable" not in line] == []
