"""Actions that are cut off change nothing, and the pages go on once the catalog is back."""

import pytest
import sqlalchemy as sa

from catalog import audit, jobs
from catalog.models import Base, utc_now
from vsearch.index import generation as generations


def rows(site) -> dict[str, list[tuple]]:
    """Return all rows of all tables but those of signing in."""
    with site.sessions() as session:
        return {
            table.name: sorted(map(repr, session.execute(sa.select(table)))) for table in Base.metadata.sorted_tables
        }


ACTIONS = {
    "/admin/jobs/start/nightly": {},
    "/admin/jobs/1/cancel": {},
    "/admin/jobs/2/retry": {},
    "/admin/accounts/": {"name": "new", "role": "viewer", "password": "a good long password"},
    "/admin/accounts/vera/role": {"role": "admin"},
    "/admin/accounts/vera/disable": {},
    "/admin/accounts/vera/password": {"password": "a good long password"},
    "/admin/models/compare": {"model": ""},
    "/admin/models/promote": {"model": ""},
    "/admin/training/": {"plan": "own_catalog"},
    "/admin/index/rollback": {"what": "index", "to": "20200101T000000Z-0000"},
}


@pytest.mark.parametrize("address", ACTIONS)
def test_an_action_that_is_cut_off_changes_nothing(staff, visitor, monkeypatch, address):
    """The change and its entry in the audit log are one transaction; the same action then succeeds."""
    with staff.sessions.begin() as session:
        jobs.add(session, "index", {}, utc_now())
        jobs.finish(session, jobs.add(session, "rollback", {"what": "index"}, utc_now()), "failed", "No.", utc_now())
    ada = visitor("admin")
    form = ACTIONS[address]
    if "rollback" in address:
        form = form | {"live": generations.current_id(staff.settings.generations)}
    before = rows(staff)

    def fail(*arguments: object) -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patch:
        patch.setattr(audit, "record", fail)
        assert ada.post(address, form).status_code >= 500
    assert rows(staff) == before
    ada.get("/admin/")
    assert ada.post(address, form).status_code == 303
    assert rows(staff) != before


def test_pages_go_on_when_the_catalog_is_back(staff, visitor):
    ada = visitor("admin")
    file = staff.settings.data / "catalog.sqlite"
    staff.sessions.kw["bind"].dispose()
    away = file.rename(file.with_name("away.sqlite"))
    assert ada.get("/admin/jobs/").status_code == 503
    staff.sessions.kw["bind"].dispose()
    away.rename(file)
    assert ada.get("/admin/jobs/").status_code == 200, "still signed in"
