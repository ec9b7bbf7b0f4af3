"""Surfaces of cloth, leather and lampshades."""

from collections.abc import Callable
from typing import Any

from demo_shop_renderer.build.nodes import BLACK, Colour, Graph, grey, linear, scaled
from demo_shop_renderer.palette import Finish


def lit(finish: Finish) -> Colour:
    """Return the colour a shade of this finish shines in: its own, warmed."""
    red, green, blue, _ = linear(finish.hex)
    return min(1.0, red * 0.6 + 0.5), min(1.0, green * 0.6 + 0.3), min(1.0, blue * 0.6 + 0.14), 1.0


def weave(graph: Graph, finish: Finish, size: float, contrast: float) -> Any:
    """Return two sets of threads crossing, with a slight mottle."""
    base = linear(finish.hex)
    dark, light = scaled(base, 1 - contrast), scaled(base, 1 + contrast * 0.5, 0.01)
    one = graph.noise(graph.place((size, size / 7, size / 7)), 1, 1)
    two = graph.noise(graph.place((size / 7, size, size)), 1, 1)
    threads = graph.math("MULTIPLY", graph.math("ADD", one, two), 0.5)
    colour = graph.ramp(threads, (0.36, dark), (0.5, base), (0.64, light))
    mottle = graph.ramp(graph.noise(graph.place(), 3, 3, 0.6), (0.35, grey(0.22)), (0.7, BLACK))
    return graph.set(
        Base_Color=graph.mix(mottle, colour, dark),
        Roughness=0.92,
        Specular_IOR_Level=0.15,
        Sheen_Weight=0.2,
        Sheen_Roughness=0.4,
        Sheen_Tint=light,
        Normal=graph.bump(threads, 0.35, 0.002),
    )


def linen(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return linen: uneven threads."""
    return weave(graph, finish, 640, 0.26)


def cotton(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return cotton: fine and even."""
    return weave(graph, finish, 1100, 0.2)


def wool(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return thick wool, flecked."""
    return weave(graph, finish, 460, 0.36)


def boucle(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return loops of yarn."""
    base = linear(finish.hex)
    loops = graph.cells(graph.place(), 105)
    colour = graph.ramp(loops, (0.0, scaled(base, 1.15, 0.01)), (0.5, base), (0.95, scaled(base, 0.7)))
    normal = graph.bump(loops, -0.8, 0.01)
    return graph.set(
        Base_Color=colour, Roughness=0.95, Specular_IOR_Level=0.1, Sheen_Weight=0.25, Sheen_Roughness=0.5, Normal=normal
    )


def velvet(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return a pile that is dark where looked into and bright at its edges."""
    base = linear(finish.hex)
    brushed = graph.noise(graph.place(), 11, 3, 0.6, 0.6)
    colour = graph.ramp(brushed, (0.25, scaled(base, 0.78)), (0.55, base), (0.85, scaled(base, 1.14, 0.006)))
    return graph.set(
        Base_Color=colour,
        Roughness=0.85,
        Specular_IOR_Level=0.2,
        Sheen_Weight=0.6,
        Sheen_Roughness=0.3,
        Sheen_Tint=scaled(base, 1.6, 0.04),
        Normal=graph.bump(brushed, 0.08, 0.004),
    )


def corduroy(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return ribs from top to bottom."""
    base = linear(finish.hex)
    ribs = graph.waves(graph.place((1, 0.08, 0.08), shifted=False), 34, "X")
    colour = graph.ramp(ribs, (0.05, scaled(base, 0.42)), (0.5, base), (1.0, scaled(base, 1.22, 0.01)))
    return graph.set(
        Base_Color=colour,
        Roughness=0.9,
        Specular_IOR_Level=0.15,
        Sheen_Weight=0.5,
        Sheen_Tint=scaled(base, 1.4, 0.03),
        Normal=graph.bump(ribs, 0.7, 0.006),
    )


def leather(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return leather: pebbled, darker in its creases."""
    base = linear(finish.hex)
    pebbles = graph.cells(graph.place(), 120, "DISTANCE_TO_EDGE")
    creases = graph.noise(graph.place(), 7, 4, 0.6, 1.2)
    colour = graph.mix(graph.ramp(creases, (0.35, grey(0.7)), (0.6, BLACK)), base, scaled(base, 0.5))
    return graph.set(
        Base_Color=colour,
        Specular_IOR_Level=0.45,
        Roughness=graph.ramp(creases, (0.3, grey(0.5)), (0.7, grey(0.34))),
        Normal=graph.bump(creases, 0.22, 0.01, graph.bump(pebbles, 0.25, 0.0015)),
    )


def shade(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return cloth or paper with light behind it."""
    base = linear(finish.hex)
    slubs = graph.noise(graph.place((260, 260, 18)), 1, 1)
    return graph.set(
        Base_Color=graph.ramp(slubs, (0.3, scaled(base, 0.86)), (0.7, scaled(base, 1.06))),
        Roughness=0.9,
        Specular_IOR_Level=0.1,
        Normal=graph.bump(slubs, 0.15, 0.001),
    )


def opal(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return milk glass."""
    return graph.set(Base_Color=linear("#f4f1ea"), Roughness=0.15, Coat_Weight=0.4, Coat_Roughness=0.05)


MAKERS: dict[str, Callable[[Graph, Finish, str], Any]] = {
    "linen": linen,
    "cotton": cotton,
    "wool": wool,
    "boucle": boucle,
    "velvet": velvet,
    "corduroy": corduroy,
    "leather": leather,
    "shade cloth": shade,
    "paper": shade,
    "opal glass": opal,
}
