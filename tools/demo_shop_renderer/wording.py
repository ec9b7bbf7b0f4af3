"""What the shop says of a product: its title and description, in words that fit its style, colour and material."""

from random import Random

from demo_shop_renderer.catalogue import Product, dice
from demo_shop_renderer.palette import Finish
from demo_shop_renderer.shapes import Bed, Case, Chair, Lamp, Sofa, Table

_OPENINGS = (
    "{name} is a {style} {noun} {finish}.",
    "A {style} {noun} {finish}.",
    "{name}, a {style} {noun}, comes {finish}.",
    "This {style} {noun} comes {finish}.",
)
_CARE = {
    "velvet": "Brush the velvet lightly with the pile; blot spills at once.",
    "linen": "The linen softens with use. Covers come off and wash at 30 °C.",
    "wool": "The wool blend shrugs off wear; vacuum it now and then.",
    "boucle": "The bouclé hides what families do to furniture.",
    "cotton": "Covers come off and wash at 40 °C.",
    "corduroy": "The corduroy is cut fine and wears in nicely.",
    "leather": "The aniline leather gains a patina; keep it out of the sun and wax it once a year.",
    "wood": "Oiled by hand; a new coat of oil makes scratches vanish.",
    "paint": "The lacquer is water-based and easy to wipe.",
    "metal": "Wipe the metal with a dry cloth.",
    "coated steel": "The powder coat resists scratches.",
    "plastic": "Coloured through, so that scratches hardly show.",
    "ceramic": "Glazed by hand: no two are quite alike.",
    "glass": "The glass is tempered and polished at its edges.",
    "cased glass": "White glass cased in coloured, for a mild light below and colour above.",
    "opal glass": "The opal glass is blown and etched for an even light.",
    "marble": "Marble is a natural stone: veins differ. Use coasters.",
    "terrazzo": "Sealed terrazzo, no trouble with red wine.",
    "concrete": "Sealed concrete with the small marks of casting.",
    "cane": "Mist the cane twice a year so that it stays taut.",
    "rattan": "Keep the rattan out of the rain.",
    "rope": "The cord is woven by hand and can be renewed.",
    "shade cloth": "Dust the shade with a soft brush.",
    "paper": "The paper shade is glued to a frame and can be replaced.",
}
_ADVICE = {
    "Bed": ("Slats included; mattress and bedding are not.", "Fits standard mattresses of 200 cm length."),
    "Sofa": ("Feathers round a foam core keep the cushions in shape.", "Covers can be ordered anew, years later too."),
    "Chair": ("Tested for 110 kg.", "Felt gliders are fitted.", "Comes assembled."),
    "Table": ("Assembly takes two people and ten minutes.", "Levelling feet are included."),
    "Case": ("Fixings for the wall are included.", "Soft-closing where something closes.", "Shelves can be moved."),
    "Lamp": ("Bulb (E27, at most 12 W LED) not included.", "With a switch in the cord.", "Dimmable."),
}


def shown(finish: Finish) -> str:
    """Return a finish as a person says it: "walnut", "sage velvet", "opal glass"."""
    if finish.material in ("wood", "metal"):
        return finish.colour
    if finish.material in ("opal glass",) or finish.colour in ("clear", "natural"):
        return finish.material if finish.colour == "white" else f"{finish.colour} {finish.material}"
    return f"{finish.colour} {'lacquer' if finish.material == 'paint' else finish.material}"


def colour(product: Product) -> str:
    """Return the colour a product is called by."""
    return product.lead.colour


def materials(product: Product) -> tuple[str, ...]:
    """Return the names of all its materials, each once, those of bedding left out."""
    parts = product.finishes[:2] if isinstance(product.shape, Bed) else product.finishes
    if isinstance(product.shape, Bed) and product.shape.frame not in ("upholstered",) and product.shape.head != "pads":
        parts = product.finishes[:1]
    return tuple(dict.fromkeys("lacquered wood" if part.material == "paint" else part.words for part in parts))


def title(product: Product) -> str:
    """Return its title: name, what it is, size, colour."""
    noun = f"{product.size} {product.family.design.noun}" if product.size else product.family.design.noun
    if product.size.isdigit():
        noun = f"{product.family.design.noun} {product.size} cm"
    if product.size.endswith("seater"):
        noun = f"{product.size} sofa"
    return f"{product.family.name} {noun}, {colour(product)}"


def description(product: Product, seed: int = 0) -> str:
    """Return a few sentences that fit the product."""
    design, chance = product.family.design, dice(seed, product.sku, "text")
    lead = shown(product.lead)
    others = [shown(part) for part in product.finishes if part != product.lead]
    second = f" with {others[0]}" if others and not isinstance(product.shape, Bed) else ""
    opening = chance.choice(_OPENINGS).format(
        name=product.family.name, style=design.style, noun=_noun(product), finish=f"in {lead}{second}"
    )
    sentences = [_articled(opening), design.text, *_facts(product, chance)]
    if chance.random() < 0.7:
        sentences.append(_CARE[product.lead.material])
    return " ".join(sentences)


def _noun(product: Product) -> str:
    return f"{product.size} sofa" if product.size.endswith("seater") else product.family.design.noun


def _articled(text: str) -> str:
    for vowel in "aeiouAEIO":
        text = text.replace(f" a {vowel}", f" an {vowel}")
        if text.startswith(f"A {vowel}"):
            text = f"An {text[2:]}"
    return text


def _facts(product: Product, chance: Random) -> list[str]:
    shape = product.shape
    facts: list[str] = []
    if isinstance(shape, Sofa | Chair):
        facts.append(f"Seat height {round(shape.seat_height * 100)} cm.")
    elif isinstance(shape, Table) and shape.height > 0.7:
        seats = max(2, round(shape.width / 0.65) * 2) if shape.width != shape.depth else 4
        facts.append(f"Seats {seats}." if product.category == "dining_table" else "Room for a screen and a lamp.")
    elif isinstance(shape, Lamp):
        facts.append(f"Shade {round(shape.shade_width * 100)} cm across.")
    elif isinstance(shape, Case):
        facts.append(f"Takes {round(shape.width * 100)} cm of wall.")
    facts.append(chance.choice(_ADVICE[type(shape).__name__]))
    return facts if chance.random() < 0.8 else facts[1:]
