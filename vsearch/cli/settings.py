"""`vsearch settings`: what is set, where, and what it means."""

import click

from vsearch.cli import pass_settings
from vsearch.cli.console import table
from vsearch.core.settings import FILE, PREFIX, Settings, rows


@click.command(epilog="Example: VSEARCH_PORT=9000 vsearch settings")
@pass_settings
@click.pass_context
def command(ctx: click.Context, settings: Settings) -> None:
    """Print every setting, its value, where that comes from, and its meaning.

    Set one in the file vsearch.toml of the working folder by its name (port = 9000), or in the environment as
    VSEARCH_NAME. Passwords are not shown.
    """
    read = f"{FILE.absolute()} was read" if FILE.is_file() else f"there is no {FILE.absolute()} to read"
    click.echo(f"An option wins over a variable, that over {FILE}, that over the default; {read}.")
    lines = [(row.name, row.value, row.source, row.meaning) for row in rows(settings, ctx.meta["sources"])]
    table(f"Settings (variables: {PREFIX}NAME)", ("name", "value", "from", "meaning"), lines, whole=("name",))
