"""Colours of things that are no products: any at all, believable ones more often."""

import colorsys
from random import Random
from typing import Any

from demo_shop_renderer.build.nodes import Graph, linear
from demo_shop_renderer.palette import COLOURS, WOODS

_ART = ("#1d2b3a", "#c8553d", "#e3b23c", "#f2e8cf", "#588157", "#6d597a", "#2a9d8f", "#e9c46a", "#f4a261", "#264653")


def tone(chance: Random, table: tuple[str, ...] = tuple(COLOURS.values())) -> str:
    """Return some colour near one of the table."""
    base = chance.choice(table)
    red, green, blue = (int(base[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, light, full = colorsys.rgb_to_hls(red, green, blue)
    hue = (hue + chance.uniform(-0.03, 0.03)) % 1
    light = min(0.95, max(0.05, light + chance.uniform(-0.08, 0.08)))
    full = min(1.0, max(0.0, full * chance.uniform(0.7, 1.2)))
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, light, full))


def art(chance: Random) -> str:
    """Return a colour from a painter's box."""
    return tone(chance, _ART)


def plain(chance: Random, rough: float = 0.6, metal: float = 0.0, colour: str = "") -> Any:
    """Return a plain surface of some colour."""
    shade = linear(colour or tone(chance))
    return Graph("prop").set(Base_Color=shade, Roughness=rough, Metallic=metal, Specular_IOR_Level=0.4)


def timber(chance: Random) -> str:
    """Return the name of some wood."""
    return chance.choice(tuple(WOODS))


def alloy(chance: Random) -> str:
    """Return the name of some metal."""
    return chance.choice(("brass", "black steel", "steel", "white steel", "copper", "chrome"))


def cloth(chance: Random, rough: float = 0.95) -> Any:
    """Return some cloth: plain, striped or checked."""
    graph = Graph("cloth")
    one, two = linear(tone(chance)), linear(tone(chance))
    kind = chance.choice(("plain", "plain", "plain", "stripes", "check", "mottle"))
    where = graph.place(shifted=False)
    weave = graph.noise(graph.place((300, 300, 300)), 1, 1)
    if kind == "plain":
        colour: Any = one
    elif kind == "mottle":
        colour = graph.ramp(graph.noise(where, 14, 3), (0.4, one), (0.6, two))
    else:
        size = chance.uniform(4, 14)
        stripe = graph.ramp(graph.waves(where, size, "X"), (0.0, one), (0.5, two), steps=True)
        colour = stripe
        if kind == "check":
            across = graph.ramp(graph.waves(where, size, "Y"), (0.0, one), (0.5, two), steps=True)
            colour = graph.mix(0.5, stripe, across)
    return graph.set(Base_Color=colour, Roughness=rough, Specular_IOR_Level=0.1, Normal=graph.bump(weave, 0.3, 0.002))
