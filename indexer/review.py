"""What a manager should look at in the catalogue: pure findings on what SQL, stored blocks and the live index say."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from catalog.review import Shown
from vsearch.gallery import Gallery
from vsearch.model.heads import Predictions

Kind = Literal[
    "bad row",
    "no picture",
    "failing picture",
    "small picture",
    "watermark",
    "same picture",
    "nearly the same",
    "other category",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

SMALL = 200
"""Pixels of the longer side below which a picture shows a shopper too little, and a network as well."""

SURE = 0.4
"""How likely the classifier must hold another class.

Measured on 1,254 products of ikea in 22 classes: of pictures put into a wrong class 41 percent are told, of others 0.2.
"""

DOUBTED = 0.02
"""How likely the feed's own class may be at most."""

NEARLY = 0.9
"""Cosine from which two pictures are nearly the same: on ikea, 9 pairs of products beside those with the very same."""

_NEAREST = 5
_SEARCHED = 5000  # pictures, at most, whose neighbours are looked at


@dataclass(frozen=True)
class Note:
    """One thing to look at.

    Attributes:
        kind: what sort of thing.
        skus: the products it is about, the first one foremost.
        pictures: sha256 of pictures to show beside it.
        said: one clause.
    """

    kind: Kind
    skus: tuple[str, ...]
    pictures: tuple[str, ...]
    said: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def bad_rows(findings: Sequence[Mapping[str, Any]]) -> Iterator[Note]:
    """Yield the rows that the last import left out, or was refused for."""
    for found in findings:
        if found["kind"] != "picture":
            yield Note("bad row", (found["sku"],), (), f"line {found['line']}: {found['reason']}")


def without_picture(skus: Sequence[str]) -> Iterator[Note]:
    """Yield the products that no photo can find."""
    for sku in skus:
        yield Note("no picture", (sku,), (), "has no picture that can be used, so no photo finds it")


def failing(problems: Sequence[tuple[str, int]], findings: Sequence[Mapping[str, Any]]) -> Iterator[Note]:
    """Yield pictures that cannot be had: why, and how many times running.

    Args:
        problems: these.
        findings: of the last import; they know whose pictures they are.
    """
    owners: dict[str, set[str]] = defaultdict(set)
    for found in findings:
        owners[found["reason"]].add(found["sku"])
    for reason, times in problems:
        often = f" ({times} times running)" if times > 1 else ""
        yield Note("failing picture", tuple(sorted(owners[reason])), (), f"{reason}{often}")


def small(shown: Sequence[Shown]) -> Iterator[Note]:
    """Yield pictures that are too small."""
    for one in shown:
        if one.width and one.height and max(one.width, one.height) < SMALL:
            said = f"is {one.width} x {one.height} pixels; {SMALL} is the least that shows a product"
            yield Note("small picture", (one.sku,), (one.sha256,), said)


def same(shown: Sequence[Shown]) -> Iterator[Note]:
    """Yield pictures that several products have which are no variants of each other."""
    owners: dict[str, list[Shown]] = defaultdict(list)
    for one in shown:
        owners[one.sha256].append(one)
    for sha256, found in owners.items():
        if len({one.sku if one.variant_group is None else (one.variant_group,) for one in found}) > 1:
            skus = tuple(sorted({one.sku for one in found}))
            yield Note("same picture", skus, (sha256,), f"{len(skus)} products have the very same picture")


def nearly_same(shown: Sequence[Shown], gallery: Gallery) -> Iterator[Note]:
    """Yield pairs of products, no variants of each other, whose pictures can hardly be told apart."""
    by_id = {one.image_id: one for one in shown}
    told: set[frozenset[str]] = set()
    for index in gallery.indexes["cosine"].values():
        ids = index.image_ids[:_SEARCHED]
        for start in range(0, len(ids), 256):
            part = ids[start : start + 256]
            scores, found = index.search(index.vectors(part), _NEAREST)
            for row, image_id in enumerate(part.tolist()):
                for score, other_id in zip(scores[row], found[row].tolist(), strict=True):
                    one, other = by_id.get(image_id), by_id.get(other_id)
                    if one is None or other is None or score < NEARLY or not _unlike(one, other):
                        continue
                    pair = frozenset((one.sku, other.sku))
                    if pair not in told:
                        told.add(pair)
                        said = f"can hardly be told from {other.sku} ({score:.3f})"
                        yield Note("nearly the same", (one.sku, other.sku), (one.sha256, other.sha256), said)


def _unlike(one: Shown, other: Shown) -> bool:
    """Whether two pictures show products that are not known to belong together, and differ."""
    if one.sku == other.sku or one.sha256 == other.sha256:
        return False
    return one.variant_group is None or one.variant_group != other.variant_group


def other_category(shown: Sequence[Shown], classes: Sequence[str], said: Predictions) -> Iterator[Note]:
    """Yield pictures that the classifier surely holds for another class than the feed's.

    Args:
        shown: n pictures.
        classes: the class of each by the feed.
        said: what the models say of each.
    """
    place = {name: number for number, name in enumerate(said.classes)}
    for one, own, shares in zip(shown, classes, said.probabilities, strict=True):
        likely = int(shares.argmax())
        if own in place and shares[place[own]] <= DOUBTED and shares[likely] >= SURE:
            words = f"is in {own!r}, but looks like {said.classes[likely]!r} ({shares[likely]:.0%} sure)"
            yield Note("other category", (one.sku,), (one.sha256,), words)
