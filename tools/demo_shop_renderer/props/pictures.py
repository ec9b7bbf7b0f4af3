"""Pictures that hang on walls, each painted anew."""

from random import Random
from typing import Any

from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.nodes import Graph, grey, linear
from demo_shop_renderer.props.colours import alloy, art, plain, timber

Size = tuple[float, float]


def canvas(chance: Random) -> Any:
    """Return a picture's surface: abstract, landscape, stripes, dots or a photograph's greys."""
    graph = Graph("art")
    colours = [linear(art(chance)) for _ in range(4)]
    where = graph.place((1, 1, 1))
    kind = chance.choice(("shapes", "shapes", "hills", "stripes", "dots", "wash", "photo"))
    if kind == "shapes":
        field = graph.noise(where, chance.uniform(1.5, 4), 1, 0.4, chance.uniform(0, 2))
        colour = graph.ramp(field, *zip((0.0, 0.43, 0.5, 0.57), colours, strict=True), steps=True)
    elif kind == "hills":
        parts = graph.node("SeparateXYZ")
        graph.feed(parts.inputs[0], graph.place(shifted=False))
        ground = graph.math(
            "ADD", graph.math("MULTIPLY", parts.outputs[2], 1.6), graph.noise(graph.place((2, 1, 0.3)), 2, 3)
        )
        colour = graph.ramp(ground, *zip((0.0, 0.42, 0.55, 0.7), colours, strict=True), steps=True)
    elif kind == "stripes":
        colour = graph.ramp(
            graph.waves(where, chance.uniform(1, 4), chance.choice("XZ")),
            *zip((0.0, 0.35, 0.6, 0.85), colours, strict=True),
            steps=True,
        )
    elif kind == "dots":
        colour = graph.ramp(
            graph.cells(where, chance.uniform(4, 12)),
            (0.0, colours[0]),
            (chance.uniform(0.2, 0.45), colours[1]),
            steps=True,
        )
    elif kind == "wash":
        colour = graph.ramp(
            graph.noise(where, chance.uniform(1, 3), 5, 0.6, 1), (0.3, colours[0]), (0.5, colours[1]), (0.7, colours[2])
        )
    else:
        colour = graph.ramp(
            graph.noise(where, chance.uniform(1.5, 4), 6, 0.6, 0.5), (0.3, grey(0.02)), (0.7, grey(0.7))
        )
    return graph.set(Base_Color=colour, Roughness=0.35)


def picture(maker: Maker, chance: Random, size: Size, shift: float = 0.0, rise: float = 0.0) -> None:
    """A framed picture, with or without a mount."""
    wide, high = size
    rim = chance.choice(
        (timber(chance), alloy(chance), plain(chance, 0.4, colour=chance.choice(("#f2f0ea", "#1c1c1c"))))
    )
    bar = chance.uniform(0.01, 0.03)
    maker.box((wide, 0.024, high), (shift, -0.013, rise), rim, bevel=0.003)
    inner = (wide - 2 * bar, high - 2 * bar)
    share = chance.choice((1.0, 0.62, 0.75))
    if share < 1:
        maker.box((inner[0], 0.003, inner[1]), (shift, -0.0255, rise), plain(chance, 0.9, colour="#f4f2ec"), bevel=0.0)
    maker.box((inner[0] * share, 0.004, inner[1] * share), (shift, -0.0265, rise), canvas(chance), bevel=0.0)


def poster(maker: Maker, chance: Random, size: Size) -> None:
    """A poster or canvas without a frame."""
    maker.box((size[0], chance.choice((0.004, 0.03)), size[1]), (0, -0.016, 0), canvas(chance), bevel=0.001)


def pair(maker: Maker, chance: Random, size: Size) -> None:
    """Two or three pictures side by side."""
    count = chance.choice((2, 2, 3))
    each = size[0] / count
    for i in range(count):
        picture(maker, chance, (each - 0.05, size[1]), -size[0] / 2 + each * (i + 0.5))


def gallery(maker: Maker, chance: Random, size: Size) -> None:
    """A cluster of pictures of different sizes."""
    x = -size[0] / 2
    while x < size[0] / 2 - 0.18:
        wide = chance.uniform(0.2, 0.4)
        low = -size[1] / 2
        while low < size[1] / 2 - 0.2:
            high = min(chance.uniform(0.22, 0.5), size[1] / 2 - low)
            if high > 0.16:
                picture(maker, chance, (wide - 0.03, high - 0.03), x + wide / 2, low + high / 2)
            low += high
        x += wide
