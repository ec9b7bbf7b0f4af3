"""Convert the research data sets to feeds and lists of photos, as `vsearch evaluate all` does.

    python docs/examples/research_sets.py PHOTOS OUT

OUT receives a folder for each shop of docs/benchmarks.md:

    feed.csv     for `vsearch catalog import`, see docs/feed.md
    others       lists of photos for `vsearch evaluate photos`; family.csv is for `vsearch evaluate retrieval`

A converter for your own catalog needs to write only the first file.
"""

import sys
from pathlib import Path

from vsearch.evaluation.research_sets import SHOPS, write


def main(source: Path, target: Path) -> None:
    """Write the files of all shops."""
    for name, (convert, _) in SHOPS.items():
        write(convert(source), target / name)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python docs/examples/research_sets.py PHOTOS OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
