"""A finish made a material: wood with its grain, cloth with its weave, metal, glass and stone."""

from collections.abc import Callable
from typing import Any

from demo_shop_renderer.build import cloths
from demo_shop_renderer.build.nodes import BLACK, Colour, Graph, grey, linear, scaled
from demo_shop_renderer.palette import Finish

_STRETCH = {"x": (0.75, 9.0, 9.0), "y": (9.0, 0.75, 9.0), "z": (9.0, 9.0, 0.75)}
_FINE = {"x": (5.0, 240.0, 240.0), "y": (240.0, 5.0, 240.0), "z": (240.0, 240.0, 5.0)}
_METALS = {
    "brass": (0.26, 1.0),
    "chrome": (0.1, 1.0),
    "black steel": (0.42, 0.35),
    "white steel": (0.4, 0.0),
    "steel": (0.34, 1.0),
    "copper": (0.28, 1.0),
    "bronze": (0.4, 1.0),
}
"""Roughness and how metallic it is."""


def wood(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return wood whose grain runs along the axis: rings of growth, blotches, fine pores."""
    base = linear(finish.hex)
    black = finish.colour == "black ash"
    dark, light = scaled(base, 0.5 if not black else 0.6), scaled(base, 1.22 if not black else 1.7, 0.004)
    field = graph.noise(graph.place(_STRETCH[axis]), 0.9, 2, 0.5, 0.55)
    rings = graph.math("MULTIPLY_ADD", graph.math("SINE", graph.math("MULTIPLY", field, 34.0)), 0.5, 0.5)
    grain = graph.ramp(rings, (0.0, base), (0.6, light), (0.94, base), (1.0, dark))
    blotch = graph.ramp(graph.noise(graph.place(_STRETCH[axis]), 0.45, 2), (0.3, BLACK), (0.7, grey(0.85)))
    colour = graph.mix(blotch, grain, graph.mix(0.6, grain, base))
    pores = graph.noise(graph.place(_FINE[axis]), 1, 2, 0.6)
    colour = graph.mix(graph.ramp(pores, (0.38, grey(0.9)), (0.55, BLACK)), colour, graph.mix(0.45, colour, dark))
    rough = 0.45 if not black else 0.4
    return graph.set(Base_Color=colour, Roughness=rough, Specular_IOR_Level=0.4, Normal=graph.bump(pores, 0.2, 0.0006))


def paint(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return satin lacquer."""
    bumps = graph.bump(graph.noise(graph.place(), 50, 2), 0.04, 0.001)
    return graph.set(Base_Color=linear(finish.hex), Roughness=0.34, Coat_Weight=0.12, Coat_Roughness=0.15, Normal=bumps)


def plastic(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return moulded plastic."""
    return graph.set(Base_Color=linear(finish.hex), Roughness=0.38, Specular_IOR_Level=0.5)


def ceramic(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return glaze that runs a little uneven."""
    base = linear(finish.hex)
    pool = graph.noise(graph.place((1, 1, 0.5)), 9, 3, 0.6)
    colour = graph.ramp(pool, (0.3, scaled(base, 0.72)), (0.55, base), (0.8, scaled(base, 1.15, 0.01)))
    return graph.set(Base_Color=colour, Roughness=0.14, Coat_Weight=0.5, Coat_Roughness=0.05)


def metal(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return metal, or steel under a coat of powder."""
    rough, metallic = _METALS.get(finish.colour, (0.42, 0.0)) if finish.material == "metal" else (0.42, 0.0)
    return graph.set(Base_Color=linear(finish.hex), Roughness=rough, Metallic=metallic)


def glass(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return glass that lets through and mirrors: real refraction is dark and noisy without caustics."""
    tint = linear(finish.hex)
    clear = graph.node("BsdfTransparent")
    share = 0.95 if finish.colour == "clear" else 0.9
    clear.inputs["Color"].default_value = tuple(part**0.3 for part in tint)  # light passes two faces
    facing = graph.node("LayerWeight")
    facing.inputs["Blend"].default_value = 0.25
    amount = graph.math("MULTIPLY_ADD", graph.math("POWER", facing.outputs["Facing"], 2.0), share * 0.6, 1.0 - share)
    blend = graph.node("MixShader")
    graph.feed(blend.inputs[0], amount)
    graph.tree.links.new(clear.outputs[0], blend.inputs[1])
    mirror = graph.node("BsdfGlossy")
    mirror.inputs["Color"].default_value, mirror.inputs["Roughness"].default_value = scaled(tint, 1.1), 0.08
    graph.tree.links.new(mirror.outputs[0], blend.inputs[2])
    graph.tree.links.new(blend.outputs[0], graph.out.inputs[0])
    return graph.material


def marble(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return polished stone with veins."""
    base = linear(finish.hex)
    light = finish.colour in ("white", "rose")
    vein = scaled(base, 0.42) if light else grey(0.62)
    where = graph.place((1, 1, 1))
    folded = graph.math("ABSOLUTE", graph.math("SUBTRACT", graph.noise(where, 2.2, 5, 0.62, 1.4), 0.5))
    fine = graph.math("ABSOLUTE", graph.math("SUBTRACT", graph.noise(where, 6.0, 4, 0.6, 1.0), 0.5))
    colour = graph.mix(graph.ramp(folded, (0.0, grey(0.75)), (0.05, BLACK)), base, vein)
    colour = graph.mix(graph.ramp(fine, (0.0, grey(0.3)), (0.025, BLACK)), colour, vein)
    cloud = graph.ramp(graph.noise(where, 1.4, 3), (0.3, grey(0.35)), (0.7, BLACK))
    return graph.set(Base_Color=graph.mix(cloud, colour, scaled(base, 0.7)), Roughness=0.16)


def terrazzo(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return chips of stone cast in cement."""
    base = linear(finish.hex)
    chips: Colour = scaled(base, 0.3)
    where = graph.place()
    which = graph.cells(where, 26, out="Color")
    near = graph.cells(where, 26)
    tones = graph.ramp(
        which,
        (0.0, chips),
        (0.35, scaled(base, 0.62)),
        (0.55, linear("#b98a6a")),
        (0.75, linear("#e9e2d6")),
        steps=True,
    )
    colour = graph.mix(graph.ramp(near, (0.0, grey(1.0)), (0.3, grey(1.0)), (0.34, BLACK)), base, tones)
    return graph.set(Base_Color=colour, Roughness=0.3)


def concrete(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return cast concrete with clouds and pinholes."""
    base = linear(finish.hex)
    where = graph.place()
    cloud = graph.noise(where, 3, 4, 0.65, 0.6)
    holes = graph.noise(where, 70, 2)
    colour = graph.ramp(cloud, (0.25, scaled(base, 0.72)), (0.75, scaled(base, 1.15)))
    colour = graph.mix(graph.ramp(holes, (0.26, grey(0.8)), (0.32, BLACK)), colour, scaled(base, 0.4))
    return graph.set(Base_Color=colour, Roughness=0.78, Normal=graph.bump(holes, 0.25, 0.002))


def cane(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return woven cane: pale strands crossing, dark eight-sided holes between."""
    base = linear(finish.hex)
    where = graph.place((1, 1, 1), shifted=False)
    turned = graph.node("VectorRotate", rotation_type="EULER_XYZ")
    turned.inputs["Rotation"].default_value = (0.0, 0.7854, 0.0)
    graph.feed(turned.inputs["Vector"], where)
    one, two = graph.waves(turned.outputs[0], 20, "X"), graph.waves(turned.outputs[0], 20, "Z")
    three = graph.waves(where, 14, "X")
    hole = graph.math("MULTIPLY", graph.math("MULTIPLY", one, two), graph.math("ADD", three, 0.6))
    tone = graph.ramp(
        hole, (0.0, scaled(base, 1.1)), (0.32, base), (0.45, scaled(base, 0.32)), (0.7, scaled(base, 0.16))
    )
    return graph.set(Base_Color=tone, Roughness=0.6, Normal=graph.bump(hole, -0.4, 0.003))


def rattan(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return peeled cane with its knots."""
    base = linear(finish.hex)
    knots = graph.noise(graph.place((6, 6, 6)), 3, 3, 0.6)
    colour = graph.ramp(knots, (0.3, scaled(base, 0.62)), (0.55, base), (0.8, scaled(base, 1.2)))
    return graph.set(Base_Color=colour, Roughness=0.5)


def rope(graph: Graph, finish: Finish, axis: str) -> Any:
    """Return cord wound side by side in four triangles, as a woven seat has it."""
    base = linear(finish.hex)
    where = graph.place(shifted=False)
    one, two = graph.waves(where, 24, "X"), graph.waves(where, 24, "Y")
    parts = graph.node("SeparateXYZ")
    graph.feed(parts.inputs[0], where)
    across = graph.math("SUBTRACT", graph.math("ABSOLUTE", parts.outputs[0]), graph.math("ABSOLUTE", parts.outputs[1]))
    strands = graph.mix(graph.math("GREATER_THAN", across, 0.0), one, two)
    colour = graph.ramp(strands, (0.0, scaled(base, 0.38)), (0.3, base), (1.0, scaled(base, 1.15)))
    return graph.set(Base_Color=colour, Roughness=0.85, Normal=graph.bump(strands, 0.6, 0.005))


MAKERS: dict[str, Callable[[Graph, Finish, str], Any]] = {
    "wood": wood,
    "paint": paint,
    "plastic": plastic,
    "ceramic": ceramic,
    "cased glass": ceramic,
    "metal": metal,
    "coated steel": metal,
    "glass": glass,
    "marble": marble,
    "terrazzo": terrazzo,
    "concrete": concrete,
    "cane": cane,
    "rattan": rattan,
    "rope": rope,
    **cloths.MAKERS,
}
"""Material -> what makes its surface."""


def surface(finish: Finish, axis: str = "z", glow: float = 0.0) -> Any:
    """Return the finish as a material; `glow` is how strongly a lit shade shines."""
    graph = Graph(f"{finish.material} {finish.colour} {axis}")
    if glow:
        graph.set(Emission_Color=cloths.lit(finish), Emission_Strength=glow)
    return MAKERS[finish.material](graph, finish, axis)
