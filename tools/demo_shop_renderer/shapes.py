"""What the furniture is made of, as plain data: one frozen set of parameters for each way of building.

Lengths are metres. A builder in `build` makes geometry from a shape; nothing here knows how.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The room a product takes up; the front faces the viewer of a packshot."""

    width: float
    depth: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Sofa(Shape):
    """A sofa or an armchair.

    Args:
        build: upholstered, wooden, tubular, curved, tub, egg, sling, papasan or daybed.
        arms: none, track, rolled, slope, pad, flare, round or wood.
        back: box, pillow, tight, channel, tufted, wing, camel, block or grid.
        base: box, skirt, plinth or slim.
        chaise: which end is drawn out into a chaise: -1 left, 1 right, 0 neither.
        scatter: loose cushions.
    """

    build: str = "upholstered"
    arms: str = "track"
    arm_width: float = 0.16
    arm_height: float = 0.62
    back: str = "box"
    seats: int = 1
    cushions: int = 1
    seat_height: float = 0.43
    soft: float = 0.7
    base: str = "box"
    legs: str = "tapered"
    leg_height: float = 0.14
    piping: bool = False
    chaise: int = 0
    scatter: int = 0


@dataclass(frozen=True, kw_only=True)
class Chair(Shape):
    """A chair or a stool.

    Args:
        build: wooden, shell, cantilever, parsons, bent, pedestal, metal, tub, drum, pouf, crossed, step or round.
        back: none, spindle, ladder, slats, cane, open, cross, wishbone, panel, pad, low or comb.
        seat: wood, pad, cane, woven, saddle or dish.
        legs: tapered, turned, straight, splayed, hairpin, sled, castors, tripod, bent or block.
        stretcher: none, box, h or ring.
    """

    build: str = "wooden"
    back: str = "none"
    seat: str = "wood"
    legs: str = "tapered"
    arms: bool = False
    seat_height: float = 0.46
    stretcher: str = "none"
    flare: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Table(Shape):
    """A dining table, a coffee table or a desk.

    Args:
        top: rectangle, rounded, oval, round, pebble, boat, tray or planks.
        legs: straight, tapered, turned, splayed, hairpin, sled, x, trestle, sawhorse, pedestal, tulip, drum, fluted,
            double, slab, tripod, waterfall, lift, cross, plinth, steps or pedestals.
        shelf: none, solid or slats.
        storage: none, drawers, left, both, hutch, cubbies or box.
    """

    top: str = "rectangle"
    thick: float = 0.03
    legs: str = "tapered"
    apron: float = 0.0
    shelf: str = "none"
    storage: str = "none"
    drawers: int = 0
    handle: str = "knob"
    nested: bool = False
    inset: float = 0.06


@dataclass(frozen=True, kw_only=True)
class Case(Shape):
    """A bookcase, a cabinet or a wardrobe.

    Args:
        build: box, posts, ladder, etagere, zigzag, arch, tower or spindles.
        grid: columns from the left, split by "|"; in each the rows from the top: o open, d door, w drawer, g glass
            door, c cane door, t tambour, m mirror door, x nothing; a number after a letter is its share of the height,
            a number before a column with ":" its share of the width.
        front: flat, shaker, slats, fluted, arches or bevel.
        handle: knob, bar, cup, ring, slot, long or none.
    """

    build: str = "box"
    grid: str = "o o o"
    front: str = "flat"
    handle: str = "knob"
    legs: str = "plinth"
    leg_height: float = 0.07
    board: float = 0.022
    overhang: float = 0.0
    backed: bool = True


@dataclass(frozen=True, kw_only=True)
class Bed(Shape):
    """A bed; its width is that of the frame.

    Args:
        frame: wood, upholstered, metal, platform, canopy or drawers.
        head: none, slats, spindles, panel, planks, channel, tufted, winged, bars, sleigh, cane, arch, shelf or pads.
        foot: none, low, bars or sleigh.
        spread: how the bedding lies: plain, throw, quilt or folded.
    """

    frame: str = "wood"
    head: str = "panel"
    foot: str = "none"
    legs: str = "tapered"
    head_height: float = 1.0
    rail: float = 0.3
    spread: str = "throw"
    pillows: int = 2


@dataclass(frozen=True, kw_only=True)
class Lamp(Shape):
    """A floor lamp or a table lamp.

    Args:
        stand: pole, tripod, arc, angle, column, gourd, candlestick, ball, block, bottle, stack, stem, frame, hook,
            swan, branch, shelf or none.
        shade: drum, cone, empire, globe, dome, bowl, lantern, pleated, spot, bankers, mushroom, bulb, ring or cage.
        base: disc, block, tripod or none.
    """

    stand: str = "pole"
    shade: str = "drum"
    base: str = "disc"
    shade_width: float = 0.4
    shade_height: float = 0.28
    base_width: float = 0.26
    lights: int = 1


def level(shape: Shape) -> float:
    """Return how high the surface lies on which things may stand: of a desk, that of its top, not of what is on it."""
    if isinstance(shape, Table) and shape.storage in ("hutch", "organiser"):
        return 0.76
    return shape.height
