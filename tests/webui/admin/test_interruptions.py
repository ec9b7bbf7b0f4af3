"""Actions that are cut off change nothing, and the pages go on once the catalog is back."""

import io

import pytest
import sqlalchemy as sa

from catalog import audit, jobs, product_edits
from catalog.models import Base, utc_now
from tests.webui.admin.test_products import edit_form, hidden
from tests.webui.admin.test_review import add as add_photo
from tests.webui.admin.test_review import give
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
    "/admin/products": {"change": "category", "category": "Stools", "sku": ["P-03", "P-04"]},
    "/admin/products/P-03": {"category": "Stools"},
    "/admin/edits/undo/P-05": {"field": "category", "shown": '"Stools"'},
    "/admin/edits/pictures/P-03": {"pictures": "photo"},
    "/admin/imports/preview": {"feed": "feed"},
    "/admin/review/1/label": {"verdict": "not ours", "based_on": "", "box": ""},
    "/admin/review/1/dismiss": {},
    "/admin/review/1/delete": {},
    "/admin/review/upload": {"photos": "photo"},
    "/admin/review/undo": {},
    "/admin/review/labels/2/take-back": {},
}


def form_of(staff, visitor, address: str) -> dict[str, object]:
    """Return the fields of an action: files are new in each request, and what they are based on is current."""
    form: dict[str, object] = dict(ACTIONS[address])
    if address == "/admin/index/rollback":
        form["live"] = generations.current_id(staff.settings.generations)
    elif address == "/admin/products":
        form["seen"] = hidden(visitor.get("/admin/products?words=P-0").text)["seen"]
    elif address == "/admin/products/P-03":
        form = edit_form(visitor) | form
    for name, value in form.items():
        if value == "photo":
            form[name] = (io.BytesIO(staff.photo(7)), "photo.jpg")
        elif value == "feed":
            form[name] = (io.BytesIO(b"sku,title,image\nA,Chair,a.jpg\n"), "feed.csv")
    return form


@pytest.mark.parametrize("address", ACTIONS)
def test_an_action_that_is_cut_off_changes_nothing(staff, visitor, monkeypatch, address):
    """The change and its entry in the audit log are one transaction; the same action then succeeds."""
    with staff.sessions.begin() as session:
        jobs.add(session, "index", {}, utc_now())
        jobs.finish(session, jobs.add(session, "rollback", {"what": "index"}, utc_now()), "failed", "No.", utc_now())
        product_edits.save(session, "ada", "P-05", "category", "Stools")
    give(staff, [add_photo(staff, 0), add_photo(staff, 1)][1], account="ada")
    ada = visitor("admin")
    form = form_of(staff, ada, address)
    before = rows(staff)

    def fail(*arguments: object) -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patch:
        patch.setattr(audit, "record", fail)
        assert ada.post(address, form).status_code >= 500
    assert rows(staff) == before
    ada.get("/admin/")
    assert ada.post(address, form_of(staff, ada, address)).status_code == 303
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
