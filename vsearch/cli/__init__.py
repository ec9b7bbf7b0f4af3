"""The `vsearch` command: a table of sub-commands, each loaded only when it is called.

The only place that knows all packages. A sub-command is a click command or group named `command` in its module;
it gets `Settings` with `@pass_settings`, shows progress with `progress`, and prints tables with `console`.
"""

import errno
import importlib
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vsearch.core import settings as settings_module
from vsearch.core.errors import VSearchError
from vsearch.core.redaction import redact

COMMANDS = {
    "bench": ("vsearch.cli.bench", "Measure speed as ratios against a baseline."),
    "catalog": ("indexer.cli.catalog_import", "Import a product feed into the catalogue, or upgrade its schema."),
    "dataset": ("vsearch.cli.dataset", "Pack training pictures into large files, and check those."),
    "demo": ("webui.cli.demo", "Take the demo shop or your own catalogue, index it and serve the page."),
    "encode": ("vsearch.cli.encode", "Write the embeddings of images to a file."),
    "evaluate": ("indexer.cli.evaluate", "Measure retrieval and classification with known answers."),
    "index": ("indexer.cli.index", "Build and publish the search index."),
    "jobs": ("indexer.cli.jobs", "Run nightly jobs, imports and trainings in the background."),
    "models": ("indexer.cli.models", "List models, compare them, and choose which one searches."),
    "predict": ("vsearch.cli.predict", "Classify photos by each network and by vote."),
    "prune": ("indexer.cli.prune", "Delete data that is no longer used."),
    "search": ("webui.cli.search", "Find the products that look most like a photo."),
    "serve": ("webui.cli.serve", "Serve the shopper's page."),
    "settings": (
        "vsearch.cli.settings",
        "Print every setting, its value, where that comes from, and its meaning.",
    ),
    "train": ("vsearch.cli.train", "Train a backbone by a plan."),
}

log = logging.getLogger(__name__)

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

    def invoke(self, ctx: click.Context) -> Any:
        """Run the sub-command; what click says of a wrong argument quotes it, and it may be an address."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error)["message"] = redact(error.message)
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


class RedactingFormatter(logging.Formatter):
    """Formats a record, its traceback included, without passwords and keys of addresses.

    Args:
        settings: whose addresses libraries may quote in parts.
    """

    def __init__(self, settings: settings_module.Settings) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._addresses = (settings.database_url, settings.feed, settings.feed_images)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redact(super().format(record), *self._addresses)


@click.group(cls=LazyGroup)
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; the default is ./data.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), help="How much is logged.")
@click.version_option(package_name="vsearch")
@click.pass_context
def cli(ctx: click.Context, data: Path | None, log_level: str | None) -> None:
    """Visual search for a shop's own catalogue."""
    settings, sources = settings_module.load(data=data, log_level=log_level)
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(settings))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    if settings.log_level != "DEBUG":
        # It warns of each retry; what fails in the end is reported.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
    ctx.obj = settings
    ctx.meta["sources"] = sources


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what a person can correct is one line on standard error and exit code 1."""
    run: Callable[..., Any] = cli.main
    try:
        run(args=arguments, prog_name="vsearch", standalone_mode=True)
    except (VSearchError, OSError, MemoryError) as error:
        log.debug("where it failed", exc_info=True)
        click.echo(f"vsearch: {redact(_sentence(error))}", err=True)
        sys.exit(1)
    except Exception:  # a bug: its traceback as Python writes it, but for passwords
        click.echo(redact(traceback.format_exc()), err=True, nl=False)
        sys.exit(1)


def _sentence(error: VSearchError | OSError | MemoryError) -> str:
    """Return what the person has to correct; a disk or a folder in trouble may show up in any line of any command."""
    if isinstance(error, VSearchError):
        return str(error)
    if isinstance(error, MemoryError):
        return (
            f"This needs more memory than there is ({error or 'all is used'}); ask for less, or use a larger machine."
        )
    place = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk must have room, but {place} could not be written; free some and run the same command again."
    # Only a folder that should be made and is a file already comes this far as "exists".
    reason = "is no folder" if isinstance(error, FileExistsError) else error.strerror or error
    return f"Files and folders must be usable, but {place}: {reason}; fix that and run the same command again."
