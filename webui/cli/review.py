"""`vsearch review`: the photos that people label, which the admin pages show one at a time."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session, sessionmaker

from catalog import review_queue, review_retention, reviews
from catalog.audit import COMMAND_LINE
from catalog.database import open_catalog
from catalog.image_store import ImageStore
from catalog.models import utc_now
from catalog.review_queue import Filter, Item
from catalog.reviews import NewLabel
from vsearch.cli import EXISTING_FILE, FOLDER, json_option, pass_settings
from vsearch.cli.console import table
from vsearch.core.errors import DatasetError, InvalidRequest, VSearchError
from vsearch.core.files import replace_text, write_bytes
from vsearch.core.settings import Settings
from vsearch.imaging.geometry import Box
from webui.review_photos import ReviewPhotos, area_of

LABELS = "labels.json"
MAX_LISTED = 100_000

item_argument = click.argument("item", type=int)


@click.group()
def review() -> None:
    """Label photos, and exchange labeled photos with other programs."""


@review.command("list", epilog="Example: vsearch review list --state open --limit 10")
@click.option("--state", type=click.Choice(["open", "labeled", "dismissed"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, MAX_LISTED), default=50, show_default=True)
@json_option
@pass_settings
def list_(settings: Settings, state: str | None, limit: int, as_json: bool) -> None:
    """List photos: the last labeled first, then those that are reviewed first."""
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        items = review_queue.find(session, Filter(state=state or ""), limit=limit)
        counts = review_queue.counts(session)
    if as_json:
        click.echo(json.dumps([_as_json(item) for item in items], indent=2))
        return
    columns = ("photo", "state", "source", "class", "label", "use", "priority", "box")
    lines = [
        (str(item.item_id), item.state, item.source, item.predicted_class, _shown(item), item.split,
         f"{item.priority:.3f}", item.box)
        for item in items
    ]  # fmt: skip
    title = ", ".join(f"{number} {name}" for name, number in sorted(counts.states.items())) or "no photos"
    table(f"Photos to review ({title})", columns, lines, right=("photo", "priority"))


@review.command("add", epilog="Example: vsearch review add photos/*.jpg")
@click.argument("photos", nargs=-1, required=True, type=EXISTING_FILE)
@pass_settings
def add(settings: Settings, photos: tuple[Path, ...]) -> None:
    """Add photos to the queue; a file that is no image fails after the others were added."""
    problems = []
    with _review_photos(settings) as (_, store):
        for path in photos:
            try:
                click.echo(f"{path} is photo {store.upload(path.read_bytes(), COMMAND_LINE, utc_now())}.")
            except VSearchError as error:
                problems.append(f"{path}: {error}")
    if problems:
        raise DatasetError(f"{len(problems)} of {len(photos)} photos were not added: {' '.join(problems)}")


@review.command("label", epilog="Example: vsearch review label 12 --sku SOFA-1 --box 0.1,0.2,0.8,0.9")
@item_argument
@click.option("--sku", help="The product that the photo shows.")
@click.option("--category", help="Its category, if the product is not known.")
@click.option("--not-ours", is_flag=True, help="It shows nothing that the shop sells.")
@click.option("--skip", is_flag=True, help="Move it to the end of the queue.")
@click.option("--box", default="", help="The labeled area, x0,y0,x1,y1 as fractions; by default the whole photo.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="An attribute (repeatable).")
@click.option("--replace", is_flag=True, help="Replace the label that the photo has.")
@pass_settings
def label(
    settings: Settings, item: int, *, sku: str | None, category: str | None, not_ours: bool, skip: bool, box: str,
    attributes: tuple[str, ...], replace: bool,
) -> None:  # fmt: skip
    """Label a photo."""
    chosen = {"product": sku, "category": category, "not ours": not_ours, "skipped": skip}
    verdicts = [verdict for verdict, value in chosen.items() if value]
    if len(verdicts) != 1:
        raise click.UsageError("Give one of --sku, --category, --not-ours and --skip.")
    entry = {"verdict": verdicts[0], "sku": sku, "category": category, "box": box, "attributes": _pairs(attributes)}
    with _review_photos(settings) as (sessions, store):
        with sessions() as session:
            found = review_queue.one(session, item)
        if found and found.label and not replace:
            raise InvalidRequest(f"Photo {item} has a label of {found.label.account}. Use --replace to replace it.")
        based_on = found.latest_label_id if found else None
        store.label(item, COMMAND_LINE, _new_label(entry), based_on=based_on, now=utc_now())
    click.echo(f"Photo {item}: {sku or category or verdicts[0]}.")


@review.command("undo")
@item_argument
@pass_settings
def undo(settings: Settings, item: int) -> None:
    """Take back the label of a photo, which is in the queue again."""
    with _writing(settings) as session:
        reviews.undo(session, item, COMMAND_LINE, utc_now())
    click.echo(f"The label of photo {item} was taken back.")


@review.command("dismiss")
@item_argument
@pass_settings
def dismiss(settings: Settings, item: int) -> None:
    """Remove a photo from the queue without a label."""
    with _writing(settings) as session:
        reviews.dismiss(session, item, COMMAND_LINE)
    click.echo(f"Photo {item} was removed from the queue.")


@review.command("delete")
@item_argument
@pass_settings
def delete(settings: Settings, item: int) -> None:
    """Delete a photo with all its areas, verdicts and labels."""
    with _review_photos(settings) as (sessions, store):
        with sessions() as session:
            sha256 = review_retention.photo_of(session, item)
            items = review_retention.items_with(session, sha256)
        store.delete(sha256, items, COMMAND_LINE)
    click.echo(f"Photo {item} was deleted.")


@review.command("export", epilog="Example: vsearch review export labeled")
@click.argument("folder", type=FOLDER)
@pass_settings
def export(settings: Settings, folder: Path) -> None:
    """Write all labels to FOLDER/labels.json, and the photos beside it."""
    images = ImageStore(settings.pictures)
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        items = review_queue.find(session, Filter(state="labeled"), limit=MAX_LISTED)
    entries = []
    for item in items:
        if item.label:
            name = f"{item.sha256}.jpg"
            write_bytes(folder / name, images.read(item.sha256))
            entries.append({"photo": name, "split": item.split, **_label_json(item)})
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / LABELS, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
    click.echo(f"Wrote {len(entries)} labels to {folder / LABELS}.")


@review.command("import", epilog="Example: vsearch review import labeled/labels.json")
@click.argument("file", type=EXISTING_FILE)
@pass_settings
def import_(settings: Settings, file: Path) -> None:
    """Add the photos and labels of a file that `vsearch review export` wrote.

    It contains a list of objects with the keys photo (a path, relative to the file), verdict (product, category or
    not ours), sku or category, and optionally box and attributes. A label that a photo has already is kept.
    """
    entries = _read(file)
    added = 0
    with _review_photos(settings) as (sessions, store):
        for number, entry in enumerate(entries, start=1):
            try:
                added += _import_entry(sessions, store, file.parent, entry)
            except (VSearchError, OSError) as error:
                done = f"{added} labels were added before it" if added else "nothing was added"
                raise DatasetError(f"Entry {number} of {file}: {error} ({done})") from None
    click.echo(f"Added {added} labels; {len(entries) - added} photos had one already.")


def _import_entry(sessions: sessionmaker[Session], store: ReviewPhotos, folder: Path, entry: dict[str, Any]) -> bool:
    """Add a photo and its label; return False if the photo has a label."""
    new = _new_label(entry)
    photo = (folder / str(entry.get("photo", ""))).read_bytes()
    item_id = store.upload(photo, COMMAND_LINE, utc_now())
    with sessions() as session:
        found = review_queue.one(session, item_id)
    if found is None or found.label:
        return False
    store.label(item_id, COMMAND_LINE, new, based_on=found.latest_label_id, now=utc_now())
    return True


@contextmanager
def _review_photos(settings: Settings) -> Iterator[tuple[sessionmaker[Session], ReviewPhotos]]:
    with open_catalog(settings.catalog_url) as sessions:
        yield sessions, ReviewPhotos(settings, sessions)


@contextmanager
def _writing(settings: Settings) -> Iterator[Session]:
    with open_catalog(settings.catalog_url) as sessions, sessions.begin() as session:
        reviews.begin(session)
        yield session


def _pairs(texts: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (separator and name.strip() and value.strip()):
            raise click.UsageError(f"--attribute {text!r} is not NAME=VALUE.")
        found.setdefault(name.strip(), []).append(value.strip())
    return found


def _new_label(entry: dict[str, Any]) -> NewLabel:
    """Return the label in an entry of a file; raises `InvalidRequest`."""
    verdict = entry.get("verdict")
    if verdict not in ("product", "category", "not ours", "skipped"):
        raise InvalidRequest(f"{str(verdict)[:40]!r} is not a verdict. Use product, category or not ours.")
    attributes = entry.get("attributes") or {}
    if not isinstance(attributes, dict) or not all(
        isinstance(values, list) and all(isinstance(value, str) for value in values) for values in attributes.values()
    ):
        raise InvalidRequest("attributes must be an object with a list of texts for each name.")
    box = area_of(Box.parse(str(entry["box"]))) if entry.get("box") else ""
    sku, category = (str(entry.get(name) or "") for name in ("sku", "category"))
    if verdict == "product":
        return NewLabel("product", sku=sku, attributes=attributes, box=box)
    return NewLabel(verdict, category=category if verdict == "category" else "", attributes=attributes, box=box)


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(file.read_text(encoding="utf8"))
    except ValueError as error:
        raise DatasetError(f"{file} is not JSON: {error}.") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DatasetError(f"{file} must contain a list of objects. `vsearch review import --help` lists their keys.")
    return entries


def _label_json(item: Item) -> dict[str, Any]:
    label = item.label
    if label is None:
        return {}
    fields = {name: getattr(label, name) for name in ("verdict", "sku", "category", "box")}
    return fields | {
        "attributes": dict(label.attributes),
        "account": label.account,
        "created_at": label.created_at.isoformat(),
    }


def _as_json(item: Item) -> dict[str, Any]:
    names = ("item_id", "sha256", "box", "source", "state", "split", "predicted_class", "uncertainty", "disagreement")
    return {
        **{name: getattr(item, name) for name in (*names, "priority")},
        "expires_at": item.expires_at.isoformat(),
        "feedback": [{"sku": each.sku, "verdict": each.verdict, "rank": each.rank} for each in item.judged],
        "label": _label_json(item) or None,
    }


def _shown(item: Item) -> str:
    return (item.label.sku or item.label.category or item.label.verdict) if item.label else ""
