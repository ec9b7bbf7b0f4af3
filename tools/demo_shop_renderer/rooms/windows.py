"""Windows: frame, panes, sill, what is outside, and what hangs before it."""

from random import Random

from demo_shop_renderer.build import soft
from demo_shop_renderer.build.maker import Maker, Scene
from demo_shop_renderer.build.nodes import Graph, linear
from demo_shop_renderer.props.colours import alloy, plain, timber, tone
from demo_shop_renderer.rooms.shell import THICK, along, radiator
from demo_shop_renderer.staging.room import Room, Window


def fit(scene: Scene, wall: Maker, room: Room, window: Window, chance: Random) -> Maker:
    """Build one window into its opening of a wall."""
    x, wide = along(window.wall, window.middle), window.width
    high, middle = window.head - window.sill, (window.head + window.sill) / 2
    made = Maker(scene, "window")
    made.root.location, made.root.rotation_euler = wall.root.location, wall.root.rotation_euler
    frame = plain(chance, 0.4, colour=tone(chance, ("#f2f1ee", "#f2f1ee", "#2c2d2f", "#8a6a45", "#5f7a76")))
    y, bar = THICK * 0.6, 0.05
    for side in (-1, 1):
        made.box((bar, 0.06, high), (x + side * (wide - bar) / 2, y, middle), frame)
        made.box((wide, 0.06, bar), (x, y, middle + side * (high - bar) / 2), frame)
    columns = chance.choice((1, 2, 2, 3)) if wide > 1.2 else chance.choice((1, 2))
    rows = chance.choice((1, 1, 2, 3))
    for i in range(1, columns):
        made.box((0.04, 0.045, high), (x - wide / 2 + wide * i / columns, y, middle), frame)
    for i in range(1, rows):
        made.box((wide, 0.045, 0.03), (x, y, window.sill + high * i / rows), frame)
    if window.sill > 0.3:
        made.box((wide + 0.1, THICK + 0.1, 0.03), (x, 0.0, window.sill - 0.01), frame)
        if chance.random() < 0.4:
            radiator(made, x, wide * 0.8, min(0.55, window.sill - 0.2))
    _outside(made, room, x, wide, middle, high, chance)
    _dress(made, window, room, x, chance)
    return made


def _outside(made: Maker, room: Room, x: float, wide: float, middle: float, high: float, chance: Random) -> None:
    """Hang a shining picture of sky, trees and houses outside."""
    graph = Graph("outside")
    night = room.light == "evening"
    sky = (
        linear(chance.choice(("#10182c", "#1d2740", "#2a2f45")))
        if night
        else linear(tone(chance, ("#dfe9f2", "#f2f3f0", "#c9dcee", "#e8e6dd")))
    )
    ground = (
        linear("#0a0d0c") if night else linear(tone(chance, ("#7d9a6a", "#5f7d5a", "#9aa58a", "#a8907a", "#8a8f94")))
    )
    parts = graph.node("SeparateXYZ")
    where = graph.place(shifted=False)
    graph.feed(parts.inputs[0], where)
    rough = graph.noise(graph.place((1, 1, 1)), chance.uniform(0.6, 1.6), 4, 0.6)
    line = graph.math("ADD", graph.math("MULTIPLY", parts.outputs[2], 0.5), graph.math("MULTIPLY", rough, 1.1))
    level = chance.uniform(0.9, 1.35)
    colour = graph.ramp(graph.math("MULTIPLY", line, 0.5), (0.0, ground), (level / 2, ground), (level / 2 + 0.04, sky))
    skin = graph.set(
        Base_Color=(0, 0, 0, 1),
        Roughness=1.0,
        Emission_Color=colour,
        Emission_Strength=0.5 if night else chance.uniform(2.0, 4.0),
    )
    part = made.box((wide + 5, 0.02, high + 3.4), (x, 1.7, middle), skin, bevel=0.0)
    part.visible_shadow = part.visible_diffuse = part.visible_glossy = False


def _dress(made: Maker, window: Window, room: Room, x: float, chance: Random) -> None:
    wide, head = window.width, window.head
    if window.curtain in ("panels", "sheer"):
        rail = min(room.size[2] - 0.06, head + chance.uniform(0.08, 0.25))
        skin = plain(chance, 0.95, colour=tone(chance)) if window.curtain == "panels" else _voile()
        if window.curtain == "panels" and chance.random() < 0.35:
            skin = _patterned(chance)
        foot = 0.02 if chance.random() < 0.8 or window.sill < 0.3 else window.sill - 0.15
        long = rail - foot - 0.02
        share = chance.uniform(0.22, 0.34) if window.curtain == "panels" else 0.56
        for side in (-1, 1):
            if chance.random() < 0.1:
                continue
            width = wide * share + 0.14
            form = soft.curtain(width, long, max(4.0, width / 0.11), 0.035, chance.randrange(1000))
            at = (x + side * (wide / 2 + 0.14 - width / 2), -0.1, rail - 0.015)
            made.put(form, skin, at, thick=0.003)
        metal = alloy(chance) if chance.random() < 0.6 else timber(chance)
        made.rod((x - wide / 2 - 0.25, -0.1, rail), (x + wide / 2 + 0.25, -0.1, rail), 0.011, metal)
    elif window.curtain == "roller":
        drop = chance.uniform(0.15, 0.6) * (head - window.sill)
        skin = _patterned(chance) if chance.random() < 0.4 else plain(chance, 0.9)
        made.box((wide - 0.04, 0.004, drop), (x, -0.015, head - drop / 2), skin, bevel=0.0)
        made.rod((x - wide / 2 + 0.02, -0.02, head - 0.02), (x + wide / 2 - 0.02, -0.02, head - 0.02), 0.02, skin)
    elif window.curtain == "blinds":
        skin = timber(chance) if chance.random() < 0.5 else plain(chance, 0.5)
        drop = chance.uniform(0.3, 1.0) * (head - window.sill)
        tilt = chance.uniform(0.15, 0.9)
        for i in range(int(drop / 0.045)):
            made.box(
                (wide - 0.04, 0.045, 0.003),
                (x, -0.005, head - 0.04 - 0.045 * i),
                skin,
                (tilt, 0, 0),
                axis="x",
                bevel=0.0,
            )


def _voile() -> object:
    graph = Graph("voile")
    clear, cloth, blend = graph.node("BsdfTransparent"), graph.node("BsdfTranslucent"), graph.node("MixShader")
    cloth.inputs["Color"].default_value = linear("#f4f1ea")
    blend.inputs[0].default_value = 0.55
    graph.tree.links.new(clear.outputs[0], blend.inputs[1])
    graph.tree.links.new(cloth.outputs[0], blend.inputs[2])
    graph.tree.links.new(blend.outputs[0], graph.out.inputs[0])
    return graph.material


def _patterned(chance: Random) -> object:
    graph = Graph("printed")
    one, two = linear(tone(chance)), linear(tone(chance))
    where = graph.place(shifted=False)
    if chance.random() < 0.5:
        pattern = graph.waves(where, chance.uniform(1.5, 5), chance.choice("XZ"))
    else:
        pattern = graph.cells(where, chance.uniform(5, 11))
    return graph.set(
        Base_Color=graph.ramp(pattern, (0.0, one), (chance.uniform(0.3, 0.5), two), steps=True), Roughness=0.95
    )
