"""The `vsearch` command: a table of sub-commands, each loaded only when it is called.

The only place that knows all packages. A sub-command is a click command or group named `command` in its module;
it gets `Settings` with `@pass_settings`, shows progress with `progress`, and prints tables with `console`.
"""

import importlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vsearch import settings as settings_module
from vsearch.errors import VSearchError

COMMANDS = {
    "bench": ("vsearch.cli.bench", "Measure speed as ratios against a baseline."),
    "catalog": ("vsearch.cli.catalog", "Import a product feed into the catalogue."),
    "demo": ("vsearch.cli.demo", "Draw or take a catalogue, index it and serve the page."),
    "encode": ("vsearch.cli.encode", "Write the embeddings of pictures to a file."),
    "evaluate": ("vsearch.cli.evaluate", "Measure retrieval and classes against known answers."),
    "index": ("vsearch.cli.index", "Build and publish the search index."),
    "predict": ("vsearch.cli.predict", "Say what a picture shows, by each model and by vote."),
    "search": ("vsearch.cli.search", "Find the products that look most like a photo."),
    "serve": ("vsearch.cli.serve", "Serve the shopper's page."),
    "settings": (
        "vsearch.cli.settings",
        "Print every setting, its value, where that comes from, and its meaning.",
    ),
    "train": ("vsearch.cli.train", "Train a backbone by a plan."),
}

pass_settings = click.make_pass_decorator(settings_module.Settings)


class LazyGroup(click.Group):
    """A group that imports a sub-command when it is called; `--help` reads the table alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the table, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command from its module, or None for a name the table lacks."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup)
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; the default is ./data.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), help="How much is logged.")
@click.version_option(package_name="vsearch")
@click.pass_context
def cli(ctx: click.Context, data: Path | None, log_level: str | None) -> None:
    """Visual search for a shop's own catalogue."""
    settings, sources = settings_module.load(data=data, log_level=log_level)
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ctx.obj = settings
    ctx.meta["sources"] = sources


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a `VSearchError` is one line on standard error and exit code 1."""
    run: Callable[..., Any] = cli.main
    try:
        run(args=arguments, prog_name="vsearch", standalone_mode=True)
    except VSearchError as error:
        click.echo(f"vsearch: {error}", err=True)
        sys.exit(1)
