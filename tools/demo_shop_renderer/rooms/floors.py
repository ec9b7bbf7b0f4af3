"""What floors are covered with."""

from random import Random
from typing import Any

from demo_shop_renderer.build.nodes import BLACK, WHITE, Graph, grey, linear, scaled
from demo_shop_renderer.palette import WOODS
from demo_shop_renderer.props.colours import tone


def floor(kind: str, chance: Random) -> Any:
    """Return a floor's surface."""
    return _FLOORS[kind](Graph("floor"), chance)


def _planks(graph: Graph, chance: Random, wide: float = 0.13) -> Any:
    base = linear(tone(chance, tuple(WOODS.values())))
    where = graph.place(shifted=False)
    if chance.random() < 0.4:
        where = _swapped(graph, where)
    boards = graph.bricks(where, chance.uniform(1.1, 1.9), wide, 0.002, 0.37)
    grain = graph.stretch(graph.shift(where, boards.outputs["Color"], (17, 9, 5)), (1.3, 20, 20))
    veins = graph.noise(grain, 1, 4, 0.6, 0.8)
    colour = graph.ramp(veins, (0.3, scaled(base, 0.7)), (0.5, base), (0.72, scaled(base, 1.15)))
    each = graph.mix(boards.outputs["Color"], scaled(base, 0.82), scaled(base, 1.1))
    colour = graph.mix(boards.outputs["Fac"], graph.mix(0.45, colour, each), scaled(base, 0.25))
    return graph.set(Base_Color=colour, Roughness=chance.uniform(0.3, 0.5), Normal=graph.bump(veins, 0.08, 0.001))


def _wide_planks(graph: Graph, chance: Random) -> Any:
    return _planks(graph, chance, chance.uniform(0.18, 0.26))


def _swapped(graph: Graph, where: Any) -> Any:
    parts, joined = graph.node("SeparateXYZ"), graph.node("CombineXYZ")
    graph.feed(parts.inputs[0], where)
    graph.feed(joined.inputs[0], parts.outputs[1])
    graph.feed(joined.inputs[1], parts.outputs[0])
    return joined.outputs[0]


def _herringbone(graph: Graph, chance: Random) -> Any:
    """Columns of slanting boards, every other column the other way."""
    base = linear(tone(chance, tuple(WOODS.values())))
    where = graph.place(shifted=False)
    parts, column = graph.node("SeparateXYZ"), chance.uniform(0.34, 0.5)
    graph.feed(parts.inputs[0], where)
    fold = graph.math("PINGPONG", parts.outputs[0], column)
    along = graph.math("ADD", parts.outputs[1], fold)
    number = graph.math("FLOOR", graph.math("DIVIDE", along, 0.09))
    side = graph.math("FLOOR", graph.math("DIVIDE", parts.outputs[0], column))
    key = graph.node("CombineXYZ")
    graph.feed(key.inputs[0], number)
    graph.feed(key.inputs[1], side)
    each = graph.node("TexWhiteNoise", noise_dimensions="2D")
    graph.feed(each.inputs["Vector"], key.outputs[0])
    line = graph.math("LESS_THAN", graph.math("FRACT", graph.math("DIVIDE", along, 0.09)), 0.04)
    veins = graph.noise(graph.stretch(graph.shift(where, each.outputs["Color"], (9, 7, 5)), (9, 9, 9)), 1, 4, 0.6, 0.8)
    colour = graph.mix(each.outputs["Value"], scaled(base, 0.78), scaled(base, 1.14))
    colour = graph.mix(0.35, colour, graph.ramp(veins, (0.3, scaled(base, 0.7)), (0.7, scaled(base, 1.1))))
    return graph.set(Base_Color=graph.mix(line, colour, scaled(base, 0.3)), Roughness=0.36)


def _tile_floor(graph: Graph, chance: Random) -> Any:
    side = chance.choice((0.3, 0.45, 0.6))
    tiles = graph.bricks(
        graph.place(shifted=False), side * chance.choice((1, 1, 2)), side, 0.004, chance.choice((0.0, 0.5))
    )
    base = linear(tone(chance, ("#b9b4ab", "#cfc8bb", "#8b8780", "#d8cfc0", "#b8744f", "#5b5d5f")))
    cloud = graph.noise(graph.place(shifted=False), 4, 4, 0.65, 1)
    colour = graph.mix(
        graph.ramp(cloud, (0.35, grey(0.5)), (0.7, BLACK)),
        graph.mix(tiles.outputs["Color"], scaled(base, 0.93), scaled(base, 1.06)),
        scaled(base, 0.75),
    )
    return graph.set(
        Base_Color=graph.mix(tiles.outputs["Fac"], colour, scaled(base, 0.55)),
        Roughness=chance.uniform(0.2, 0.45),
        Normal=graph.bump(tiles.outputs["Fac"], -0.3, 0.003),
    )


