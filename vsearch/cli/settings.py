"""`vsearch settings`: print all settings, where their values come from, and what they mean."""

import click

from vsearch.cli import pass_settings
from vsearch.cli.console import table
from vsearch.core.settings import FILE, PREFIX, Settings, reference, rows


@click.command(epilog="Example: VSEARCH_PORT=9000 vsearch settings")
@click.option("--markdown", is_flag=True, help="Print the settings reference as Markdown instead.")
@pass_settings
@click.pass_context
def command(ctx: click.Context, settings: Settings, markdown: bool) -> None:
    """Print every setting with its value, source and meaning.

    Set one by name in the file vsearch.toml in the working folder (port = 9000), or in the environment as
    VSEARCH_NAME. Passwords are not shown.
    """
    if markdown:
        click.echo(reference(), nl=False)
        return
    read = f"{FILE.absolute()} was read" if FILE.is_file() else f"{FILE.absolute()} does not exist"
    click.echo(f"Options override variables, variables override {FILE}, and {FILE} overrides the defaults; {read}.")
    lines = rows(settings, ctx.meta["sources"])
    table(f"Settings (variables: {PREFIX}NAME)", ("name", "value", "from", "meaning"), lines, whole=("name",))
