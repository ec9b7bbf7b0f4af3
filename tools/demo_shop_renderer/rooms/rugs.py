"""Rugs: a dozen designs, in colours of their own."""

import math
from collections.abc import Callable
from random import Random
from typing import Any

from demo_shop_renderer.build import outlines
from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.nodes import BLACK, WHITE, Colour, Graph, linear, scaled
from demo_shop_renderer.props.colours import tone
from demo_shop_renderer.staging.room import Rug

_GROUNDS = (
    "#e6dfd2",
    "#cdbfa8",
    "#8d8577",
    "#b5533c",
    "#3f4a55",
    "#49606b",
    "#7c8471",
    "#c9a97a",
    "#5a3f3a",
    "#d9c9b8",
    "#2f4a4a",
    "#a8b0b0",
)


def lay(maker: Maker, rug: Rug, chance: Random) -> None:
    """Put a rug on the floor."""
    wide, deep = rug.size
    outline = outlines.ellipse(wide, deep) if rug.round else outlines.rectangle(wide, deep, 0.015)
    skin = _DESIGNS[rug.design](Graph("rug"), chance, (wide, deep))
    maker.board(outline, 0.014, (*rug.at, 0.0085), skin, (0, 0, math.radians(rug.turn)), bevel=0.004)
    if rug.design == "fringe" and not rug.round:
        thread = Graph("fringe").set(Base_Color=linear("#d9cfbd"), Roughness=1.0)
        fringes = Maker(maker.scene, "fringe")
        for side in (-1, 1):
            for i in range(round(deep / 0.03)):
                y = -deep / 2 + 0.015 + 0.03 * i
                fringes.box(
                    (0.06, 0.007, 0.004),
                    (side * (wide / 2 + 0.028), y, 0.004),
                    thread,
                    (0, 0, chance.uniform(-0.25, 0.25)),
                    bevel=0.0,
                )
        fringes.stand((*rug.at, 0.0), math.radians(rug.turn))


def _finish(graph: Graph, colour: Any) -> Any:
    pile = graph.noise(graph.place(), 170, 2)
    worn = graph.mix(0.22, colour, graph.mix(pile, colour, (0.02, 0.02, 0.02, 1.0)))
    return graph.set(Base_Color=worn, Roughness=1.0, Specular_IOR_Level=0.05, Normal=graph.bump(pile, 0.6, 0.008))


def _two(chance: Random) -> tuple[Colour, Colour]:
    one = tone(chance, _GROUNDS)
    other = tone(chance, tuple(colour for colour in _GROUNDS if colour != one))
    return linear(one), linear(other)