def _checker(graph: Graph, chance: Random) -> Any:
    checks = graph.node("TexChecker")
    checks.inputs["Scale"].default_value = 1 / chance.choice((0.2, 0.3, 0.4))
    checks.inputs["Color1"].default_value = linear(tone(chance, ("#efece4", "#e4dccb")))
    checks.inputs["Color2"].default_value = linear(
        tone(chance, ("#2c2d2f", "#6a7a72", "#8a5a44", "#4d5a6d", "#b9a88c"))
    )
    graph.feed(checks.inputs["Vector"], graph.place(shifted=False))
    return graph.set(Base_Color=checks.outputs[0], Roughness=0.28)


def _concrete(graph: Graph, chance: Random) -> Any:
    base = linear(tone(chance, ("#a8a59f", "#8b8a87", "#c4bdb0")))
    cloud = graph.noise(graph.place(shifted=False), 1.6, 5, 0.65, 0.6)
    return graph.set(Base_Color=graph.ramp(cloud, (0.3, scaled(base, 0.78)), (0.7, scaled(base, 1.1))), Roughness=0.4)


def _terrazzo(graph: Graph, chance: Random) -> Any:
    base = linear(tone(chance, ("#e3dfd6", "#cfc9bd", "#8f9290", "#d9c4b8")))
    where = graph.place(shifted=False)
    tones = graph.ramp(
        graph.cells(where, 28, out="Color"),
        (0.0, scaled(base, 0.3)),
        (0.4, linear(tone(chance))),
        (0.7, scaled(base, 0.7)),
        steps=True,
    )
    near = graph.ramp(graph.cells(where, 28), (0.28, WHITE), (0.32, BLACK))
    return graph.set(Base_Color=graph.mix(near, base, tones), Roughness=0.25)


def _carpet(graph: Graph, chance: Random) -> Any:
    base = linear(tone(chance, ("#b9ada0", "#cfc6b8", "#8d9096", "#a39a86", "#6f7a80", "#c7b9a2")))
    pile = graph.noise(graph.place(shifted=False), 220, 2)
    return graph.set(
        Base_Color=graph.ramp(pile, (0.35, scaled(base, 0.7)), (0.65, scaled(base, 1.1))),
        Roughness=1.0,
        Specular_IOR_Level=0.05,
        Normal=graph.bump(pile, 0.6, 0.006),
    )


def _hexagons(graph: Graph, chance: Random) -> Any:
    base = linear(tone(chance, ("#dcd6ca", "#b8744f", "#8f9a94", "#c4a58a", "#4f5a62")))
    where = graph.place((1, 1, 0), shifted=False)
    made = graph.node("TexVoronoi", feature="DISTANCE_TO_EDGE", voronoi_dimensions="2D")
    made.inputs["Scale"].default_value, made.inputs["Randomness"].default_value = 6.0, 0.12
    graph.feed(made.inputs["Vector"], where)
    which = graph.node("TexVoronoi", voronoi_dimensions="2D")
    which.inputs["Scale"].default_value, which.inputs["Randomness"].default_value = 6.0, 0.12
    graph.feed(which.inputs["Vector"], where)
    colour = graph.mix(which.outputs["Color"], scaled(base, 0.8), scaled(base, 1.1))
    gap = graph.ramp(made.outputs["Distance"], (0.02, WHITE), (0.035, BLACK))
    return graph.set(Base_Color=graph.mix(gap, colour, scaled(base, 0.5)), Roughness=0.35)


_FLOORS = {
    "planks": _planks,
    "wide_planks": _wide_planks,
    "herringbone": _herringbone,
    "tiles": _tile_floor,
    "checker": _checker,
    "concrete": _concrete,
    "terrazzo": _terrazzo,
    "carpet": _carpet,
    "hexagons": _hexagons,
}
