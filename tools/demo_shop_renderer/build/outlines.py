"""Outlines of boards, as points in the plane, against the clock."""

import math

import numpy as np

from demo_shop_renderer.build.mesh import Points, curve, rounded


def rectangle(width: float, depth: float, radius: float = 0.0) -> Points:
    """Return a rectangle, its corners rounded."""
    corners = [(x * width / 2, y * depth / 2) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return rounded(corners, radius, 6, closed=True) if radius else np.array(corners)


def ellipse(width: float, depth: float, power: float = 2.0, steps: int = 56) -> Points:
    """Return an ellipse; a higher power makes it squarer."""
    angle = np.linspace(0, 2 * math.pi, steps, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.sign(cos) * np.abs(cos) ** (2 / power) * width / 2
    y = np.sign(sin) * np.abs(sin) ** (2 / power) * depth / 2
    return np.stack([x, y], axis=-1)


def pebble(width: float, depth: float) -> Points:
    """Return an uneven stone, as wide and deep as asked."""
    knots = np.array(
        [
            (-0.5, 0.02),
            (-0.34, -0.4),
            (0.08, -0.5),
            (0.42, -0.32),
            (0.5, 0.08),
            (0.26, 0.42),
            (-0.1, 0.36),
            (-0.36, 0.4),
        ]
    )
    line = curve(knots, 8, closed=True)
    line = (line - (line.max(0) + line.min(0)) / 2) / np.ptp(line, axis=0)
    return np.asarray(line * (width, depth))


def boat(width: float, depth: float) -> Points:
    """Return a rectangle with bulging sides."""
    angle = np.linspace(-0.5, 0.5, 18)
    bulge = 1 - (angle * 2) ** 2
    long = np.stack([angle * width * 0.94, -depth * (0.36 + 0.14 * bulge)], axis=-1)
    short = np.stack([width * (0.47 + 0.03 * bulge), angle * depth * 0.68], axis=-1)
    return np.concatenate([long, short[1:-1], -long, -short[1:-1]])


def arch(width: float, height: float, spring: float) -> Points:
    """Return a panel standing on the origin's line that ends in an arch above `spring`."""
    angle = np.linspace(0, math.pi, 25)
    top = np.stack([np.cos(angle) * width / 2, spring + np.sin(angle) * (height - spring)], axis=-1)
    return np.concatenate([[(-width / 2, 0.0), (width / 2, 0.0)], top])
