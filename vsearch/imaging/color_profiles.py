"""Conversion of any Pillow mode to opaque 8-bit sRGB: alpha on white, deep gray scaled, profiles applied."""

import io
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageCms

_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Color space of an ICC profile -> mode of the images it describes."""

_MAX_SRGB_ERROR = 2
"""A profile that changes no color by more than this, out of 255, is a variant of sRGB."""


def without_empty_alpha(image: Image.Image) -> Image.Image:
    """Make an image opaque if every pixel is transparent: some programs leave the alpha channel at 0."""
    if not image.has_transparency_data or image.mode.startswith("I;16"):
        return image
    if image.mode not in _ALPHA_MODES:  # a transparent color
        image = image.convert("RGBA")
    if image.getchannel("A" if "A" in image.mode else "a").getextrema() != (0, 0):
        return image
    return image.convert("L" if image.mode in ("LA", "La") else "RGB")


def flatten(image: Image.Image) -> Image.Image:
    """Convert the image to 8 bits without transparency: mode RGB, CMYK or L."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _scale_deep_gray(image)
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        opaque = Image.new("L" if image.mode == "LA" else "RGB", image.size, "white")
        opaque.paste(image, mask=image)
        return opaque
    return image if image.mode in ("RGB", "CMYK", "L") else image.convert("RGB")


def to_srgb(image: Image.Image, profile: bytes | None, gamma: float | None = None) -> Image.Image:
    """Convert a flat image to mode RGB; an ICC profile that is damaged or for a different color space is ignored.

    The gamma of a PNG is applied if it has no profile.
    """
    if not profile and gamma and 0.2 <= gamma <= 2 and not 0.43 <= gamma <= 0.48:  # around 1 / 2.2 it means sRGB
        light = (np.arange(256) / 255) ** (1 / gamma)
        levels = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        image = image.point(levels.round().astype(int).tolist() * len(image.getbands()))
    found = _srgb_transform(profile) if profile else None
    if found is not None:
        mode, transform = found
        if mode == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if mode == image.mode:
            converted = ImageCms.applyTransform(image, transform)
            assert converted is not None  # None is only returned for in-place conversion
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(32)  # building one takes as long as decoding a thumbnail
def _srgb_transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    """Return the mode that a profile describes and its transform to sRGB; None if it is sRGB itself or unusable."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _PROFILE_MODES.get(source.profile.xcolor_space.strip())
        if mode is None:
            return None
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB")
        if mode == "RGB":
            levels = np.linspace(0, 255, 9).round().astype(np.uint8)
            probe = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
            changed = np.asarray(ImageCms.applyTransform(Image.fromarray(probe), transform))
            if np.abs(changed.astype(np.int16) - probe).max() <= _MAX_SRGB_ERROR:
                return None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return mode, transform


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _scale_deep_gray(image: Image.Image) -> Image.Image:
    """Scale down gray of more than 8 bits, which Pillow would clip to white."""
    values = np.array(image, np.float32)
    top = float(np.nanmax(values))
    white = 65535 if image.mode != "F" else 1 if top <= 1 else 255 if top <= 255 else 65535
    np.nan_to_num(values, copy=False).clip(0, white, out=values)
    values *= 255 / white
    return Image.fromarray(values.round(out=values).astype(np.uint8))
