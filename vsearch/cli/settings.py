"""`vsearch settings`: what is set, where, and what it means."""

import click

from vsearch.cli import pass_settings
from vsearch.cli.console import table
from vsearch.settings import PREFIX, Settings, rows


@click.command(epilog="Example: VSEARCH_PORT=9000 vsearch settings")
@pass_settings
@click.pass_context
def command(ctx: click.Context, settings: Settings) -> None:
    """Print every setting, its value, where that comes from, and its meaning.

    Set one in vsearch.toml by its name, or in the environment as VSEARCH_NAME.
    """
    lines = [(row.name, row.value, row.source, row.meaning) for row in rows(settings, ctx.meta["sources"])]
    table(f"Settings (variables: {PREFIX}NAME)", ("name", "value", "from", "meaning"), lines, whole=("name",))
