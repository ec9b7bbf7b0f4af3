"""`vsearch serve`: the web server for shoppers."""

from typing import Any

import click

from vsearch.cli import EXISTING_FOLDER, pass_settings
from vsearch.core.settings import Settings

host_option = click.option("--host", help="Address to listen on; the default is the `host` setting.")
port_option = click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on; the default is the `port` setting."
)


@click.command(epilog="Example: vsearch serve --host 0.0.0.0 --port 8080")
@host_option
@port_option
@click.option("--threads", type=click.IntRange(1, 256), help="Number of threads that handle requests.")
@click.option(
    "--examples", type=EXISTING_FOLDER, help="Folder of example photos to offer; the default is the `examples` setting."
)
@pass_settings
def command(settings: Settings, /, **given: Any) -> None:
    """Serve the search page and the JSON API until stopped with Ctrl+C.

    A newly published index is used within seconds, without a restart.
    """
    from webui.server import serve

    chosen = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    serve(chosen, on_ready=_announce)


def _announce(address: str, problem: str | None) -> None:
    if problem:
        click.echo(f"Not ready to search: {problem}", err=True)
    click.echo(f"\n  The search page is at  {address}  (Ctrl+C stops it)\n")
