"""`vsearch queries`: what shoppers searched for, and what they did not find."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

import click

from catalog import query_log
from catalog.database import open_catalog
from catalog.models import utc_now
from catalog.query_log import Line
from vsearch.cli import json_option, pass_settings
from vsearch.cli.console import table
from vsearch.core.settings import Settings

MAX_PRINTED = 20
"""Number of lines of each table; --json has all."""


@click.command(epilog="Example: vsearch queries --days 7 --json")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3650), help="Report on this many days.")
@json_option
@pass_settings
def queries(settings: Settings, days: int, as_json: bool) -> None:
    """Show what shoppers searched for and did not find, by words, class and hour of the day.

    Searches are logged only with the setting query_log_days; the log contains no photos, and not who searched.
    """
    since = utc_now() - timedelta(days=days)
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        found = query_log.report(session, since)
    if as_json:
        click.echo(json.dumps({**asdict(found), "since": since.isoformat()}, indent=2, ensure_ascii=False))
        return
    if not found.searches:
        remedy = "" if settings.query_log_days else " The log is off; set query_log_days."
        click.echo(f"No searches are logged.{remedy}")
        return
    for title, column, lines in (
        ("By words", "words", found.by_words),
        ("By the class that the photo shows", "class", found.by_class),
        ("By hour of the day", "hour", found.by_hour),
    ):
        _print(title, column, lines)
    rated = ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.verdicts.items())) or "none"
    click.echo(
        f"{found.searches} searches: {found.none} found no product, {found.nothing_close} nothing close. "
        f"Rated by shoppers: {rated}."
    )


def _print(title: str, column: str, found: Sequence[Line]) -> None:
    shown = found if column == "hour" else found[:MAX_PRINTED]
    more = f", the first {len(shown)} of {len(found)}" if len(shown) < len(found) else ""
    lines = [(each.name, str(each.searches), str(each.none), str(each.nothing_close)) for each in shown]
    if lines:
        columns = (column, "searches", "no product", "nothing close")
        table(f"{title}{more}", columns, lines, right=columns[1:])
