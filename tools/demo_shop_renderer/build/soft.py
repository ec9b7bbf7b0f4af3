"""Soft forms: cushions with a crown and creases, pillows, draped cloth; and the noise that creases them."""

import math
from functools import cache

import numpy as np

from demo_shop_renderer.build.mesh import Mesh, Points, Vector, loft, sheet


def ripple(points: Points, scale: float, seed: int) -> Points:
    """Return a smooth random value from about -1 to 1 for each point: a few plane waves laid over one another."""
    chance = np.random.default_rng(seed)
    waves = chance.normal(size=(7, points.shape[-1]))
    waves *= chance.uniform(0.6, 1.5, (7, 1)) / np.linalg.norm(waves, axis=1, keepdims=True)
    phase = chance.uniform(0, 2 * math.pi, 7)
    return np.asarray(np.sin(points @ waves.T * scale + phase).sum(-1) / 3.2)


@cache
def _lattice(count: int) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Return the whole-numbered points on the faces of a cube, and the quads between them."""
    numbers: dict[tuple[int, int, int], int] = {}
    faces = []
    last = count - 1
    for axis in range(3):
        for end in (0, last):
            for i in range(last):
                for j in range(last):
                    ring = []
                    for a, b in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)):
                        spot = [a, b]
                        spot.insert(axis, end)
                        ring.append(numbers.setdefault((spot[0], spot[1], spot[2]), len(numbers)))
                    inward = (end == 0) == (axis != 1)
                    faces.append(tuple(ring[::-1] if inward else ring))
    return np.array(list(numbers)), faces


def cushion(
    size: Vector,
    *,
    soft: float = 0.6,
    crown: float = 0.16,
    crease: float = 0.006,
    sag: float = 0.0,
    seed: int = 0,
    inner: int = 7,
) -> Mesh:
    """Return an upholstered block about the origin.

    Args:
        size: of the block; the crown stands out above it.
        soft: how round its edges are, from 0 to 1 of what its thinnest side allows.
        crown: how far the large faces bulge, of half the height.
        crease: how deep its wrinkles are, in metres.
        sag: how far the top is sat in, of half the height.
        seed: which wrinkles.
        inner: points across a face between its rounded edges.
    """
    half = np.asarray(size, float) / 2
    radius = max(0.004, soft * 0.98 * float(half.min()))
    bend = np.array([0.0, 0.3, 0.65, 1.0]) * radius
    lines = []
    for reach in half:
        middle = np.linspace(-reach + radius, reach - radius, inner + 2)[1:-1]
        lines.append(np.concatenate([-reach + bend, middle, reach - bend[::-1]]))
    lattice, faces = _lattice(inner + 8)
    points = np.stack([lines[axis][lattice[:, axis]] for axis in range(3)], axis=-1)
    unit = points / half
    core = np.clip(points, -half + radius, half - radius)
    away = points - core
    points = core + away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9) * radius
    room = np.clip(1 - unit**2, 0, 1)
    thin = float(half.min())
    for axis, share in ((0, 0.35), (1, 0.35), (2, 1.0)):
        one, two = (other for other in range(3) if other != axis)
        bulge = (room[:, one] * room[:, two]) ** 0.6 * np.abs(unit[:, axis]) ** 4
        points[:, axis] += np.sign(unit[:, axis]) * crown * share * thin * bulge
        if axis == 2 and sag:
            points[:, 2] -= np.where(unit[:, 2] > 0, sag * half[2] * room[:, 0] * room[:, 1], 0)
    waves = ripple(points, 7, seed) + 0.5 * ripple(points, 17, seed + 1)
    points += unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9) * (crease * waves)[:, None] * 0.7
    return Mesh(points, list(faces))


def seam(size: Vector, level: float, soft: float) -> Points:
    """Return the closed line along the upper (level 1) or lower (level -1) edge of a cushion, where piping runs."""
    half = np.asarray(size, float) / 2
    radius = max(0.004, soft * 0.98 * float(half.min()))
    angle = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.sign(cos) * np.abs(cos) ** 0.13 * (half[0] - radius * 0.22)
    y = np.sign(sin) * np.abs(sin) ** 0.13 * (half[1] - radius * 0.22)
    return np.stack([x, y, np.full_like(x, level * (half[2] - radius * 0.3))], axis=-1)


def pillow(width: float, height: float, thick: float, *, seed: int = 0, crease: float = 0.01, count: int = 16) -> Mesh:
    """Return a loose cushion lying on its back: two skins sewn along pinched edges."""
    line = np.sin(np.linspace(-math.pi / 2, math.pi / 2, count + 1))  # closer together towards the seam
    u, v = np.meshgrid(line, line, indexing="ij")
    x = u * width / 2 * (1 - 0.07 * (1 - v**2) * np.abs(u) ** 3)
    y = v * height / 2 * (1 - 0.07 * (1 - u**2) * np.abs(v) ** 3)
    z = thick / 2 * ((1 - u**4) * (1 - v**4)) ** 0.6
    flat = np.stack([x, y], axis=-1)
    skins = []
    for side in (1, -1):
        waves = ripple(flat, 9, seed + side) + 0.5 * ripple(flat, 22, seed + side + 7)
        skins.append(np.stack([x, y, side * z + crease * waves * np.clip(z / (thick * 0.2), 0, 1)], axis=-1))
    row = count + 1
    back = np.arange(row * row).reshape(row, row) + row * row
    front = back - row * row
    edge = np.zeros((row, row), bool)
    edge[[0, -1], :] = edge[:, [0, -1]] = True
    back[edge] = front[edge]
    faces: list[tuple[int, ...]] = []
    for i in range(count):
        for j in range(count):
            ring = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
            faces.append(tuple(int(front[spot]) for spot in ring))
            faces.append(tuple(int(back[spot]) for spot in ring[::-1]))
    return Mesh(np.concatenate(skins).reshape(-1, 3), faces)


def curtain(width: float, height: float, folds: float, deep: float, seed: int) -> Mesh:
    """Return cloth hanging in folds from the origin's height downwards, facing the viewer."""
    chance = np.random.default_rng(seed)
    shift = chance.uniform(0, 6, 3)

    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        wave = u * folds * 2 * math.pi + 0.5 * np.sin(v * 2.1 + shift[0]) + 0.6 * np.sin(u * 9 + shift[1])
        spread = 0.8 + 0.35 * v
        y = deep * spread * np.sin(wave) + 0.3 * deep * np.sin(wave * 0.47 + shift[2])
        x = (u - 0.5) * width * (0.97 + 0.05 * v) + 0.15 * deep * np.sin(2 * wave)
        return x, y, -v * height

    return sheet(form, round(folds * 12), 8)


