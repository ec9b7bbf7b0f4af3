"""What walls and floors are covered with. Walls are told where they are by their own x (along) and z (up)."""

from random import Random
from typing import Any

from demo_shop_renderer.build.nodes import BLACK, WHITE, Graph, linear, scaled
from demo_shop_renderer.props.colours import tone

_SOFT = ("#ece7dc", "#e2e4e0", "#d9cfc0", "#efece4", "#cfd6d2", "#e6d8cc", "#d3dbe0", "#e8e0cf")
_STRONG = (
    "#8b9a92",
    "#a9b4b5",
    "#5f7a76",
    "#b98c7a",
    "#6d7f93",
    "#c9a58a",
    "#3f5560",
    "#7d8a6a",
    "#a8646a",
    "#d0b06a",
    "#4a4f55",
)


def wall(kind: str, chance: Random) -> Any:
    """Return a wall's surface; those made of boards are painted here and get their boards from `shell`."""
    paint = tone(chance, _SOFT if chance.random() < 0.6 else _STRONG)
    return _WALLS.get(kind, _paint)(Graph("wall"), chance, paint)


def _paint(graph: Graph, chance: Random, paint: str) -> Any:
    rough = graph.noise(graph.place(shifted=False), 90, 2)
    return graph.set(
        Base_Color=linear(paint), Roughness=0.85, Specular_IOR_Level=0.2, Normal=graph.bump(rough, 0.1, 0.002)
    )


def _two_tone(graph: Graph, chance: Random, paint: str) -> Any:
    parts = graph.node("SeparateXYZ")
    graph.feed(parts.inputs[0], graph.place(shifted=False))
    above = graph.math("GREATER_THAN", parts.outputs[2], chance.choice((1.0, 1.1, 1.3, 2.0)))
    other = linear(tone(chance, _STRONG))
    return graph.set(Base_Color=graph.mix(above, other, linear(tone(chance, _SOFT))), Roughness=0.8)


def _stripes(graph: Graph, chance: Random, paint: str) -> Any:
    base = linear(paint)
    band = graph.waves(graph.place(shifted=False), chance.uniform(1.2, 5.0), "X")
    other = scaled(base, chance.choice((0.8, 0.9, 0.65))) if chance.random() < 0.6 else linear(tone(chance))
    return graph.set(
        Base_Color=graph.ramp(band, (0.0, base), (chance.uniform(0.4, 0.7), other), steps=True), Roughness=0.8
    )


def _motif(graph: Graph, chance: Random, paint: str) -> Any:
    """Dots or drops in rows."""
    base, spot = linear(paint), linear(tone(chance))
    size = chance.uniform(5, 12)
    where = graph.place(shifted=False)
    one, two = graph.waves(where, size, "X"), graph.waves(where, size * chance.choice((0.6, 1.0)), "Z")
    dots = graph.math("MULTIPLY", one, two)
    return graph.set(
        Base_Color=graph.ramp(dots, (0.0, base), (chance.uniform(0.6, 0.82), spot), steps=True), Roughness=0.8
    )


def _leaves(graph: Graph, chance: Random, paint: str) -> Any:
    """Foliage, by cells stretched in two ways."""
    base, one, two = linear(paint), linear(tone(chance, _STRONG)), linear(tone(chance))
    size = chance.uniform(5, 11)
    near = graph.cells(graph.place((1.0, 1.0, 0.45), shifted=False), size)
    other = graph.cells(graph.place((0.5, 1.0, 1.1), shifted=False), size * 1.3)
    colour = graph.mix(graph.ramp(near, (0.28, WHITE), (0.33, BLACK)), base, one)
    colour = graph.mix(graph.ramp(other, (0.18, WHITE), (0.22, BLACK)), colour, two)
    return graph.set(Base_Color=colour, Roughness=0.85)


def _trellis(graph: Graph, chance: Random, paint: str) -> Any:
    base = linear(paint)
    turned = graph.node("VectorRotate", rotation_type="EULER_XYZ")
    turned.inputs["Rotation"].default_value = (0.0, 0.7854, 0.0)
    graph.feed(turned.inputs["Vector"], graph.place(shifted=False))
    size = chance.uniform(1.8, 4)
    lines = graph.math("MAXIMUM", graph.waves(turned.outputs[0], size, "X"), graph.waves(turned.outputs[0], size, "Z"))
    line = linear(tone(chance)) if chance.random() < 0.5 else scaled(base, 0.72)
    return graph.set(Base_Color=graph.ramp(lines, (0.0, base), (0.96, line), steps=True), Roughness=0.8)


def _upright(graph: Graph) -> Any:
    """Return a wall's own place with z as the second value, which patterns in the plane want."""
    parts, joined = graph.node("SeparateXYZ"), graph.node("CombineXYZ")
    graph.feed(parts.inputs[0], graph.place(shifted=False))
    graph.feed(joined.inputs[0], parts.outputs[0])
    graph.feed(joined.inputs[1], parts.outputs[2])
    return joined.outputs[0]


def _brick(graph: Graph, chance: Random, paint: str) -> Any:
    bricks = graph.bricks(_upright(graph), 0.24, 0.075, 0.008)
    base = linear(tone(chance, ("#a5563c", "#8d4a38", "#e8e4dc", "#b98a6a", "#6a5a54", "#c9bfae")))
    tones = graph.ramp(bricks.outputs["Color"], (0.0, scaled(base, 0.66)), (1.0, scaled(base, 1.2)))
    rough = graph.noise(graph.place(shifted=False), 40, 3)
    colour = graph.mix(
        bricks.outputs["Fac"], graph.mix(0.25, tones, graph.mix(rough, scaled(base, 0.5), base)), linear("#b9b2a6")
    )
    deep = graph.math("SUBTRACT", graph.math("MULTIPLY", rough, 0.3), bricks.outputs["Fac"])
    return graph.set(Base_Color=colour, Roughness=0.9, Normal=graph.bump(deep, 0.6, 0.008))


def _tiles(graph: Graph, chance: Random, paint: str) -> Any:
    long = chance.random() < 0.6
    tiles = graph.bricks(_upright(graph), 0.2 if long else 0.1, 0.1 if not long else 0.075, 0.003, 0.5 if long else 0.0)
    base = linear(tone(chance, (*_SOFT, "#4c6a78", "#2f5c4a", "#93a285", "#b8654a")))
    tones = graph.ramp(tiles.outputs["Color"], (0.0, scaled(base, 0.85)), (1.0, scaled(base, 1.1)))
    colour = graph.mix(tiles.outputs["Fac"], tones, linear(chance.choice(("#d8d4cc", "#6a6a68"))))
    return graph.set(Base_Color=colour, Roughness=0.18, Normal=graph.bump(tiles.outputs["Fac"], -0.4, 0.004))


def _plaster(graph: Graph, chance: Random, paint: str) -> Any:
    base = linear(paint)
    cloud = graph.noise(graph.place(shifted=False), 2.2, 5, 0.65, 0.8)
    colour = graph.ramp(cloud, (0.3, scaled(base, 0.72)), (0.7, scaled(base, 1.12)))
    return graph.set(Base_Color=colour, Roughness=0.9, Normal=graph.bump(cloud, 0.2, 0.01))


_WALLS = {
    "paint": _paint,
    "two_tone": _two_tone,
    "stripes": _stripes,
    "motif": _motif,
    "leaves": _leaves,
    "trellis": _trellis,
    "brick": _brick,
    "tiles": _tiles,
    "plaster": _plaster,
}
