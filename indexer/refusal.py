"""Why a feed is refused whole: pure decisions on what was read of it and what the catalogue holds."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from indexer.dialects import ATTRIBUTE, COLUMNS
from indexer.feed import FeedReading, RowError
from indexer.looking import Look
from vsearch.errors import FeedRejected

Cause = Literal["shrink", "rows", "repeats", "columns", "pictures"]
CAUSES: tuple[Cause, ...] = get_args(Cause)

FORGIVEN = 3
"""So many pictures that cannot be had never refuse a feed, whatever share of its new ones they are."""

FEW = 10
"""So many products may always go, unless they are more than half of all."""

_SHOWN = 5  # names in a sentence


@dataclass(frozen=True)
class Shares:
    """How much of a feed may be wrong before all of it is refused.

    Attributes:
        shrink: of the catalogue's products that may be withdrawn at once.
        bad_rows: of rows that may be bad.
        failed: of new pictures that may not be had.
    """

    shrink: float = 0.2
    bad_rows: float = 0.01
    failed: float = 0.05


class FeedRefused(FeedRejected):
    """The feed was read, and is not what it should be; `findings` has every row and picture that is wrong."""

    def __init__(self, message: str, findings: tuple[RowError, ...], warnings: tuple[str, ...]) -> None:
        super().__init__(message)
        self.findings = findings
        self.warnings = warnings


def of_rows(reading: FeedReading, shares: Shares) -> Iterable[tuple[Cause, str]]:
    """Yield whether too many rows are bad, and whether a sku is there twice."""
    repeats = {error.line for error in reading.errors if error.kind == "repeat"}
    bad = {error.line for error in reading.errors if error.kind == "row"}
    rows = len(reading.rows) + len(bad | repeats)
    if len(bad) > shares.bad_rows * rows:
        yield "rows", f"{len(bad)} of {rows} rows are bad"
    if repeats:
        yield "repeats", f"{len(repeats)} rows repeat a sku"


def of_columns(reading: FeedReading, before: Collection[str]) -> Iterable[tuple[Cause, str]]:
    """Yield whether a column that the last feed had is missing."""
    known = [name for name in before if name in COLUMNS or name.startswith(ATTRIBUTE)]
    lacking = [name for name in known if name not in reading.columns and not _other_name(name, reading.columns)]
    if lacking:
        yield "columns", f"it lacks {_listed(lacking)}, which the last feed had"


def of_shrinking(live: Collection[str], named: Collection[str], shares: Shares) -> Iterable[tuple[Cause, str]]:
    """Yield whether too much of the catalogue would be withdrawn; of a small one, a few products, but never half."""
    gone = len(set(live) - set(named))
    if gone > max(shares.shrink * len(live), min(FEW, len(live) / 2)):
        yield "shrink", f"it lacks {gone} of the catalogue's {len(live)} products"


def of_pictures(looks: Iterable[Look], shares: Shares) -> Iterable[tuple[Cause, str]]:
    """Yield whether too many new pictures cannot be had; those of which an earlier content is known do not count."""
    looked = list(looks)
    lost = sum(bool(look.seen.problem) and not look.seen.sha256 and not look.known_to_fail for look in looked)
    tried = lost + sum(look.new for look in looked)
    if lost > max(FORGIVEN, shares.failed * tried):
        yield "pictures", f"{lost} of {tried} new pictures cannot be had"


def refuse(
    feed: str,
    causes: Iterable[tuple[Cause, str]],
    reading: FeedReading,
    *,
    accept: Collection[Cause],
) -> None:
    """Refuse a feed for what is not accepted.

    Raises:
        FeedRefused: with one sentence for all causes.
    """
    found = [(cause, said) for cause, said in causes if cause not in accept]
    if found:
        options = " ".join(f"--accept {cause}" for cause, _ in found)
        raise FeedRefused(
            f"A feed must be whole and like the last one, but of {feed}, {'; '.join(said for _, said in found)}. "
            f"Nothing was imported: export it again, or take it as it is with {options}.",
            reading.errors,
            reading.warnings,
        )
    if not reading.rows:
        raise FeedRefused(
            f"A feed must have a good row, but {feed} has none; mend its rows.", reading.errors, reading.warnings
        )


def _other_name(name: str, columns: Collection[str]) -> bool:
    """Whether the same is told under another name of ours."""
    return bool({name, *columns} >= {"image", "images"}) or (name.startswith(ATTRIBUTE) and "attributes" in columns)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
