"""Links, commands and keys in the documentation exist."""

import re
from pathlib import Path

import click
import pytest

from vsearch.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
NAMES = [page.name for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_and_headings(page):
    for link, _, heading in re.findall(r"\]\(([^)#:]*)(#([^)]*))?\)", page.read_text(encoding="utf8")):
        target = page.parent / link if link else page
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)", target.read_text(encoding="utf8"), flags=re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings], heading


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_their_options_exist(page):
    context = click.Context(cli)
    text = page.read_text(encoding="utf8")
    blocks = "\n".join(re.findall(r"^```.*?^```", text, flags=re.MULTILINE | re.DOTALL)) + "\n".join(
        re.findall(r"`vsearch [^`\n]+", text)
    )
    for line in re.findall(r"^`?vsearch ([^`\n#]+)", blocks, flags=re.MULTILINE):
        if line.split()[0].endswith("/") or line.startswith(" "):
            continue  # a folder of the module map
        name, *rest = re.sub(r"^--data \S+ ", "", line).split()
        name = name.rstrip(",.")
        assert name in COMMANDS, line
        command = cli.get_command(context, name)
        if isinstance(command, click.Group) and rest and rest[0] in command.commands:
            command = command.commands[rest[0]]
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        assert [word for word in rest if word.startswith("--") and word not in known] == [], line


def test_the_security_page_names_tests_that_exist():
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf8"), flags=re.MULTILINE)
    }
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf8"))
    assert len(named) > 50
    assert sorted(set(named) - defined) == []


def test_the_training_page_names_every_key_of_a_plan():
    from vsearch.training import plan

    text = (ROOT / "docs" / "training.md").read_text(encoding="utf8")
    tables = [value for value in vars(plan).values() if isinstance(value, type)]
    keys = {key for table in tables if issubclass(table, plan.Table) for key in table.model_fields}

    assert [key for key in sorted(keys) if not re.search(rf"[\[`]{key}\b", text)] == []
