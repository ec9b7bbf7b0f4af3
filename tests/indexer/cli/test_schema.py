"""Commands never change the catalog's schema unasked, write nothing in a dry run, and show no passwords."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from catalog import jobs
from catalog.database import open_catalog, read_schema_revision, schema_revisions
from indexer.cli.jobs import jobs as jobs_command
from tests.pictures import jpeg
from vsearch import cli
from vsearch.core.errors import VSearchError
from vsearch.core.settings import Settings

Failed = Callable[..., str]


@pytest.fixture
def old(tmp_path, request):
    """A data folder with a catalog that needs an upgrade."""
    with open_catalog(tmp_path / "catalog.sqlite", write=True):
        pass
    request.getfixturevalue("newer_vsearch")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        "catalog import {feed} --images {data}",
        "catalog import {feed} --images {data} --dry-run",
        "catalog upgrade --check",
        "demo --feed {feed} --images {data} --no-serve",
        "index run",
        "index status",
        "index report",
        "jobs run nightly",
        "jobs list",
        "jobs log 1",
        "jobs cancel 1",
        "jobs worker",
        "jobs execute 1 host:2",
        "serve",
    ],
)
def test_commands_refuse_an_old_schema(arguments, old, failed):
    (feed := old / "feed.csv").write_text("sku,title,image\nA,Sofa,a.jpg\n")
    words = [word.format(feed=feed, data=old) for word in arguments.split()]

    said = failed("--data", old, *words).splitlines()[-1]

    assert schema_revisions()[-2] in said
    assert "`vsearch catalog upgrade`" in said
    assert read_schema_revision(old / "catalog.sqlite") == schema_revisions()[-2]


@pytest.mark.parametrize(
    "arguments", ["index status", "index report", "jobs list", "jobs log 1", "catalog upgrade --check"]
)
def test_read_only_commands_create_no_catalog(arguments, tmp_path, failed):
    data = tmp_path / "data"
    assert "catalog.sqlite does not exist" in failed("--data", data, *arguments.split())
    assert not data.exists()


def test_catalog_upgrade_upgrades_once_and_creates_a_catalog(old, tmp_path):
    def upgrade(data: Path, *options: str) -> Result:
        return CliRunner().invoke(cli.cli, ["--data", str(data), "catalog", "upgrade", *options])

    first, second, check, new = upgrade(old), upgrade(old), upgrade(old, "--check"), upgrade(tmp_path / "data")
    assert [result.exit_code for result in (first, second, check, new)] == [0] * 4
    assert schema_revisions()[-2] in first.stdout
    assert second.stdout == check.stdout
    assert schema_revisions()[-2] not in second.stdout
    for data in (old, tmp_path / "data"):
        assert read_schema_revision(data / "catalog.sqlite") == schema_revisions()[-1]


def test_a_newer_schema_is_refused(tmp_path, failed):
    with open_catalog(tmp_path / "catalog.sqlite", write=True) as sessions, sessions.begin() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert "version of vsearch that wrote it" in failed("--data", tmp_path, "catalog", "upgrade")
    assert read_schema_revision(tmp_path / "catalog.sqlite") == "9999"


def test_a_dry_run_writes_nothing(tmp_path):
    (tmp_path / "feed.csv").write_text("sku,title,image\nA,Sofa,a.jpg\n")
    (tmp_path / "a.jpg").write_bytes(jpeg(40, 30))
    arguments = ["catalog", "import", str(tmp_path / "feed.csv"), "--images", str(tmp_path), "--dry-run"]

    result = CliRunner().invoke(cli.cli, ["--data", str(tmp_path / "data"), *arguments])

    assert result.exit_code == 0, result.output
    assert "Dry run" in result.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"feed.csv", "a.jpg"}


def test_jobs_show_no_password(tmp_path, capsys):
    """Neither in arguments nor in logs; the stored argument is complete, since the worker needs it."""
    settings = Settings(data=tmp_path)
    feed = "https://user:s3cret@shop.example/feed.csv?token=s3cret"
    run = CliRunner().invoke(jobs_command, ["run", "import", f"feed={feed}"], obj=settings)
    (tmp_path / "jobs").mkdir(exist_ok=True)
    (tmp_path / "jobs" / "1.log").write_text(f"A feed must be readable: {feed} is not.\n")
    shown = [
        CliRunner().invoke(jobs_command, words, obj=settings).output
        for words in (["list"], ["list", "--json"], ["log", "1"])
    ]

    assert run.exit_code == 0, run.output
    assert '"feed": "https://***@shop.example/feed.csv?token=***"' in shown[1]
    assert shown[2] == "A feed must be readable: https://***@shop.example/feed.csv?token=*** is not.\n"
    assert "s3cret" not in "".join([run.output, *shown])
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        assert jobs.latest(session)[0].arguments == {"feed": feed}


def test_jobs_are_queued_listed_and_cancelled(tmp_path):
    def call(*words: str) -> Result:
        return CliRunner().invoke(jobs_command, words, obj=Settings(data=tmp_path))

    assert "Job 1" in call("run", "index", "--accept", "drift").output
    assert "queued" in call("list").output
    assert "cancelled" in call("cancel", "1").output
    refused = ["cancel 1", "log 1", "log 2", "run index --accept shrink", "run train", "run import", "run import feed"]
    for words in refused:
        assert isinstance(call(*words.split()).exception, VSearchError), words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VSEARCH_DATABASE_URL", "postgresql://user:s3cret@127.0.0.1:1/shop?sslpassword=s3cret"),
        ("VSEARCH_FEED", "http://user:s3cret@127.0.0.1:1/feed.csv?api_key=s3cret"),
        ("VSEARCH_FEED", "s3://KEY:s3cret@bucket/feed.csv"),
        ("VSEARCH_FEED_IMAGES", "s3://KEY:s3cret@bucket/pictures"),
    ],
)
def test_no_log_shows_a_password(variable, value, tmp_path, capfd, monkeypatch):
    """Nor a traceback from vsearch or a library; run in a separate process, because logging is set up only once."""
    (tmp_path / "feed.csv").write_text("sku,title\nA,Sofa\n")
    environment = {"VSEARCH_FEED": str(tmp_path / "feed.csv"), **os.environ, variable: value}
    program = "from vsearch.core import downloader; downloader.MAX_TRIES = 1; from vsearch.cli import main; main()"
    command = [sys.executable, "-c", program, "--log-level", "DEBUG", "--data", str(tmp_path), "catalog", "import"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[3])

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "***@" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_an_invalid_argument_shows_no_password():
    result = CliRunner().invoke(cli.cli, ["demo", "--feed", "https://u:s3cret@h/feed.csv?key=s3cret", "--images", "."])
    assert result.exit_code == 2
    assert "'https://***@h/feed.csv?key=***' does not exist" in result.output


def test_a_bug_shows_no_password(failed, monkeypatch):
    def broken(**arguments: object) -> None:
        raise ValueError("cannot parse postgresql://u:s3cret@h/x")

    monkeypatch.setattr(cli.cli, "main", broken)
    said = failed()
    assert said.startswith("Traceback")
    assert said.endswith("ValueError: cannot parse postgresql://***@h/x\n")
