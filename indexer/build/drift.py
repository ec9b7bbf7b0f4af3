"""Whether a new generation is so unlike the published one that a person should look first: pure, on two manifests."""

from collections.abc import Callable, Collection, Iterator, Mapping

from vsearch.index.manifest import Manifest

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

Members = Mapping[str, Mapping[int, int]]
"""Class name -> its products -> how many pictures each has."""


def drift(before: Manifest, after: Manifest, members: Callable[[], tuple[Members, Members]]) -> Iterator[str]:
    """Yield what is unlike, one clause each; what is better is no drift.

    Args:
        before: what is published.
        after: what would be.
        members: returns the products of the classes of either; called only where a class shrank.
    """
    yield from _lost_classes(before, after, members)
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


def _lost_classes(before: Manifest, after: Manifest, members: Callable[[], tuple[Members, Members]]) -> Iterator[str]:
    counts = {entry.name: entry.count for entry in after.classes}
    shrank = [
        entry
        for entry in before.classes
        if entry.count >= FEW and counts.get(entry.name, 0) < (1 - MOST_LOST) * entry.count
    ]
    if not shrank:
        return
    had, have = members()
    for entry in shrank:
        if _kept(had[entry.name], have) < (1 - MOST_LOST) * entry.count:
            yield f"class {entry.name!r} has {counts.get(entry.name, 0)} pictures and had {entry.count}"


def _kept(products: Collection[int], classes: Members) -> int:
    """Return how many pictures of a class's products are still together, whatever that is called now, or split into.

    A class counts where most of its products are these: one that all others went into as well is no renaming, but a
    column of categories that broke.
    """
    shared = [(set(products) & set(pictures), pictures) for pictures in classes.values()]
    return sum(sum(pictures[it] for it in both) for both, pictures in shared if 2 * len(both) > len(pictures))
