"""Made shopper photos to measure with, of three kinds, each a pure function of a catalogue picture and a seed.

easy: the product on its own background, seen from elsewhere. hard: the product somewhere in a room. crop: the hard
photo with the product marked, 5 percent around it. What the whitening learns from uses the same steps
(`vsearch.imaging.synthetic`) with other seeds.
"""

from typing import Literal, get_args

import numpy as np
from skimage.transform import ProjectiveTransform, warp

from vsearch.imaging import synthetic
from vsearch.imaging.codec import Picture
from vsearch.imaging.geometry import Box

Kind = Literal["easy", "hard", "crop"]
KINDS: tuple[Kind, ...] = get_args(Kind)

HARD_SHARE = (0.35, 0.6)
"""Least and greatest part of the photo's side that a product in a room takes."""


def make(
    picture: Picture, kind: Kind, rng: np.random.Generator, *, room: Picture | None = None
) -> tuple[Picture, Box | None]:
    """Return a made photo, RGB uint8 [h, w, 3], and what a shopper marks in it; None for a photo that is left whole.

    Args:
        picture: catalogue picture, RGB uint8 [h, w, 3].
        kind: "hard" and "crop" are the same photo when `rng` starts the same.
        rng: all chance comes from it.
        room: photo to stand the product in; a simple room is made up when None. An easy photo needs none.
    """
    if kind == "easy":
        return own_background(picture, rng), None
    shot = synthetic.shoot(picture, rng, room=room, share=HARD_SHARE)
    return shot.photo, synthetic.with_margin(shot.box) if kind == "crop" else None


def own_background(picture: Picture, rng: np.random.Generator) -> Picture:
    """Take the picture with all its background from elsewhere: perspective, tilt, light, cast, blur, noise, JPEG.

    What comes into sight beside the picture continues its edge.
    """
    whole = synthetic.fit(picture, synthetic.SIDE)
    height, width = (max(side, synthetic.SIDE // 2) for side in whole.shape[:2])
    corners = synthetic.corners_of(whole)
    moved = (width / 2, height / 2) + rng.uniform(0.8, 0.95) * synthetic.seen_from_elsewhere(corners, rng)
    transform = ProjectiveTransform.from_estimate(moved, corners)
    light = warp(whole.astype(np.float32) / 255, transform, output_shape=(height, width), order=1, mode="edge")
    return synthetic.taken(light.astype(np.float32), rng)
