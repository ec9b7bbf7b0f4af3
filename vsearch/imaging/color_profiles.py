"""Any picture that Pillow can hold, as opaque 8-bit sRGB: transparency on white, deep gray scaled, profiles applied."""

import io
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageCms

_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Color space of an ICC profile -> Pillow's mode of the pictures that it describes."""

_SRGB_GAMMAS = (0.43, 0.48)
_USABLE_GAMMAS = (0.2, 2.0)
_MAX_SRGB_ERROR = 2
"""A profile that changes no color by more, of 255, is one of the many that spell sRGB."""

_MAX_SRGB_BYTES = 100_000  # the largest in use has 60 KB


def without_empty_alpha(image: Image.Image) -> Image.Image:
    """Return the image opaque if every pixel of it is transparent: programs that know no alpha channel leave it 0."""
    if not image.has_transparency_data or image.mode.startswith("I;16"):
        return image
    if image.mode not in _ALPHA_MODES:  # a transparent color
        image = image.convert("RGBA")
    if image.getchannel("A" if "A" in image.mode else "a").getextrema() != (0, 0):
        return image
    return image.convert("L" if image.mode in ("LA", "La") else "RGB")


def flatten(image: Image.Image) -> Image.Image:
    """Return the image in 8 bits and without transparency: mode RGB, CMYK or L."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep_gray(image)
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        opaque = Image.new("L" if image.mode == "LA" else "RGB", image.size, "white")
        opaque.paste(image, mask=image)
        return opaque
    return image if image.mode in ("RGB", "CMYK", "L") else image.convert("RGB")


def to_srgb(image: Image.Image, profile: bytes | None, gamma: float | None = None) -> Image.Image:
    """Return a flat image in mode RGB, by its color profile where that can be used, else by its gamma."""
    if profile:
        image = _by_profile(image, profile)
    elif gamma is not None and image.mode != "CMYK":
        image = _by_gamma(image, gamma)
    return image if image.mode == "RGB" else image.convert("RGB")


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the image converted; as it is if the profile is broken, of another color space, or that of sRGB."""
    try:
        if len(profile) <= _MAX_SRGB_BYTES and _is_srgb(profile):
            return image
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _PROFILE_MODES.get(source.profile.xcolor_space.strip())
        if mode == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if mode != image.mode:
            return image
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB")
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # None is only returned for conversion in place
        return converted
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


@lru_cache(64)
def _is_srgb(profile: bytes) -> bool:
    """Whether a profile changes no color; remembered, since making a transform takes as long as decoding a thumbnail.

    Raises:
        PyCMSError: it is broken.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if _PROFILE_MODES.get(source.profile.xcolor_space.strip()) != "RGB":
        return False
    probe = _probe()
    changed = ImageCms.applyTransform(probe, ImageCms.buildTransform(source, _srgb(), "RGB", "RGB"))
    return bool(np.abs(np.asarray(changed, np.int16) - np.asarray(probe, np.int16)).max() <= _MAX_SRGB_ERROR)


@cache
def _probe() -> Image.Image:
    """Return an image of 9 x 9 x 9 colors that lie evenly among all."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3))


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _by_gamma(image: Image.Image, gamma: float) -> Image.Image:
    """Return the image of which samples are light to the power of `gamma`."""
    lowest, highest = _USABLE_GAMMAS
    if _SRGB_GAMMAS[0] <= gamma <= _SRGB_GAMMAS[1] or not lowest <= gamma <= highest:
        return image
    light = (np.arange(256) / 255) ** (1 / gamma)
    table = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return image.point((table * 255).round().astype(int).tolist() * len(image.getbands()))


def _from_deep_gray(image: Image.Image) -> Image.Image:
    """Scale gray of more than 8 bits down; Pillow would clip it to white."""
    values = np.array(image, np.float32)
    top = float(np.nanmax(values))
    full = 65535 if image.mode != "F" else 1 if top <= 1 else 255 if top <= 255 else 65535
    np.nan_to_num(values, copy=False).clip(0, full, out=values)
    values *= 255 / full
    return Image.fromarray(values.round(out=values).astype(np.uint8))
