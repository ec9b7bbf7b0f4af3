"""The difference between tonight's feed and what SQL holds: pure, plain data in and out."""

from collections.abc import Collection, Iterable, Mapping

from catalog.changes import Changes
from catalog.items import ProductItem


def diff(items: Iterable[ProductItem], snapshot: Mapping[str, ProductItem], keep: Collection[str] = ()) -> Changes:
    """Return what turns the snapshot into the feed; a product the feed does not name is withdrawn.

    Args:
        items: the feed's products, each sku once, pictures by sha256.
        snapshot: what SQL holds by sku, withdrawn products too.
        keep: skus that are left as they are where the feed has no item for them.
    """
    added, changed, restored, unchanged = [], [], [], 0
    seen = set(keep)
    for item in items:
        seen.add(item.sku)
        before = snapshot.get(item.sku)
        if before is None:
            added.append(item)
        elif before.withdrawn:
            restored.append(item)
        elif before != item:
            changed.append(item)
        else:
            unchanged += 1
    withdrawn = tuple(sku for sku, item in snapshot.items() if not item.withdrawn and sku not in seen)
    return Changes(tuple(added), tuple(changed), tuple(restored), withdrawn, unchanged)
