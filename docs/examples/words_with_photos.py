"""Measure words that go with a photo, on the demo shop: how many of the first five products are what the words ask for.

    vsearch demo --no-serve; vsearch catalog upgrade
    python docs/examples/words_with_photos.py data [PHOTOS]

One photo of each of 45 designs that no model was trained on is searched within the box of its product, with each word
that at least one product of the same category answers to: colors as the shop names them (moss), colors as shoppers do
in English, German and French (green, grün, vert), materials, pairs of both (moss velvet), and with its own material
excluded, by a hyphen and by a word.
A product is right if it is in the category of the photo and has the attributes; the share is of the first five, or of
as many designs as there are.
"""

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import mean

from catalog import demo
from vsearch.core.settings import Settings
from vsearch.imaging.codec import decode
from vsearch.imaging.geometry import Box
from webui import results, server
from webui.criteria import Criteria
from webui.services import services_of

FIRST = 5
ASKED = {
    ("green", "grün", "vert"): "green moss sage olive forest emerald",
    ("blue", "blau", "bleu"): "blue navy denim petrol sky_blue ink teal aqua",
    ("red", "rot", "rouge"): "red burgundy cherry rust coral",
    ("yellow", "gelb", "jaune"): "yellow mustard lemon ochre honey",
    ("orange", "oranges", "orange"): "orange terracotta rust amber copper",
    ("pink", "rosa", "rose"): "pink rose blush coral",
    ("purple", "lila", "violet"): "purple plum lilac",
    ("brown", "braun", "brun"): "brown walnut cognac chocolate tan teak smoked_oak",
    ("beige", "beiges", "beige"): "beige sand oatmeal cream taupe",
    ("grey", "grau", "gris"): "grey charcoal light_grey smoke gray",
    ("black", "schwarz", "noir"): "black ink charcoal",
    ("white", "weiß", "blanc"): "white cream",
    ("gold", "goldene", "doré"): "gold brass bronze",
}
"""What shoppers ask for in English, German and French, and the demo shop's colors that are right, written down before
the program had any table of colors."""

Product = dict[str, set[str]]


def products() -> dict[str, Product]:
    """Return the category, color and materials of each product of the demo shop, by SKU."""
    with demo.FEED.open(encoding="utf8", newline="") as file:
        return {
            row["sku"]: {
                "category": {row["category"]},
                "color": {row["attr:colour"]},
                "material": set(row["attr:material"].split("|")),
            }
            for row in csv.DictReader(file)
        }


def photos() -> Iterator[dict[str, str]]:
    """Yield one photo of each unseen design."""
    seen = set()
    with (demo.SHOP / "photos.csv").open(encoding="utf8", newline="") as file:
        for row in csv.DictReader(file):
            if (row["role"], row["split"]) == ("main", "unseen") and row["sku"][:7] not in seen:
                seen.add(row["sku"][:7])
                yield row


def questions(own: Product, shop: dict[str, Product]) -> Iterator[tuple[str, str, set[str]]]:
    """Yield (kind, words, SKUs of right products) for a photo of a product."""
    same = {sku: product for sku, product in shop.items() if product["category"] == own["category"]}

    def having(name: str, values: set[str], excluded: bool = False) -> set[str]:
        return {sku for sku, product in same.items() if bool(product[name] & values) != excluded}

    for color in sorted(set().union(*(product["color"] for product in same.values()))):
        yield "the shop's color", color, having("color", {color})
    for words, values in ASKED.items():
        colors = {value.replace("_", " ") for value in values.split()}
        for language, word in zip(("English", "German", "French"), words, strict=True):
            yield f"the shopper's color, {language}", word, having("color", colors)
    for material in sorted(set().union(*(product["material"] for product in same.values()))):
        yield "material", material, having("material", {material})
    for color, material in sorted({(c, m) for p in same.values() for c in p["color"] for m in p["material"] if c != m}):
        yield "color and material", f"{color} {material}", having("color", {color}) & having("material", {material})
    for material in sorted(own["material"]):
        excluded = " ".join(f"-{word}" for word in material.split())
        yield "excluded material", excluded, having("material", {material}, excluded=True)
        stated = " ".join(f"not {word}" for word in material.split())
        yield "excluded material, in words", stated, having("material", {material}, excluded=True)


def main(data: Path, limit: int) -> None:
    """Print a table with a row for each kind of words."""
    shop = products()
    shares: dict[str, list[float]] = defaultdict(list)
    found: dict[str, list[bool]] = defaultdict(list)
    settings = Settings(data=data, results_per_page=FIRST)
    services = services_of(server.build(settings)[0])
    with closing(services):
        for row in list(photos())[:limit]:
            picture = decode((demo.PHOTOS / row["photo"]).read_bytes(), services.uploads.limits)
            box = Box(*(float(row[side]) for side in ("left", "top", "right", "bottom")))
            for kind, words, right in questions(shop[row["sku"]], shop):
                if not right:
                    continue
                page = results.find_products(services, picture, Criteria(box=box, text=words))
                hits = [match.card.sku in right for match in page.matches[:FIRST]]
                shares[kind].append(min(1, sum(hits) / min(FIRST, len({sku[:7] for sku in right}))))
                found[kind].append(any(hits))
    lines = ["| words | searches | right among the first 5 | at least one |", "|---|---|---|---|"]
    for kind, values in shares.items():
        lines.append(f"| {kind} | {len(values)} | {mean(values):.0%} | {mean(found[kind]):.0%} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python docs/examples/words_with_photos.py DATA [PHOTOS]")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 45)
