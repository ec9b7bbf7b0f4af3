"""Blender's renderer, set up for many small pictures on one thread; lights, cameras, files."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from demo_shop_renderer import blender
from demo_shop_renderer.build.maker import Maker
from demo_shop_renderer.build.mesh import Points, Vector


def set_up(size: tuple[int, int], samples: int, seed: int) -> Any:
    """Set the scene up for a picture of this width and height, and return it."""
    scene = blender.bpy.context.scene
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.seed = "CPU", samples, seed
    cycles.use_adaptive_sampling = False
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_prefilter, cycles.denoising_input_passes = "FAST", "RGB_ALBEDO_NORMAL"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 2, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces = 2, 6
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect, cycles.blur_glossy = 4.0, 0.5
    cycles.use_auto_tile = cycles.use_light_tree = False
    cycles.denoising_quality = "BALANCED"
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = *size, 100
    render.threads_mode, render.threads = "FIXED", 1
    render.dither_intensity = 0.0
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    render.image_settings.compression = 0
    return scene


def view(scene: Any, transform: str, look: str = "None", exposure: float = 0.0) -> None:
    """Choose how light becomes colour."""
    scene.view_settings.view_transform, scene.view_settings.look = transform, look
    scene.view_settings.exposure = exposure


def link(name: str, data: Any) -> Any:
    """Put a light or a camera into the scene."""
    made = blender.bpy.data.objects.new(name, data)
    blender.bpy.context.scene.collection.objects.link(made)
    return made


def look_at(thing: Any, target: Vector) -> None:
    """Turn a light or a camera towards a point."""
    away = blender.mathutils.Vector(tuple(target)) - thing.location
    thing.rotation_euler = away.to_track_quat("-Z", "Y").to_euler()


def panel(at: Vector, target: Vector, size: tuple[float, float], power: float, colour: Vector = (1, 1, 1)) -> Any:
    """Add a shining rectangle."""
    light = blender.bpy.data.lights.new("panel", "AREA")
    light.shape, light.size, light.size_y = "RECTANGLE", *size
    light.energy, light.color = power, tuple(colour)
    thing = link("panel", light)
    thing.location = tuple(at)
    look_at(thing, target)
    return thing


def bulb(at: Vector, power: float, colour: Vector, radius: float = 0.06) -> Any:
    """Add a shining ball."""
    light = blender.bpy.data.lights.new("bulb", "POINT")
    light.energy, light.color, light.shadow_soft_size = power, tuple(colour), radius
    thing = link("bulb", light)
    thing.location = tuple(at)
    return thing


def sun(direction: Vector, power: float, colour: Vector, angle: float = 0.02) -> Any:
    """Add sunlight that falls along the direction."""
    light = blender.bpy.data.lights.new("sun", "SUN")
    light.energy, light.color, light.angle = power, tuple(colour), angle
    thing = link("sun", light)
    look_at(thing, direction)
    return thing


def sky(top: Vector, horizon: Vector, strength: float) -> None:
    """Light the scene from all round, from above in one colour, from the sides in another."""
    world = blender.bpy.data.worlds.new("sky")
    blender.bpy.context.scene.world = world
    world.use_nodes = True
    world.cycles.sampling_method = "NONE"  # its map costs more than the little noise it saves
    nodes, links = world.node_tree.nodes, world.node_tree.links
    nodes.clear()
    names = ("OutputWorld", "Background", "TexCoord", "SeparateXYZ", "MapRange", "ValToRGB")
    out, back, where, parts, spread, ramp = (nodes.new(f"ShaderNode{name}") for name in names)
    spread.inputs[1].default_value = -1
    ramp.color_ramp.elements[0].position = 0.45
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (*horizon, 1), (*top, 1)
    links.new(where.outputs["Generated"], parts.inputs[0])
    links.new(parts.outputs[2], spread.inputs[0])
    links.new(spread.outputs[0], ramp.inputs[0])
    links.new(ramp.outputs[0], back.inputs[0])
    back.inputs[1].default_value = strength
    links.new(back.outputs[0], out.inputs[0])


def kelvin(temperature: float) -> tuple[float, float, float]:
    """Return the colour of a black body, the brightest channel 1."""
    t = temperature / 100
    red = 255 if t <= 66 else 329.7 * (t - 60) ** -0.1332
    green = 99.47 * math.log(t) - 161.1 if t <= 66 else 288.1 * (t - 60) ** -0.0755
    blue = 255.0 if t >= 66 else (0.0 if t < 19 else 138.5 * math.log(t - 10) - 305)
    light = [(max(0.0, min(255.0, part)) / 255) ** 2.2 for part in (red, green, blue)]
    most = max(light)
    return light[0] / most, light[1] / most, light[2] / most


def corners(*makers: Maker) -> Points:
    """Return points of all parts, where they stand: what a camera must take in."""
    bpy = blender.bpy
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    found = []
    for maker in makers:
        for part in maker.parts:
            seen = part.evaluated_get(graph)
            data = seen.to_mesh()
            points = np.empty(len(data.vertices) * 3, np.float32)
            data.vertices.foreach_get("co", points)
            matrix = np.array(part.matrix_world)
            found.append(points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
            seen.to_mesh_clear()
    return np.concatenate(found).astype(float)


def camera(at: Vector, rotation: Any, lens: float) -> Any:
    """Add the camera; the lens is that of a picture 36 mm on its longer side."""
    data = blender.bpy.data.cameras.new("camera")
    data.lens, data.sensor_width, data.sensor_fit, data.clip_start = lens, 36, "AUTO", 0.05
    thing = link("camera", data)
    thing.location, thing.rotation_euler = tuple(at), rotation
    blender.bpy.context.scene.camera = thing
    return thing


def render(scene: Any) -> None:
    """Render, keeping the light; `develop` makes pictures of it."""
    blender.bpy.ops.render.render()


def develop(scene: Any, path: Path) -> None:
    """Write what was rendered as a PNG, in the view chosen now."""
    blender.bpy.data.images["Render Result"].save_render(str(path), scene=scene)
