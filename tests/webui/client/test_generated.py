"""The generated modules are up to date, and the errors are those that the API documents."""

import inspect
import re
from pathlib import Path

import generate_client
from vsearch.client import AsyncClient, Client, problems
from webui.api.operations import OPERATIONS

DOCS = Path(__file__).parents[3] / "docs" / "api.md"


def test_the_generated_modules_are_up_to_date():
    """Otherwise run `make client`."""
    for name, source in generate_client.generate().items():
        assert (generate_client.FOLDER / name).read_text(encoding="utf8") == source, name


def test_both_clients_have_every_operation_with_the_same_arguments():
    for operation in OPERATIONS:
        one, other = (inspect.signature(getattr(client, operation.name)) for client in (Client, AsyncClient))
        assert one == other


def test_errors_have_the_types_that_the_api_has():
    table = DOCS.read_text(encoding="utf8").partition("| status | `type`")[2].partition("\n\n")[0]
    documented = set(re.findall(r"`([A-Z]\w+)`", table))
    assert set(problems.TYPES) <= documented
    statuses = {int(status) for status in re.findall(r"^\| (\d+)", table, flags=re.MULTILINE)}
    plain = {405, 408, 415, 500}
    """Statuses of mistakes in programs, or without anything more to say."""
    assert statuses - plain == set(problems.STATUSES)
