"""`vsearch keys`."""

import json

import pytest

from catalog import api_keys
from catalog.database import open_catalog
from catalog.models import utc_now
from vsearch.cli import main


@pytest.fixture
def run(tmp_path, capsys):
    """A function that runs `vsearch keys` in an empty shop and returns what it prints."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            main(["--data", str(tmp_path), "keys", *arguments])
        printed = capsys.readouterr()
        return printed.out if caught.value.code == 0 else f"{caught.value.code}: {printed.err}"

    return run


def test_keys_are_created_listed_and_revoked(run, tmp_path):
    key = run("create", "Mobile app", "--scope", "search", "--scope", "feedback", "--days", "30").strip()
    with open_catalog(tmp_path / "catalog.sqlite") as sessions, sessions() as session:
        holder, _ = api_keys.authenticate(session, key, utc_now())
    assert holder.scopes == {"search", "feedback"}
    (listed,) = json.loads(run("list", "--json"))
    assert (listed["name"], listed["scopes"]) == ("Mobile app", ["search", "feedback"])
    assert key.rpartition("_")[2] not in str(listed)
    assert "Mobile app" in run("list")
    assert "revoked" in run("revoke", "1")
    assert run("revoke", "1").startswith("1: ")
    assert "revoked" in run("list")


def test_wrong_usage(run):
    assert "no API keys" in run("list") or run("list").startswith("1: ")
    assert run("create", "App").startswith("2: ")
    assert run("create", "App", "--scope", "everything").startswith("2: ")
    assert run("create", "", "--scope", "search").startswith("1: ")
    assert run("revoke", "99").startswith("1: ")
