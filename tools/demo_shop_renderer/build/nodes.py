"""A material's nodes, written down as sums: each method adds a node and returns its outlet."""

from typing import Any

from demo_shop_renderer import blender

Colour = tuple[float, float, float, float]
BLACK: Colour = (0.0, 0.0, 0.0, 1.0)
WHITE: Colour = (1.0, 1.0, 1.0, 1.0)


def linear(hexadecimal: str) -> Colour:
    """Return a colour written #rrggbb as light."""
    parts = (int(hexadecimal[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return red, green, blue, 1.0


def scaled(colour: Colour, by: float, add: float = 0.0) -> Colour:
    """Return a colour made lighter or darker."""
    red, green, blue = (min(1.0, part * by + add) for part in colour[:3])
    return red, green, blue, 1.0


def grey(value: float) -> Colour:
    """Return a grey."""
    return value, value, value, 1.0


class Graph:
    """One material, with a principled shader at its end."""

    def __init__(self, name: str) -> None:
        self.material = blender.bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.out = self.node("OutputMaterial")
        self.shader = self.node("BsdfPrincipled")
        self.tree.links.new(self.shader.outputs[0], self.out.inputs[0])

    def node(self, kind: str, **settings: Any) -> Any:
        """Add a node."""
        made = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in settings.items():
            setattr(made, name, value)
        return made

    def feed(self, inlet: Any, value: Any) -> None:
        """Link an outlet to the inlet, or set it to a value."""
        if hasattr(value, "is_linked"):
            self.tree.links.new(value, inlet)
        else:
            inlet.default_value = value

    def set(self, **values: Any) -> Any:
        """Give the shader its values, by the names of its inlets, and return the material."""
        for name, value in values.items():
            self.feed(self.shader.inputs[name.replace("_", " ")], value)
        return self.material

    def place(self, scale: tuple[float, float, float] = (1, 1, 1), shifted: bool = True) -> Any:
        """Return where a point lies in its object, stretched; `shifted` makes no two objects alike."""
        where, mapping = self.node("TexCoord"), self.node("Mapping")
        mapping.inputs["Scale"].default_value = scale
        self.tree.links.new(where.outputs["Object"], mapping.inputs["Vector"])
        if shifted:
            each, away = self.node("ObjectInfo"), self.node("VectorMath", operation="SCALE")
            away.inputs[0].default_value = (37, 53, 71)
            self.tree.links.new(each.outputs["Random"], away.inputs["Scale"])
            self.tree.links.new(away.outputs[0], mapping.inputs["Location"])
        return mapping.outputs[0]

    def noise(self, where: Any, scale: float = 5, detail: float = 2, rough: float = 0.5, bend: float = 0) -> Any:
        """Return cloudy noise."""
        made = self.node("TexNoise")
        for name, value in (("Scale", scale), ("Detail", detail), ("Roughness", rough), ("Distortion", bend)):
            made.inputs[name].default_value = value
        self.feed(made.inputs["Vector"], where)
        return made.outputs[0]

    def cells(self, where: Any, scale: float, feature: str = "F1", out: str = "Distance") -> Any:
        """Return the distance to, or colour of, the nearest of scattered points."""
        made = self.node("TexVoronoi", feature=feature)
        made.inputs["Scale"].default_value = scale
        self.feed(made.inputs["Vector"], where)
        return made.outputs[out]

    def waves(self, where: Any, scale: float, along: str = "X", shape: str = "SIN", bend: float = 0) -> Any:
        """Return stripes."""
        made = self.node("TexWave", bands_direction=along, wave_profile=shape)
        made.inputs["Scale"].default_value = scale
        made.inputs["Distortion"].default_value = bend
        self.feed(made.inputs["Vector"], where)
        return made.outputs[1]

    def bricks(self, where: Any, width: float, height: float, gap: float, shift: float = 0.5) -> Any:
        """Return the node of a brick pattern: each brick a random grey (Color), mortar 1 and brick 0 (Fac)."""
        made = self.node("TexBrick", offset=shift)
        values = {"Scale": 1.0, "Brick Width": width, "Row Height": height, "Mortar Size": gap, "Mortar Smooth": 0.1}
        for name, value in values.items():
            made.inputs[name].default_value = value
        for name, colour in (("Color1", BLACK), ("Color2", WHITE), ("Mortar", grey(0.5))):
            made.inputs[name].default_value = colour
        self.feed(made.inputs["Vector"], where)
        return made

    def math(self, kind: str, one: Any, two: Any = 0.0, three: Any = 0.0) -> Any:
        """Return the sum, product or whatever of numbers."""
        made = self.node("Math", operation=kind)
        for inlet, value in zip(made.inputs, (one, two, three), strict=False):
            self.feed(inlet, value)
        return made.outputs[0]

    def shift(self, where: Any, by: Any, scale: tuple[float, float, float]) -> Any:
        """Return a place moved by a colour, each channel scaled."""
        made = self.node("VectorMath", operation="MULTIPLY_ADD")
        self.feed(made.inputs[0], by)
        made.inputs[1].default_value = scale
        self.feed(made.inputs[2], where)
        return made.outputs[0]

    def stretch(self, where: Any, scale: tuple[float, float, float]) -> Any:
        """Return a place scaled."""
        made = self.node("VectorMath", operation="MULTIPLY")
        self.feed(made.inputs[0], where)
        made.inputs[1].default_value = scale
        return made.outputs[0]

    def ramp(self, value: Any, *stops: tuple[float, Colour], steps: bool = False) -> Any:
        """Return a colour for a number from 0 to 1."""
        made = self.node("ValToRGB")
        made.color_ramp.interpolation = "CONSTANT" if steps else "LINEAR"
        elements = made.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (at, colour) in zip(elements, stops, strict=True):
            element.position, element.color = at, colour
        self.feed(made.inputs[0], value)
        return made.outputs[0]

    def mix(self, share: Any, one: Any, two: Any, mode: str = "MIX") -> Any:
        """Return one colour where the share is 0, the other where it is 1."""
        made = self.node("Mix", data_type="RGBA", blend_type=mode)
        for inlet, value in ((0, share), (6, one), (7, two)):
            self.feed(made.inputs[inlet], value)
        return made.outputs[2]

    def bump(self, height: Any, strength: float = 0.3, distance: float = 0.002, before: Any = None) -> Any:
        """Return the surface's direction where its height changes."""
        made = self.node("Bump")
        made.inputs["Strength"].default_value = strength
        made.inputs["Distance"].default_value = distance
        self.feed(made.inputs["Height"], height)
        if before is not None:
            self.feed(made.inputs["Normal"], before)
        return made.outputs[0]
