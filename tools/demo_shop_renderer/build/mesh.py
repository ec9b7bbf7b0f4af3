"""Hard forms as points and faces: boxes, turned pieces, tubes, boards of any outline, sheets."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UPRIGHT = math.pi / 2

Points = NDArray[np.float64]
Vector = Sequence[float] | Points


@dataclass(frozen=True)
class Mesh:
    """Points, and faces as rings of their numbers."""

    points: Points
    faces: list[tuple[int, ...]]


def box(size: Vector, taper: float = 1.0) -> Mesh:
    """Return a box about the origin; its foot is `taper` times as wide as its top."""
    corners = np.array([(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)], float) / 2
    corners[:4, :2] *= taper
    faces: list[tuple[int, ...]] = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    return Mesh(corners * np.asarray(size, float), faces)


def loft(rings: Points, closed: bool = False, caps: bool = True) -> Mesh:
    """Return the skin over rings of equally many points, each closed; `closed` joins the last ring to the first."""
    count, around = rings.shape[:2]
    faces: list[tuple[int, ...]] = []
    for ring in range(count if closed else count - 1):
        one, two = ring * around, (ring + 1) % count * around
        faces.extend((one + k, one + (k + 1) % around, two + (k + 1) % around, two + k) for k in range(around))
    if caps and not closed:
        faces.append(tuple(range(around - 1, -1, -1)))
        faces.append(tuple(range((count - 1) * around, count * around)))
    return Mesh(rings.reshape(-1, 3), faces)


def lathe(profile: Sequence[tuple[float, float]], around: int = 36, smooth: bool = True, squash: float = 1.0) -> Mesh:
    """Return what turning a profile of (radius, height) about the upright axis gives; `squash` flattens it in depth."""
    line = (
        curve(np.array([(r, 0.0, z) for r, z in profile]), 5) if smooth else np.array([(r, 0.0, z) for r, z in profile])
    )
    radius = np.maximum(line[:, 0], 0.0005)
    angle = np.linspace(0, 2 * math.pi, around, endpoint=False)
    rings = np.stack(
        [
            radius[:, None] * np.cos(angle),
            radius[:, None] * np.sin(angle) * squash,
            np.repeat(line[:, 2:], around, 1),
        ],
        axis=-1,
    )
    return loft(rings)


def fluted(radius: float, height: float, flutes: int, depth: float) -> Mesh:
    """Return a column with rounded ribs, standing on the origin."""
    angle = np.linspace(0, 2 * math.pi, flutes * 8, endpoint=False)
    rib = radius - depth * (1 - np.abs(np.sin(angle * flutes / 2)) ** 0.7)
    ring = np.stack([rib * np.cos(angle), rib * np.sin(angle)], axis=-1)
    rings = np.stack([np.column_stack([ring, np.full(len(ring), z)]) for z in (0.0, height)])
    return loft(rings)


def prism(outline: Points, thick: float) -> Mesh:
    """Return a board of this outline in the plane, half its thickness above and half below."""
    flat = np.column_stack([outline, np.full(len(outline), -thick / 2)])
    return loft(np.stack([flat, flat + np.array([0.0, 0.0, thick])]))


def sheet(form: Callable[[Points, Points], Sequence[Points]], across: int, along: int) -> Mesh:
    """Return the surface that `form` gives for u and v from 0 to 1."""
    u, v = np.meshgrid(np.linspace(0, 1, across + 1), np.linspace(0, 1, along + 1), indexing="ij")
    points = np.stack(np.broadcast_arrays(*form(u, v)), axis=-1).reshape(-1, 3)
    row = along + 1
    faces = [
        (i * row + j, (i + 1) * row + j, (i + 1) * row + j + 1, i * row + j + 1)
        for i in range(across)
        for j in range(along)
    ]
    return Mesh(points, list(faces))


def tube(path: Points, radius: float | Points, closed: bool = False, around: int = 10) -> Mesh:
    """Return a round bar along a path; its radius may change from point to point."""
    path = np.asarray(path, float)
    ahead = np.roll(path, -1, 0) - np.roll(path, 1, 0)
    if not closed:
        ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    side = np.cross(ahead[0], (0, 0, 1.0) if abs(ahead[0][2]) < 0.9 else (0, 1.0, 0))
    angle = np.linspace(0, 2 * math.pi, around, endpoint=False)
    rings = []
    for point, direction, thick in zip(path, ahead, np.broadcast_to(radius, len(path)), strict=True):
        side = side - direction * np.dot(side, direction)
        side = side / max(float(np.linalg.norm(side)), 1e-9)
        up = np.cross(direction, side)
        rings.append(point + thick * (np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up))
    return loft(np.stack(rings), closed)


def curve(points: Points, steps: int = 8, closed: bool = False) -> Points:
    """Return a smooth line through the points (Catmull and Rom's)."""
    points = np.asarray(points, float)
    if closed:
        ends = np.concatenate([points[-1:], points, points[:2]])
    else:
        ends = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(parts if closed else [*parts, points[-1:]])


def rounded(points: Sequence[Vector], radius: float, steps: int = 5, closed: bool = False) -> Points:
    """Return the polygon line with its corners rounded."""
    corners = [np.asarray(point, float) for point in points]
    if closed:
        corners = [corners[-1], *corners, corners[0]]
    found = [] if closed else [corners[0]]
    t = np.linspace(0, 1, steps + 1)[:, None]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        back, on = before - corner, after - corner
        reach = min(radius, 0.45 * float(np.linalg.norm(back)), 0.45 * float(np.linalg.norm(on)))
        start = corner + back / max(float(np.linalg.norm(back)), 1e-9) * reach
        end = corner + on / max(float(np.linalg.norm(on)), 1e-9) * reach
        found.extend((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    return np.array(found if closed else [*found, corners[-1]])
