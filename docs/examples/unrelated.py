"""Write photos of what no furniture shop sells: animals, food and landscapes of the tiny_imagenet research set.

    python docs/examples/unrelated.py FILE.npz OUT

FILE.npz holds `data` (all JPEG bytes), `offsets`, `labels`, `split` (1 is validation) and `wnids`. OUT becomes a folder
with the validation pictures of these classes, for `vsearch evaluate shopper --unrelated OUT`.
"""

import sys
from pathlib import Path

import numpy as np

KINDS = {"animal": ("n01", "n026"), "food": ("n075", "n080"), "landscape": ("n09", "n10")}
"""Numbers of WordNet's nouns run by topic: kind -> the first of a kind, and the first after it."""

VALIDATION = 1


def kind_of(wnid: str) -> str | None:
    """Return which kind a class is of, or None for what a shop may sell."""
    return next((kind for kind, (first, after) in KINDS.items() if first <= wnid < after), None)


def main(source: Path, target: Path) -> None:
    """Write each picture as KIND-WNID-NUMBER.jpg."""
    target.mkdir(parents=True, exist_ok=True)
    with np.load(source) as arrays:
        data, offsets, labels, split, wnids = (arrays[name] for name in ("data", "offsets", "labels", "split", "wnids"))
    for number in np.flatnonzero(split == VALIDATION):
        wnid = str(wnids[labels[number]])
        kind = kind_of(wnid)
        if kind is not None:
            picture = data[offsets[number] : offsets[number + 1]].tobytes()
            (target / f"{kind}-{wnid}-{number:05d}.jpg").write_bytes(picture)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python docs/examples/unrelated.py FILE.npz OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
