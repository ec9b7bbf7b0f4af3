"""Whether a new generation is so unlike the published one that a person should look first: pure, on two manifests."""

from collections.abc import Iterator

from vsearch.manifest import Manifest

FEW = 20
"""Pictures, or made photos, below which a class, or a share, says nothing."""

MOST_LOST = 0.5
"""Share of a class's pictures that may go in one night."""

MOST_FALLEN = 0.1
"""How much smaller the share of made photos whose product comes first may be."""

MOST_MOVED = 0.15
"""How much the median score of the own product may change; more, and what scores mean has changed."""


def drift(before: Manifest, after: Manifest) -> Iterator[str]:
    """Yield what is unlike, one clause each."""
    counts = {entry.name: entry.count for entry in after.classes}
    for entry in before.classes:
        left = counts.get(entry.name, 0)
        if entry.count >= FEW and left < (1 - MOST_LOST) * entry.count:
            yield f"class {entry.name!r} has {left} pictures and had {entry.count}"
    if before.blocks_id != after.blocks_id or not before.quality or not after.quality:
        return  # another model has scores of its own
    was, now = before.quality, after.quality
    if min(was.views, now.views) < FEW:
        return
    if now.hit_at_1 < was.hit_at_1 - MOST_FALLEN:
        yield f"{now.hit_at_1:.0%} of made photos find their product first, and {was.hit_at_1:.0%} did"
    if abs(now.own_score - was.own_score) > MOST_MOVED:
        yield f"made photos score {now.own_score:.2f} with their own product, and {was.own_score:.2f} before"
