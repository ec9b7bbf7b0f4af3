"""The `vsearch` command: a table of sub-commands, each imported only when it is called; and `vsearch settings`.

Each sub-command is a click command in the package whose work it starts; this package contains those of the engine.
Commands get `Settings` from `@pass_settings`, and print with `vsearch.cli.console`.
"""

import errno
import logging
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vsearch.core import logs
from vsearch.core import settings as settings_module
from vsearch.core.errors import VSearchError
from vsearch.core.redaction import redact

# Read when NumPy is loaded. Its matrix products are small; a second thread only waits for a core that a network uses.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

COMMANDS = {
    "backup": ("indexer.cli.backups:backup", "Back up the catalog, images, models and indexes while in use."),
    "bench": ("vsearch.cli.inference:bench", "Measure speed relative to a baseline."),
    "catalog": ("indexer.cli.catalog_import:catalog", "Import a product feed into the catalog, or upgrade its schema."),
    "dataset": ("vsearch.cli.train:dataset", "Pack training images into TFRecord shards and inspect them."),
    "demo": ("webui.cli.serve:demo", "Index the demo shop, or your own feed, and serve the search page."),
    "doctor": ("indexer.cli.doctor:doctor", "Check this installation, and say what to do."),
    "encode": ("vsearch.cli.inference:encode", "Write the embeddings of images to a file."),
    "evaluate": ("indexer.cli.evaluate:evaluate", "Measure retrieval and classification against ground truth."),
    "index": ("indexer.cli.index:index", "Build, check and roll back the published index."),
    "jobs": ("indexer.cli.jobs:jobs", "Run nightly jobs, imports and training runs in the background."),
    "keys": ("webui.cli.keys:keys", "Manage the keys of the API."),
    "models": ("indexer.cli.models:models", "List and compare models, and choose the one used for searching."),
    "predict": ("vsearch.cli.inference:predict", "Classify photos with each network and by majority vote."),
    "prune": ("indexer.cli.index:prune", "Delete data that is no longer used."),
    "queries": ("webui.cli.query_report:queries", "Show what shoppers searched for and did not find."),
    "restore": ("indexer.cli.backups:restore_", "Restore a backup to an empty data folder."),
    "review": ("webui.cli.review:review", "Label photos, and export and import labeled photos."),
    "search": ("webui.cli.serve:search", "Find the products that look most like a photo."),
    "serve": ("webui.cli.serve:serve", "Serve the shoppers' search page."),
    "settings": ("vsearch.cli:show_settings", "Print every setting with its value, source and meaning."),
    "train": ("vsearch.cli.train:train", "Train backbones from a plan."),
    "users": ("webui.cli.users:users", "Manage the accounts of the admin pages."),
}
"""Sub-command -> where it is defined, and its help."""

log = logging.getLogger(__name__)

pass_settings = click.make_pass_decorator(settings_module.Settings)

# Types and options shared by several commands.
ANY_PATH = click.Path(path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING_PATH = click.Path(exists=True, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
photos_argument = click.argument("paths", metavar="PHOTO|DIR|TAR...", nargs=-1, required=True, type=ANY_PATH)


def load_command(name: str) -> click.Command:
    """Import a sub-command from the table."""
    command: click.Command = pkgutil.resolve_name(COMMANDS[name][0])
    return command


class LazyGroup(click.Group):
    """The group of all sub-commands; imports a sub-command when it is called, and none for `--help`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a sub-command, or None for an unknown name."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing any sub-command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the sub-command; hide passwords in the invalid arguments that click quotes."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error)["message"] = redact(error.message)
            raise


@click.group(cls=LazyGroup)
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; the default is ./data.")
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), help="Minimum log severity.")
@click.version_option(package_name="vsearch")
@click.pass_context
def cli(ctx: click.Context, data: Path | None, log_level: str | None) -> None:
    """Visual search for a shop's own catalog."""
    settings, sources = settings_module.load(data=data, log_level=log_level)
    handler = logging.StreamHandler()
    handler.setFormatter(logs.formatter(settings))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    if settings.log_level != "DEBUG":
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns about each retry
        for name in ("alembic", "faiss"):  # they say how they start
            logging.getLogger(name).setLevel(logging.WARNING)
    ctx.obj = settings
    ctx.meta["sources"] = sources


@click.command(epilog="Example: VSEARCH_PORT=9000 vsearch settings")
@click.option("--markdown", is_flag=True, help="Print the settings reference as Markdown instead.")
@pass_settings
@click.pass_context
def show_settings(ctx: click.Context, settings: settings_module.Settings, markdown: bool) -> None:
    """Print every setting with its value, source and meaning.

    Set one by name in the file vsearch.toml in the working folder (port = 9000), or in the environment as
    VSEARCH_NAME. Passwords are not shown.
    """
    from vsearch.cli.console import table

    if markdown:
        click.echo(settings_module.reference(), nl=False)
        return
    file = settings_module.FILE
    read = f"{file.absolute()} was read" if file.is_file() else f"{file.absolute()} does not exist"
    click.echo(f"Options override variables, variables override {file}, and {file} overrides the defaults; {read}.")
    lines = settings_module.rows(settings, ctx.meta["sources"])
    title = f"Settings (variables: {settings_module.PREFIX}NAME)"
    table(title, ("name", "value", "from", "meaning"), lines, whole=("name",))


def main(arguments: list[str] | None = None) -> None:
    """Run the command; print an error that the user can fix as one line on standard error, and exit with code 1."""
    run: Callable[..., Any] = cli.main
    try:
        run(args=arguments, prog_name="vsearch", standalone_mode=True)
    except (VSearchError, OSError, MemoryError) as error:
        log.debug("traceback of the error", exc_info=True)
        click.echo(f"vsearch: {redact(_message(error))}", err=True)
        sys.exit(1)
    except Exception:  # a bug
        click.echo(redact(traceback.format_exc()), err=True, nl=False)
        sys.exit(1)


def _message(error: VSearchError | OSError | MemoryError) -> str:
    if isinstance(error, VSearchError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"Out of memory ({error or 'no details'}). Process less data at a time, or use a larger machine."
    file = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: {file} could not be written. Free some space and run the same command again."
    # FileExistsError only gets here if a folder could not be created.
    reason = "it is not a folder" if isinstance(error, FileExistsError) else error.strerror or error
    return f"{file} cannot be used: {reason}. Fix that and run the same command again."