def _plain(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    base, _ = _two(chance)
    return _finish(
        graph, graph.ramp(graph.noise(graph.place(), 3, 4, 0.6), (0.3, scaled(base, 0.85)), (0.7, scaled(base, 1.08)))
    )


def _edge(graph: Graph, size: tuple[float, float], wide: float) -> Any:
    """Return 1 within so far of the rug's edge."""
    parts = graph.node("SeparateXYZ")
    graph.feed(parts.inputs[0], graph.place(shifted=False))
    near = [
        graph.math("GREATER_THAN", graph.math("ABSOLUTE", parts.outputs[axis]), size[axis] / 2 - wide)
        for axis in (0, 1)
    ]
    return graph.math("MAXIMUM", *near)


def _border(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    base, line = _two(chance)
    colour = graph.mix(_edge(graph, size, chance.uniform(0.08, 0.16)), base, line)
    if chance.random() < 0.5:
        colour = graph.mix(_edge(graph, size, 0.04), colour, base)
    return _finish(graph, colour)


def _stripes(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    one, two = _two(chance)
    three = linear(tone(chance))
    band = graph.waves(graph.place(shifted=False), chance.uniform(0.8, 3.0), chance.choice("XY"))
    return _finish(graph, graph.ramp(band, (0.0, one), (0.45, two), (0.8, three), steps=True))


def _check(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    one, two = _two(chance)
    where, scale = graph.place(shifted=False), chance.uniform(0.9, 2.4)
    first = graph.ramp(graph.waves(where, scale, "X"), (0.0, one), (0.5, two), steps=True)
    second = graph.ramp(graph.waves(where, scale, "Y"), (0.0, one), (0.5, two), steps=True)
    return _finish(graph, graph.mix(0.5, first, second))


def _berber(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    """Dark lozenges on wool."""
    turned = graph.node("VectorRotate", rotation_type="EULER_XYZ")
    turned.inputs["Rotation"].default_value = (0.0, 0.0, 0.7854)
    graph.feed(turned.inputs["Vector"], graph.place((1, 0.7, 1), shifted=False))
    scale = chance.uniform(0.5, 0.9)
    lines = graph.math(
        "MAXIMUM",
        graph.waves(turned.outputs[0], scale, "X", bend=0.6),
        graph.waves(turned.outputs[0], scale, "Y", bend=0.6),
    )
    ground = linear(tone(chance, ("#ece5d6", "#e0d5c0", "#d9d4ca")))
    line = linear(tone(chance, ("#2f2a28", "#5a4636", "#8a4a3a")))
    return _finish(graph, graph.ramp(lines, (0.0, ground), (0.94, line), steps=True))


def _oriental(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    """A field of small flowers, a medallion, a border."""
    field, border = (
        linear(tone(chance, ("#7d2f2a", "#2f3c5a", "#8a5a3a", "#3f5a4a", "#5a3340"))),
        linear(tone(chance, ("#2a2f45", "#c9b08a", "#6a2a28"))),
    )
    light = linear(tone(chance, ("#d9c39a", "#c98a5a", "#e3d6ba")))
    where = graph.place(shifted=False)
    flowers = graph.ramp(graph.cells(where, 13), (0.22, WHITE), (0.26, BLACK))
    fine = graph.ramp(graph.cells(where, 30), (0.2, WHITE), (0.24, BLACK))
    colour = graph.mix(fine, graph.mix(flowers, field, light), border)
    parts = graph.node("SeparateXYZ")
    graph.feed(parts.inputs[0], where)
    across = [graph.math("DIVIDE", graph.math("ABSOLUTE", parts.outputs[axis]), size[axis] * 0.3) for axis in (0, 1)]
    inside = graph.math("LESS_THAN", graph.math("ADD", *across), 1.0)
    colour = graph.mix(inside, colour, graph.mix(flowers, border, light))
    rim = graph.mix(fine, border, light)
    return _finish(graph, graph.mix(_edge(graph, size, 0.2), colour, graph.mix(_edge(graph, size, 0.03), rim, field)))


def _arcs(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    one, two = _two(chance)
    rings = graph.node("TexWave", wave_type="RINGS", rings_direction="Z")
    rings.inputs["Scale"].default_value = chance.uniform(0.5, 1.2)
    mapping = graph.place(shifted=False)
    graph.feed(rings.inputs["Vector"], graph.shift(mapping, (1.0, 1.0, 0.0), (size[0] * 0.4, size[1] * 0.5, 0)))
    return _finish(
        graph, graph.ramp(rings.outputs[1], (0.0, one), (0.4, two), (0.75, linear(tone(chance))), steps=True)
    )


def _blobs(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    one, two = _two(chance)
    field = graph.noise(graph.place(), chance.uniform(0.8, 1.6), 1, 0.4, 0.8)
    return _finish(
        graph, graph.ramp(field, (0.0, one), (0.47, two), (0.56, linear(tone(chance))), (0.64, one), steps=True)
    )


def _grid(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    base, line = _two(chance)
    where, scale = graph.place(shifted=False), chance.uniform(0.6, 1.6)
    lines = graph.math("MAXIMUM", graph.waves(where, scale, "X"), graph.waves(where, scale, "Y"))
    return _finish(graph, graph.ramp(lines, (0.0, base), (0.985, line), steps=True))


def _rings(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    one, two = _two(chance)
    rings = graph.node("TexWave", wave_type="RINGS", rings_direction="Z")
    rings.inputs["Scale"].default_value = chance.uniform(0.9, 2.6)
    graph.feed(rings.inputs["Vector"], graph.place(shifted=False))
    return _finish(graph, graph.ramp(rings.outputs[1], (0.0, one), (0.5, two), steps=True))


def _zigzag(graph: Graph, chance: Random, size: tuple[float, float]) -> Any:
    one, two = _two(chance)
    parts = graph.node("SeparateXYZ")
    graph.feed(parts.inputs[0], graph.place(shifted=False))
    line = graph.math("ADD", parts.outputs[1], graph.math("PINGPONG", parts.outputs[0], chance.uniform(0.1, 0.2)))
    bands = graph.math("PINGPONG", graph.math("MULTIPLY", line, chance.uniform(3, 6)), 1.0)
    return _finish(graph, graph.ramp(bands, (0.0, one), (0.5, two), (0.8, linear(tone(chance))), steps=True))


_DESIGNS: dict[str, Callable[[Graph, Random, tuple[float, float]], Any]] = {
    "plain": _plain,
    "fringe": _stripes,
    "border": _border,
    "stripes": _stripes,
    "check": _check,
    "berber": _berber,
    "oriental": _oriental,
    "arcs": _arcs,
    "blobs": _blobs,
    "grid": _grid,
    "rings": _rings,
    "zigzag": _zigzag,
}
