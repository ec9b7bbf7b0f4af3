"""A preview of an import: what it would change and what is wrong, as plain data for a job's result."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from catalog.changes import UNCOUNTED_STOCK, ProductItem
from catalog.prices import DECIMALS
from indexer.feed.gates import FeedGateError
from indexer.feed.importer import import_feed
from indexer.feed.reader import FeedFinding
from vsearch.core.errors import FeedRejected
from vsearch.core.progress import Progress, no_stages
from vsearch.core.redaction import redact
from vsearch.core.settings import Settings

MAX_FINDINGS = 200
MAX_EXAMPLES = 50
"""Of each kind of change."""

MAX_TEXT = 200
"""Characters shown of a value."""


def preview_feed(
    settings: Settings,
    feed: str,
    pictures: str | None = None,
    *,
    sessions: sessionmaker[Session],
    mapping: Path | None = None,
    accept: Collection[str] = (),
    progress: Progress = no_stages,
) -> dict[str, Any]:
    """Return what importing a feed would do, without changing anything; the arguments are those of `import_feed`.

    The keys are `refused` (why the feed would be refused, or empty), `gates` (those that refuse it, with reasons),
    `counts`, `findings` (the first ones) and `finding_count`, `warnings`, `examples` of each kind of change, and
    `checksum`, the SHA-256 of the feed. An example has the sku, title, image (its SHA-256, or empty) and the `fields`
    that differ, each as [before, after].
    """
    options: dict[str, Any] = {"mapping": mapping, "accept": accept, "progress": progress}
    try:
        report = import_feed(settings, feed, pictures, sessions=sessions, dry_run=True, **options)
    except FeedGateError as error:
        return _result(error.findings, error.warnings, refused=str(error), gates=dict(error.gates))
    except FeedRejected as error:
        return _result((), (), refused=str(error))
    changes, before = report.changes, report.before
    examples = {
        "added": [_example(None, item) for item in changes.added[:MAX_EXAMPLES]],
        "changed": [_example(before[item.sku], item) for item in changes.changed[:MAX_EXAMPLES]],
        "restored": [_example(before[item.sku], item) for item in changes.restored[:MAX_EXAMPLES]],
        "withdrawn": [_example(before[sku], before[sku]) for sku in changes.withdrawn[:MAX_EXAMPLES]],
    }
    accepted = {"counts": report.counts(), "examples": examples, "checksum": report.checksum}
    return _result(report.findings, report.warnings, **accepted)


def _result(findings: Sequence[FeedFinding], warnings: Sequence[str], **values: Any) -> dict[str, Any]:
    first = [asdict(found) | {"reason": redact(found.reason)} for found in findings[:MAX_FINDINGS]]
    common = {"findings": first, "finding_count": len(findings), "warnings": [redact(each) for each in warnings]}
    defaults: dict[str, Any] = {"refused": "", "gates": {}, "counts": {}, "examples": {}, "checksum": ""}
    return defaults | common | values


def _example(before: ProductItem | None, after: ProductItem) -> dict[str, Any]:
    old, new = dict(_texts(before)) if before else {}, dict(_texts(after))
    differing = {
        name: [old.get(name, "")[:MAX_TEXT], new.get(name, "")[:MAX_TEXT]]
        for name in dict.fromkeys((*new, *old))
        if old.get(name, "") != new.get(name, "")
    }
    had, has = before.images if before else (), after.images
    if had != has:
        unknown = len(set(has) - set(had))
        more = f", of which {unknown} new" if unknown and had else ""
        differing["images"] = [str(len(had)), f"{len(has)}{more}"]
    image = had[0] if had else ""
    return {"sku": after.sku, "title": after.title, "image": image, "fields": differing}


def _texts(item: ProductItem) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each field that is shown, except the SKU."""
    for name in ("title", "brand", "category", "url", "variant_group", "article_number", "description"):
        yield name, getattr(item, name) or ""
    if item.price_minor is not None:
        decimals = DECIMALS[item.currency]
        yield "price", f"{item.price_minor / 10**decimals:.{decimals}f} {item.currency}"
    if item.stock is not None:
        yield "stock", "available" if item.stock == UNCOUNTED_STOCK else str(item.stock)
    for name, values in item.attributes.items():
        yield f"attributes.{name}", ", ".join(values)
    for name, size in item.dimensions.items():
        yield f"dimensions.{name}", size
