"""`vsearch doctor`."""

import json
import sys
from dataclasses import asdict

import click
from rich.text import Text

from indexer.diagnosis import State, diagnose
from vsearch.cli import json_option, pass_settings
from vsearch.cli.console import table
from vsearch.core.settings import Settings

_STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@click.command("doctor", epilog="Example: vsearch doctor --json")
@json_option
@pass_settings
def doctor(settings: Settings, *, as_json: bool) -> None:
    """Check settings, disk, database, images, model, index and jobs, and say what to do. Nothing is changed.

    The exit status is 1 if there is a problem.
    """
    findings = list(diagnose(settings))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        lines = [(each.subject, Text(each.state, _STYLES[each.state]), each.text) for each in findings]
        table("Checks", ("subject", "result", ""), lines)
    if any(finding.state == "problem" for finding in findings):
        sys.exit(1)
