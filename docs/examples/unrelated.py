"""Extract photos of things that no furniture shop sells from tiny_imagenet: animals, food and landscapes.

    python docs/examples/unrelated.py FILE.npz OUT

FILE.npz contains `data` (all JPEG bytes), `offsets`, `labels`, `split` (1 is validation) and `wnids`. OUT receives the
validation images of these classes, for `vsearch evaluate shopper --unrelated OUT`.
"""

import sys
from pathlib import Path

import numpy as np

KINDS = {"animal": ("n01", "n026"), "food": ("n075", "n080"), "landscape": ("n09", "n10")}
"""Kind -> its range of WordNet ids, excluding the end; the ids of nouns are ordered by topic."""

VALIDATION = 1


def kind_of(wnid: str) -> str | None:
    """Return the kind of a class, or None."""
    return next((kind for kind, (first, after) in KINDS.items() if first <= wnid < after), None)


def main(source: Path, target: Path) -> None:
    """Write each image as KIND-WNID-NUMBER.jpg."""
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
