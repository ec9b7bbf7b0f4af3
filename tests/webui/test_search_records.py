"""The query log of the web pages and the API: what is in it, and what is not."""

import json
import re

import pytest
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from catalog.models import utc_now
from catalog.query_log import LoggedQuery
from tests.webui.conftest import label_matches, running
from vsearch.cli import main
from webui.services import services_of


@pytest.fixture
def logging_site(settings):
    with running(settings.model_copy(update={"query_log_days": 30})) as site:
        yield site


def logged(site):
    services_of(site.app).query_log.write()
    with site.sessions() as session:
        rows = session.scalars(select(LoggedQuery).order_by(LoggedQuery.kind, LoggedQuery.words)).all()
        return [{column.name: getattr(row, column.name) for column in LoggedQuery.__table__.columns} for row in rows]


def test_a_photo(logging_site, monkeypatch):
    """Everything but who, when exactly and which photo; further pages are the same search."""
    site = logging_site
    label_matches(monkeypatch, 0.5)
    location = site.upload()
    query = MultiDict([("text", " Red  CHAIR "), ("price_max", "9999"), ("attr.made up", "x"), ("stock", "in")])
    before = utc_now().replace(minute=0, second=0, microsecond=0)
    assert site.client.get(location, query_string=query).status_code == 200
    query["page"] = "2"
    site.client.get(location, query_string=query)
    (row,) = logged(site)
    assert re.fullmatch("[0-9a-f]{16}", row.pop("query_id"))
    assert row.pop("hour") in (before, utc_now().replace(minute=0, second=0, microsecond=0))
    assert row.pop("milliseconds") >= 0
    assert row.pop("predicted") in ("chair", "lamp")
    row.pop("classes")
    assert row == {
        "kind": "photo",
        "words": "red chair",
        "filters": ["price", "stock"],
        "shown": 0,
        "close": 0,
        "label": "",
        "score": None,
        "generation_id": site.engine.serving.generation.generation_id,
        "language": "en",
        "verdict": "",
    }
    assert location.rpartition("/")[2] not in json.dumps(logged(site), default=str)


def test_the_api(logging_site, monkeypatch):
    """By words and by product, too, and each search of a batch."""
    label_matches(monkeypatch, 0.5)
    site, api = logging_site, "/api/v1/search"
    site.client.post(api, data=site.photo(3), query_string={"class": "all"})
    site.client.get(api, query_string={"text": "unheard", "lang": "de"})
    site.client.get(api, query_string={"sku": "P-01", "class": "chair"})
    photo, product, words = logged(site)
    assert (photo["kind"], photo["label"], photo["classes"], photo["shown"]) == ("photo", "similar", [], 5)
    assert photo["score"] == pytest.approx(1, abs=0.05)
    assert photo["close"] >= 1
    assert (product["kind"], product["predicted"], product["filters"]) == ("product", "", ["class"])
    assert (words["kind"], words["shown"], words["language"]) == ("words", 0, "de")


def test_feedback(logging_site):
    """The form has the random id of the search, not of the photo; other ids have no effect."""
    site = logging_site
    page = site.client.get(site.upload()).text
    action = re.search(r'action="(/results/[^"]*feedback[^"]*)"', page)[1].replace("&amp;", "&")
    form = {"sku": "P-00", "verdict": "similar", "rank": "1"}
    assert site.client.post(action, data=form).status_code == 303
    assert [row["verdict"] for row in logged(site)] == ["similar"]
    wrong = re.sub("query=[0-9a-f]+", "query=%27or", action)
    assert site.client.post(wrong, data={**form, "verdict": "wrong"}).status_code == 303
    assert [row["verdict"] for row in logged(site)] == ["similar"]


def test_without_the_setting_nothing_is_logged(site):
    location = site.upload()
    assert "query=" not in site.client.get(location).text
    assert logged(site) == []


def test_the_last_searches_are_written_when_the_server_stops(settings):
    with running(settings.model_copy(update={"query_log_days": 30})) as site:
        site.client.get(site.upload())
        services_of(site.app).close()
        assert len(logged(site)) == 1


def test_command(logging_site, capsys):
    """`vsearch queries` prints the report."""
    site = logging_site

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(["--data", str(site.settings.data), "queries", *arguments])
        assert caught.value.code == 0
        return capsys.readouterr().out

    assert "No searches are logged. The log is off" in run()
    site.client.get("/api/v1/search", query_string={"text": "unheard"})
    logged(site)
    assert json.loads(run("--json"))["by_words"] == [{"name": "unheard", "searches": 1, "none": 1, "nothing_close": 0}]
    printed = run("--days", "1")
    assert "unheard" in printed
    assert "1 searches: 1 found no product" in printed
