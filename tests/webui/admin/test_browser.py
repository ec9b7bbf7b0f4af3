"""The admin pages in Debian's Chromium: signing in, jobs, rollback, two admins, sessions that end; and axe-core."""

import re
from datetime import timedelta

import pytest

from catalog import jobs
from catalog.models import utc_now
from tests.webui.admin.conftest import NAMES, PASSWORD, add_accounts
from tests.webui.admin.test_jobs_and_index import add_older_generation
from tests.webui.admin.test_models_and_training import COMPARED
from tests.webui.admin.test_review import add, give
from vsearch.index import generation as generations
from webui import create_admin_app

pytestmark = pytest.mark.browser

phone_and_desktop = pytest.mark.parametrize("width", [390, 1280])
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def open_admin(open_page, staff):
    """A function that opens an admin page, signed in with a role, or signed out."""
    app = create_admin_app(staff.app)

    def open_admin(role: str = "", width: int = 1280, path: str = "/admin/", **options):
        page = open_page(staff, width, app=app, path=path, **options)
        if role:
            sign_in(page, NAMES[role])
        return page

    return open_admin


def sign_in(page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def violations(page) -> list[str]:
    """Return what axe-core finds on the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, options=RULES).response["violations"]
    return [f"{each['id']}: {node['html'][:150]}" for each in found for node in each["nodes"]]


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


WIDE = """[...document.querySelectorAll("main *")]
    .filter((it) => it.getBoundingClientRect().right > innerWidth + 1 && !it.closest(".scroll"))
    .map((it) => it.outerHTML.slice(0, 90))"""
"""Script that returns the elements that make a page scroll sideways."""


@phone_and_desktop
def test_first_account_wrong_password_and_lock(site, open_page, clock, width):
    app = create_admin_app(site.app)
    page = open_page(site, width, app=app, path="/admin/")
    assert "vsearch users add" in page.get_by_role("alert").text_content()
    add_accounts(site)
    page.reload()
    for _ in range(4):
        sign_in(page, "ada", "wrong password")
    assert "Too many wrong passwords" in page.get_by_role("alert").text_content()
    sign_in(page, "ada")
    assert "Too many wrong passwords" in page.get_by_role("alert").text_content()
    clock.now += timedelta(seconds=2)  # the first delay
    sign_in(page, "ada")
    page.wait_for_url(re.compile("/admin/$"))
    assert fits(page)


@phone_and_desktop
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_of_all_pages(staff, open_admin, width, scheme):
    with staff.sessions.begin() as session:
        job_id = jobs.add(session, "compare", {"model": "abcdef"}, utc_now())
        jobs.finish(session, job_id, "done", "Better.", utc_now(), result=COMPARED)
        running = jobs.add(session, "index", {}, utc_now())
        jobs.claim(session, running, "host:1", utc_now())
        jobs.beat(session, running, {"stage": "encode pictures", "done": 1, "total": 3}, utc_now())
    older = add_older_generation(staff.settings.generations)
    add(staff, 3)
    give(staff, add(staff, 4))
    page = open_admin(width=width, color_scheme=scheme)
    assert violations(page) == []
    sign_in(page, "ada")
    page.wait_for_url(re.compile("/admin/$"))
    paths = [
        "",
        "jobs/",
        f"jobs/{running}",
        "models/",
        f"models/comparisons/{job_id}",
        "training/",
        "index",
        f"index/rollback?to={older}",
        "products",
        "searches/",
        "products/P-03",
        "imports/",
        "report",
        "review/",
        "review/labels/",
        "review/?box=0.1,0.1,0.9,0.9",
        "review/?q=chair",
        "review/?item=2",
        "review/labels/",
        "accounts/",
        "accounts/audit",
        "password",
        "nothing",
    ]
    home, found = page.url, {}
    for path in paths:
        page.goto(home + path)
        if problems := violations(page) + ([] if fits(page) else ["scrolls sideways", *page.evaluate(WIDE)]):
            found[path] = problems
    assert found == {}


@phone_and_desktop
def test_roll_back_by_keyboard(staff, open_admin, width):
    older = add_older_generation(staff.settings.generations)
    page = open_admin("admin", width, path="/admin/index")
    link = page.get_by_role("link", name="Publish again")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("rollback"))
    assert older in page.get_by_role("table").text_content()
    page.get_by_role("button", name="Roll back").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/jobs/\d+"))
    with staff.sessions() as session:
        assert jobs.newest(session, "rollback").arguments == {"what": "index", "to": older}


def test_progress_is_shown_without_reloading(staff, open_admin):
    with staff.sessions.begin() as session:
        job_id = jobs.add(session, "index", {}, utc_now())
    page = open_admin("viewer", path=f"/admin/jobs/{job_id}")
    assert page.get_by_role("status").text_content().strip() == "queued"
    with staff.sessions.begin() as session:
        jobs.claim(session, job_id, "host:1", utc_now())
        jobs.beat(session, job_id, {"stage": "encode pictures", "done": 1, "total": 3}, utc_now())
    page.get_by_text("encode pictures: 1 of 3").wait_for()
    with staff.sessions.begin() as session:
        jobs.finish(session, job_id, "done", "All is well.", utc_now())
    page.get_by_text("All is well.").wait_for()


def test_two_admins_at_once(staff, open_admin):
    """The second one is told that the job is queued already, and that another index is live now."""
    older = add_older_generation(staff.settings.generations)
    first, second = open_admin("admin", path="/admin/"), open_admin("admin", path="/admin/")
    for page in (first, second):
        page.get_by_role("button", name="Run the nightly job now").click()
    assert "already queued" in second.get_by_role("alert").text_content()
    second.goto(second.url.split("/admin/")[0] + f"/admin/index/rollback?to={older}")
    generations.make_current(staff.settings.generations, older)
    second.get_by_role("button", name="Roll back").click()
    assert "published meanwhile" in second.get_by_role("alert").text_content()


@phone_and_desktop
@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no javascript"])
def test_a_session_that_ends_in_the_middle_of_a_form_loses_nothing(staff, open_admin, width, javascript):
    page = open_admin("admin", width, path="/admin/accounts/", javascript=javascript)
    section = page.get_by_role("main").locator("section", has_text="Add an account")
    section.get_by_label("Name").fill("newcomer")
    section.get_by_label("Role").select_option("editor")
    section.get_by_label("Password").fill("a good long password")
    page.context.clear_cookies()
    section.get_by_role("button", name="Add").click()
    assert "Your session has ended" in page.get_by_role("status").text_content()
    sign_in(page, "ada")
    assert "newcomer" in page.get_by_role("main").text_content()
    page.get_by_role("button", name="Save now").click()
    assert "password needs" in page.get_by_role("alert").text_content(), "passwords are not kept"
