"""The documentation names only what there is."""

import re
from pathlib import Path

import click
import pytest

from vsearch.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
NAMES = [page.name for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link and picture of a page is a file of the project."""
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_their_options_exist(page: Path) -> None:
    """Each command line that a page shows names a command of the table, a sub-command of it, and options it takes."""
    context = click.Context(cli)
    for line in re.findall(r"(?:^|`)vsearch ([^`\n#]+)", page.read_text(encoding="utf8"), flags=re.MULTILINE):
        words = re.sub(r"^--data \S+ ", "", line).split()
        name, rest = words[0].rstrip(",."), words[1:]
        assert name in COMMANDS, line
        command = cli.get_command(context, name)
        if isinstance(command, click.Group) and rest and rest[0] in command.commands:
            command = command.commands[rest[0]]
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        assert [word for word in rest if word.startswith("--") and word not in known] == [], line


def test_the_training_page_names_every_key_of_a_plan() -> None:
    """A key that a plan may have is explained where plans are."""
    from vsearch.training import plan

    text = (ROOT / "docs" / "training.md").read_text(encoding="utf8")
    tables = [value for value in vars(plan).values() if isinstance(value, type)]
    keys = {key for table in tables if issubclass(table, plan.Table) for key in table.model_fields}

    assert [key for key in sorted(keys) if not re.search(rf"[\[`]{key}\b", text)] == []
