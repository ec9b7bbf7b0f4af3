"""Puts meshes into the scene, each with its surface, bevel and place; what is made together moves together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from demo_shop_renderer import blender
from demo_shop_renderer.build import mesh, soft
from demo_shop_renderer.build.mesh import Mesh, Points, Vector
from demo_shop_renderer.build.surfaces import surface
from demo_shop_renderer.palette import Finish, finish

Skin = Finish | str | Any
"""A finish, its text, or a material that is ready."""


Skins = tuple[Skin, ...]

Rest = tuple[float, float, float, float, float, float]
"""Where small things may stand: x, y and z of the middle of a surface, its width, depth, and the room above it."""


class Scene:
    """The surfaces of the scene at hand, each made once."""

    def __init__(self) -> None:
        blender.bpy.ops.wm.read_factory_settings(use_empty=True)
        self._surfaces: dict[tuple[Finish, str, float], Any] = {}

    def surface(self, skin: Skin, axis: str = "z", glow: float = 0.0) -> Any:
        """Return the material of a finish."""
        if isinstance(skin, str):
            skin = finish(skin)
        if not isinstance(skin, Finish):
            return skin
        key = (skin, axis if skin.material == "wood" else "z", glow)
        if key not in self._surfaces:
            self._surfaces[key] = surface(skin, axis, glow)
        return self._surfaces[key]


class Maker:
    """Makes one thing about the origin; `root` carries all its parts."""

    def __init__(self, scene: Scene, name: str, seed: int = 0) -> None:
        self.scene = scene
        self.seed = seed
        self.parts: list[Any] = []
        self.rests: list[Rest] = []
        self.bulbs: list[tuple[float, float, float]] = []
        self.root = blender.bpy.data.objects.new(name, None)
        blender.bpy.context.scene.collection.objects.link(self.root)

    def stand(self, at: Vector, turn: float = 0.0) -> None:
        """Move all of it: to a place, turned about the upright axis by so many radians."""
        self.root.location = tuple(at)
        self.root.rotation_euler = (0, 0, turn)

    def put(
        self,
        form: Mesh,
        skin: Skin,
        at: Vector = (0, 0, 0),
        turn: Vector = (0, 0, 0),
        *,
        bevel: float = 0.0,
        rounds: int = 2,
        thick: float = 0.0,
        subdivide: int = 0,
        axis: str = "",
        glow: float = 0.0,
    ) -> Any:
        """Add a mesh.

        Args:
            form: points and faces.
            skin: of what it is.
            at: where its origin goes.
            turn: its rotation about x, y and z.
            bevel: how wide its sharp edges are cut; `rounds` how roundly.
            thick: what a sheet is thickened by.
            subdivide: how often it is smoothed.
            axis: of the grain; the longest where none is named.
            glow: how strongly it shines.
        """
        bpy = blender.bpy
        if not axis:
            axis = "xyz"[int(np.argmax(np.ptp(form.points, axis=0)))]
        data = bpy.data.meshes.new(self.root.name)
        data.from_pydata(form.points, [], form.faces)
        data.polygons.foreach_set("use_smooth", np.ones(len(data.polygons), bool))
        data.materials.append(self.scene.surface(skin, axis, glow))
        part = bpy.data.objects.new(self.root.name, data)
        bpy.context.scene.collection.objects.link(part)
        part.parent = self.root
        part.location, part.rotation_euler = tuple(at), tuple(turn)
        if thick:
            solid = part.modifiers.new("thick", "SOLIDIFY")
            solid.thickness, solid.offset = thick, 0
        if bevel:
            cut = part.modifiers.new("bevel", "BEVEL")
            cut.width, cut.segments, cut.limit_method, cut.harden_normals = bevel, rounds, "ANGLE", True
            cut.angle_limit = 0.6
        if subdivide:
            finer = part.modifiers.new("finer", "SUBSURF")
            finer.levels = finer.render_levels = subdivide
        self.parts.append(part)
        return part

    def box(self, size: Vector, at: Vector, skin: Skin, turn: Vector = (0, 0, 0), **more: Any) -> Any:
        """Add a box with slightly broken edges."""
        taper = more.pop("taper", 1.0)
        bevel = min(more.pop("bevel", 0.004), 0.45 * min(size))
        return self.put(mesh.box(size, taper), skin, at, turn, bevel=bevel, **more)

    def rod(self, start: Vector, end: Vector, thick: float | Sequence[float], skin: Skin, **more: Any) -> Any:
        """Add a round bar from one point to another; two radii make it taper."""
        first, last = np.asarray(start, float), np.asarray(end, float)
        length = float(np.linalg.norm(last - first))
        ends = (thick, thick) if isinstance(thick, int | float) else tuple(thick)
        angle = np.linspace(0, 2 * np.pi, int(more.pop("around", 16)), endpoint=False)
        ring = np.column_stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)])
        rings = np.stack([ring * ends[0], ring * ends[1] + (0, 0, length)])
        turn = blender.mathutils.Vector(last - first).to_track_quat("Z", "Y").to_euler()
        bevel = min(more.pop("bevel", 0.002), 0.4 * min(ends))
        return self.put(mesh.loft(rings), skin, first, turn, bevel=bevel, axis="z", **more)

    def tube(self, path: Points | Sequence[Vector], thick: Any, skin: Skin, **more: Any) -> Any:
        """Add a round bar along a path."""
        closed, around = bool(more.pop("closed", False)), int(more.pop("around", 10))
        return self.put(mesh.tube(np.asarray(path, float), thick, closed, around), skin, **more)

    def lathe(self, profile: Sequence[tuple[float, float]], skin: Skin, at: Vector = (0, 0, 0), **more: Any) -> Any:
        """Add a turned piece standing at a point."""
        shape = {name: more.pop(name) for name in ("around", "smooth", "squash") if name in more}
        return self.put(mesh.lathe(profile, **shape), skin, at, axis=more.pop("axis", "z"), **more)

    def board(
        self, outline: Points, thick: float, at: Vector, skin: Skin, turn: Vector = (0, 0, 0), **more: Any
    ) -> Any:
        """Add a flat board of some outline, centred in its thickness."""
        bevel = min(more.pop("bevel", 0.004), 0.45 * thick)
        return self.put(mesh.prism(outline, thick), skin, at, turn, bevel=bevel, **more)

    def cushion(self, size: Vector, at: Vector, skin: Skin, turn: Vector = (0, 0, 0), **more: Any) -> Any:
        """Add an upholstered block, with `piping` of a skin along its seams."""
        piping = more.pop("piping", None)
        more.setdefault("seed", self.next_seed())
        part = self.put(soft.cushion(size, **more), skin, at, turn)
        if piping is not None:
            for level in (-1, 1):
                line = soft.seam(size, level, more.get("soft", 0.6))
                self.put(mesh.tube(line, 0.005, True, 6), piping, at, turn)
        return part

    def pillow(
        self, width: float, height: float, thick: float, at: Vector, skin: Skin, turn: Vector, **more: Any
    ) -> Any:
        """Add a loose cushion."""
        more.setdefault("seed", self.next_seed())
        return self.put(soft.pillow(width, height, thick, **more), skin, at, turn)

    def next_seed(self) -> int:
        """Return a number that no part of this thing had."""
        self.seed += 1
        return self.seed