def tufted(width: float, height: float, thick: float, step: float) -> tuple[Mesh, Points]:
    """Return a buttoned panel standing on the origin, its face towards the viewer, and where its buttons are."""
    across, along = max(12, round(width / step * 8)), max(12, round(height / step * 8))

    def form(u: Points, v: Points) -> tuple[Points, Points, Points]:
        x, z = (u - 0.5) * width, v * height
        one, two = (x + z) / step, (x - z) / step
        puff = (np.abs(np.sin(math.pi * one)) * np.abs(np.sin(math.pi * two))) ** 0.45
        edge = np.minimum(1, np.minimum(np.minimum(u, 1 - u) * width, np.minimum(v, 1 - v) * height) / 0.05) ** 0.5
        return x, -thick * (0.45 + 0.55 * puff) * edge, z

    rows = np.arange(-60, 60)
    spots = [(i * step / 2, j * step / 2) for i in rows for j in rows if (i + j) % 2 == 0]
    inside = [(x, z) for x, z in spots if abs(x) < width / 2 - 0.05 and 0.06 < z < height - 0.05]
    buttons = np.array([(x, -thick * 0.5, z) for x, z in inside]).reshape(-1, 3)
    return sheet(form, across, along), buttons


def bolster(radius: float, length: float, seed: int = 0) -> Mesh:
    """Return a roll lying along y, its middle in the origin."""
    half = length / 2
    ends = [(0.02, -half), (0.6, -half + 0.002), (0.86, -half + 0.01), (1.0, -half + 0.05)]
    line = [*ends, *((1.0, y) for y in np.linspace(-half + 0.1, half - 0.1, 7)), *((r, -y) for r, y in reversed(ends))]
    angle = np.linspace(0, 2 * math.pi, 28, endpoint=False)
    rings = np.stack(
        [np.column_stack([r * radius * np.cos(angle), np.full(28, y), -r * radius * np.sin(angle)]) for r, y in line]
    )
    rings += 0.004 * ripple(rings, 12, seed)[..., None]
    return loft(rings)
