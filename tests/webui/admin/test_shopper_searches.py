"""The admin page of the query log."""

import pytest

from catalog.models import utc_now
from catalog.query_log import NewQuery
from tests.webui.conftest import running
from webui.services import services_of


@pytest.fixture
def site(settings):
    """The application that logs what is searched for."""
    with running(settings.model_copy(update={"query_log_days": 30})) as site:
        yield site


def test_report(staff, visitor):
    log = services_of(staff.app).query_log
    given = {"filters": [], "generation_id": "g", "milliseconds": 1, "language": "en"}
    for words, shown in (("oak <table>", 0), ("chair", 3)):
        log.add(NewQuery(hour=utc_now(), kind="words", words=words, shown=shown, **given))
    log.write()
    page = visitor("viewer").get("/admin/searches/?days=7").text
    assert "2 searches. 1 found no product" in page
    assert page.index("oak &lt;table&gt;") < page.index('<th scope="row">chair')
    assert 'value="90"' not in page


@pytest.mark.parametrize("days", ["0", "8", "x", "²"])
def test_other_numbers_of_days(staff, visitor, days):
    assert visitor("viewer").get(f"/admin/searches/?days={days}").status_code == 400


def test_nothing_searched(staff, visitor):
    assert "Nothing was searched for." in visitor("viewer").get("/admin/searches/").text
