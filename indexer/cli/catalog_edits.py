"""`vsearch catalog edit` and `edits`: values of products that replace those of the feed."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from catalog import product_edits
from catalog.audit import COMMAND_LINE
from catalog.database import lock_for_writing, open_catalog
from catalog.image_store import ImageStore, import_lock
from catalog.product_edits import ATTRIBUTE, CATEGORY, IMAGES, Value, split_values, text_of
from vsearch.cli import EXISTING_FILE, json_option, pass_settings
from vsearch.cli.console import table
from vsearch.core.errors import ImageRejected
from vsearch.core.lock import shared_lock
from vsearch.core.settings import Settings
from vsearch.imaging.codec import Limits, decode, encode_jpeg


@click.command(
    "edit", epilog="Example: vsearch catalog edit S-1 --category 'Sofas > Corner sofas' --attribute color=red"
)
@click.argument("skus", metavar="SKU...", nargs=-1, required=True)
@click.option("--category", help="The category; empty for none.")
@click.option(
    "--attribute",
    "attributes",
    metavar="NAME=VALUE,...",
    multiple=True,
    help=r"The values of an attribute; NAME= removes it, and \, is a comma within a value (repeatable).",
)
@click.option("--add-image", "files", type=EXISTING_FILE, multiple=True, help="Add an image (repeatable).")
@click.option(
    "--undo", "undone", metavar="FIELD", multiple=True, help="Restore the feed's value of a field (repeatable)."
)
@pass_settings
def edit(
    settings: Settings,
    *,
    skus: tuple[str, ...],
    category: str | None,
    attributes: tuple[str, ...],
    files: tuple[Path, ...],
    undone: tuple[str, ...],
) -> None:
    """Change products; imports keep the change until it is undone.

    FIELD is category, attributes.NAME or images (those that were added). Either all changes are made or none. Search
    finds added images, and by a changed class, after the next index run.
    """
    changes = dict(_changes(category, attributes))
    if not (changes or files or undone):
        raise click.UsageError("Nothing to change. Give --category, --attribute, --add-image or --undo.")
    images = [_read_image(file, settings) for file in files]
    store = ImageStore(settings.pictures)
    with (
        open_catalog(settings.catalog_url) as sessions,
        shared_lock(import_lock(store.folder)),
        sessions.begin() as session,
    ):
        lock_for_writing(session)
        sizes = {store.put(data): size for data, size in images}
        for sku in skus:
            for field in undone:
                product_edits.undo(session, COMMAND_LINE, sku, field)
            for field, value in changes.items():
                product_edits.save(session, COMMAND_LINE, sku, field, value)
            if sizes:
                product_edits.add_images(session, COMMAND_LINE, sku, sizes)
        left = product_edits.by_sku(session, skus)
    for sku in skus:
        click.echo(f"Edited fields of {sku}: {', '.join(left.get(sku, {})) or 'none'}.")
    click.echo("Run `vsearch index run` to search with the change.")


@click.command("edits")
@json_option
@pass_settings
def edits(settings: Settings, *, as_json: bool) -> None:
    """List the values that replace those of the feed."""
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        found = [(sku, field, each) for sku, of in product_edits.by_sku(session).items() for field, each in of.items()]
    if as_json:
        rows = [
            {
                "sku": sku,
                "field": field,
                "value": each.value,
                "feed_value": each.feed_value,
                "account": each.account,
                "edited": each.edited_at.isoformat(),
            }
            for sku, field, each in found
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif found:
        lines = [
            (
                sku,
                field,
                _shown(field, each.value),
                _shown(field, each.feed_value),
                each.account,
                f"{each.edited_at:%Y-%m-%d}",
            )
            for sku, field, each in found
        ]
        table("Edits", ("sku", "field", "value", "in the feed", "by", "on (UTC)"), lines, whole=("sku",))
    else:
        click.echo("No product is edited. Edit one with `vsearch catalog edit`.")


def _changes(category: str | None, attributes: tuple[str, ...]) -> Iterator[tuple[str, Value]]:
    if category is not None:
        yield CATEGORY, category
    for attribute in attributes:
        name, sign, values = attribute.partition("=")
        if not sign:
            raise click.UsageError(f"--attribute {attribute} has no equals sign. Write it like color=red,blue.")
        yield ATTRIBUTE + name.strip(), split_values(values)


def _read_image(file: Path, settings: Settings) -> tuple[bytes, tuple[int, int]]:
    """Return an image, encoded again without metadata, and its width and height."""
    try:
        picture = decode(file.read_bytes(), Limits.from_settings(settings))
    except ImageRejected as error:
        raise type(error)(f"{file}: {error}") from None
    height, width = picture.shape[:2]
    return encode_jpeg(picture), (width, height)


def _shown(field: str, value: Value) -> str:
    return f"{len(value)} images" if field == IMAGES else text_of(value)
