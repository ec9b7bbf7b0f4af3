"""Whether a new generation is so unlike the published one that a person should look first: pure, on two manifests."""

from collections.abc import Iterator

from vsearch.manifest import Manifest

FEW = 20
"""Pictures, or made photos, below which a class, or a share, says nothing."""

MOST_LOST = 0.5
"""Share of a class's pictures that may go in one night."""

MOST_FALLEN = 0.1
"""How much smaller the share of made photos whose product comes first may be."""

MOST_SUNK = 0.15
"""How much lower the median score of the own product may be; beyond, photos of what is there are called dissimilar."""

ANOTHER = 1.5
"""Times that a catalogue grows, or shrinks, beyond which what it finds is no measure for the one before."""

AS_MANY = 0.2
"""A class that is gone and a new one whose numbers of pictures differ by no larger share are one class renamed."""


def drift(before: Manifest, after: Manifest) -> Iterator[str]:
    """Yield what is unlike, one clause each; what is better is no drift."""
    yield from _shrunken_classes(before, after)
    if before.blocks_id != after.blocks_id or not before.quality or not after.quality:
        return  # another model has scores of its own
    was, now = before.quality, after.quality
    sizes = [sum(entry.count for entry in each.classes) for each in (before, after)]
    if min(was.views, now.views) < FEW or not 1 / ANOTHER <= sizes[1] / sizes[0] <= ANOTHER:
        return
    if now.hit_at_1 < was.hit_at_1 - MOST_FALLEN:
        yield f"{now.hit_at_1:.0%} of made photos find their product first, and {was.hit_at_1:.0%} did"
    if now.own_score < was.own_score - MOST_SUNK:
        yield f"made photos score {now.own_score:.2f} with their own product, and {was.own_score:.2f} before"


def _shrunken_classes(before: Manifest, after: Manifest) -> Iterator[str]:
    counts = {entry.name: entry.count for entry in after.classes}
    new = [entry.count for entry in after.classes if entry.name not in {was.name for was in before.classes}]
    for entry in before.classes:
        left = counts.get(entry.name, 0)
        if entry.count < FEW or left >= (1 - MOST_LOST) * entry.count:
            continue
        renamed = [count for count in new if abs(count - entry.count) <= AS_MANY * entry.count] if not left else []
        if renamed:
            new.remove(renamed[0])
        else:
            yield f"class {entry.name!r} has {left} pictures and had {entry.count}"
