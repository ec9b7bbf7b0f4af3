"""Colours and materials: what a finish may be, what it is called, and how far two colours lie apart."""

import math
from dataclasses import dataclass
from functools import cache

COLOURS = {
    "white": "#dedcd6",
    "cream": "#dbcdb0",
    "oatmeal": "#c4b59c",
    "sand": "#c8b08c",
    "taupe": "#9c8b7a",
    "stone": "#a8a49c",
    "light grey": "#bfc0be",
    "grey": "#85878a",
    "charcoal": "#45474b",
    "black": "#232325",
    "ink": "#232d45",
    "navy": "#2a3d66",
    "denim": "#4c6a94",
    "sky blue": "#8fb1cc",
    "petrol": "#1f5561",
    "teal": "#2f7f7e",
    "aqua": "#93bdb5",
    "sage": "#93a285",
    "moss": "#68713c",
    "olive": "#7d7645",
    "forest": "#22503a",
    "emerald": "#12694c",
    "mustard": "#cf9a2c",
    "lemon": "#e3c957",
    "ochre": "#b9803a",
    "apricot": "#dda273",
    "rust": "#a6522b",
    "terracotta": "#b8654a",
    "coral": "#d9705c",
    "red": "#a92f2b",
    "burgundy": "#692433",
    "blush": "#dbb1a4",
    "rose": "#bd7f80",
    "lilac": "#a99bbd",
    "plum": "#573552",
    "chocolate": "#4f362a",
    "tan": "#ad7a4a",
    "cognac": "#8f4d26",
}
WOODS = {
    "oak": "#b98f5e",
    "light oak": "#d1b184",
    "walnut": "#67452f",
    "birch": "#dec49a",
    "ash": "#d3bf9d",
    "teak": "#9c6337",
    "cherry": "#874931",
    "wenge": "#3d2a20",
    "pine": "#d6a868",
    "smoked oak": "#705a45",
    "white oak": "#e2d8c6",
    "black ash": "#2b2827",
}
METALS = {
    "brass": "#c49a52",
    "chrome": "#d3d5d8",
    "black steel": "#1d1d1f",
    "white steel": "#e6e5e1",
    "steel": "#94979b",
    "copper": "#b86f4c",
    "bronze": "#6b5138",
}
_NEUTRAL = ("white", "cream", "oatmeal", "stone", "light grey", "grey", "charcoal", "taupe", "sand")
_DEEP = ("ink", "navy", "denim", "petrol", "teal", "forest", "moss", "olive", "burgundy", "plum", "rust", "chocolate")
_BRIGHT = ("mustard", "ochre", "terracotta", "coral", "red", "blush", "rose", "sky blue", "aqua", "sage", "lilac")

POOLS: dict[str, tuple[str, ...]] = {
    "linen": (*_NEUTRAL, "denim", "petrol", "sage", "olive", "terracotta", "blush", "sky blue", "mustard", "ink"),
    "wool": (*_NEUTRAL, "navy", "teal", "moss", "forest", "rust", "mustard", "burgundy", "denim", "coral"),
    "boucle": ("white", "cream", "oatmeal", "grey", "charcoal", "moss", "ochre", "rose", "sage", "denim"),
    "velvet": (*_DEEP, "emerald", "blush", "mustard", "rose", "lilac", "grey", "sky blue", "red", "coral"),
    "corduroy": ("cream", "sand", "tan", "rust", "olive", "forest", "petrol", "chocolate", "navy", "rose", "mustard"),
    "leather": ("cognac", "tan", "chocolate", "black", "burgundy", "cream", "forest", "taupe", "ink"),
    "cotton": ("white", "oatmeal", "light grey", "sky blue", "denim", "sage", "terracotta", "ink", "lemon", "rose"),
    "paint": (
        "white",
        "cream",
        "light grey",
        "taupe",
        "charcoal",
        "black",
        *_BRIGHT,
        "navy",
        "petrol",
        "forest",
        "moss",
    ),
    "plastic": ("white", "black", "grey", "sand", "lemon", "red", "teal", "sage", "coral", "sky blue", "ink", "moss"),
    "ceramic": ("white", "black", "sand", "teal", "navy", "emerald", "ochre", "terracotta", "sage", "rose", "sky blue"),
    "coated steel": ("white", "black", "sage", "mustard", "red", "navy", "teal", "coral", "forest", "lilac", "sand"),
    "paper": ("white", "cream", "sand", "blush", "aqua"),
    "shade cloth": ("white", "cream", "oatmeal", "charcoal", "mustard", "sage", "navy", "blush", "terracotta"),
    "concrete": ("light grey", "grey", "charcoal", "sand", "terracotta"),
    "terrazzo": ("white", "blush", "grey", "sage", "charcoal"),
    "marble": ("white", "forest", "black", "rose"),
    "glass": ("clear", "smoke", "amber", "green"),
    "opal glass": ("white",),
    "cased glass": ("emerald", "ochre", "navy", "burgundy", "teal"),
    "cane": ("natural",),
    "rattan": ("natural", "honey", "black", "white"),
    "rope": ("natural", "black", "white", "olive", "denim"),
    "wood": tuple(WOODS),
    "metal": tuple(METALS),
}
"""Material -> the colours it is made in."""

SPECIAL = {
    ("glass", "clear"): "#dfe6e4",
    ("glass", "smoke"): "#4b4a4a",
    ("glass", "amber"): "#b3702c",
    ("glass", "green"): "#4d7a60",
    ("cane", "natural"): "#cfa871",
    ("rattan", "natural"): "#c99e62",
    ("rattan", "honey"): "#a86f36",
    ("rope", "natural"): "#cdb48a",
    ("marble", "forest"): "#2c4a3d",
    ("marble", "rose"): "#c9a199",
}
"""Colours that mean something else in some material."""


@dataclass(frozen=True)
class Finish:
    """A material in a colour."""

    material: str
    colour: str

    @property
    def hex(self) -> str:
        """The colour as #rrggbb."""
        for table in (WOODS if self.material == "wood" else {}, METALS if self.material == "metal" else {}, COLOURS):
            if (self.material, self.colour) not in SPECIAL and self.colour in table:
                return table[self.colour]
        return SPECIAL[self.material, self.colour]

    @property
    def words(self) -> str:
        """What the material is called in a feed: woods and metals by their own name."""
        return self.colour if self.material in ("wood", "metal") else self.material


def finish(text: str) -> Finish:
    """Return the finish written as "material:colour", or as the name of a wood or a metal alone.

    Raises:
        KeyError: there is no such material or colour.
    """
    material, _, colour = text.partition(":")
    if not colour:
        material, colour = ("wood" if text in WOODS else "metal"), text
    if colour not in POOLS[material]:
        raise KeyError(text)
    return Finish(material, colour)


@cache
def lab(hexadecimal: str) -> tuple[float, float, float]:
    """Return a colour's CIE Lab values."""
    parts = (int(hexadecimal[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def apart(one: Finish, other: Finish) -> float:
    """Return how different two finishes look, as a distance in Lab."""
    return math.dist(lab(one.hex), lab(other.hex))
