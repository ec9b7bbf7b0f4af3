import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.pictures import UNDO, bad_files, difference, encoded, jpeg, noise, png_header, scene
from vsearch.core.errors import ImageRejected, ImageTooLarge
from vsearch.imaging import codec
from vsearch.imaging.codec import Limits, decode
from vsearch.imaging.geometry import Box

MODES = ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "YCbCr"]


def with_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert the image to a Pillow mode."""
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert(mode)


def scene_difference(picture: np.ndarray) -> int:
    """Return how much a picture differs from `scene`, except at edges, where lossy formats blur colors."""
    return difference(picture[4::8, 4::8], np.asarray(scene())[4::8, 4::8])


@pytest.mark.parametrize(("file_format", "mode"), [*(("TIFF", mode) for mode in MODES), ("JPEG", "CMYK")])
def test_decodes_every_color_mode(file_format: str, mode: str) -> None:
    picture = decode(encoded(with_mode(scene(), mode), file_format))
    gray = mode in ("L", "LA", "1", "I;16")
    expected = scene().convert("1" if mode == "1" else "L" if gray else "RGB").convert("RGB")
    assert difference(picture, expected) <= (60 if mode == "P" or file_format == "JPEG" else 12)


@pytest.mark.parametrize(
    ("values", "file_format"),
    [(np.full((20, 20), 32768, np.uint16), "PNG"), (np.full((20, 20), 0.5, np.float32), "TIFF")],
    ids=["16 bits", "float"],
)
def test_deep_gray_is_scaled(values: Any, file_format: str) -> None:
    assert decode(encoded(Image.fromarray(values), file_format))[10, 10].tolist() == [128, 128, 128]


def test_transparency_becomes_white() -> None:
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((0, 0, 0, 128), (16, 0, 32, 32))
    picture = decode(encoded(image, "PNG"))
    assert picture[8, 8].tolist() == [255, 255, 255]
    assert abs(int(picture[8, 24, 0]) - 127) <= 1
    palette = Image.new("P", (32, 32), 0)
    palette.paste(1, (16, 0, 32, 32))
    assert decode(encoded(palette, "GIF", transparency=0))[8, 8].tolist() == [255, 255, 255]


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "AVIF", "GIF"])
@pytest.mark.parametrize("max_side", [None, 32])
def test_alpha_that_is_zero_everywhere_is_ignored(file_format: str, max_side: int | None) -> None:
    image = scene().convert("RGBA")
    image.putalpha(0)
    options: dict[str, Any] = {"exact": True, "lossless": True} if file_format == "WEBP" else {}
    if file_format == "GIF":
        image = Image.new("P", (64, 64), 0)
        image.putpalette((220, 30, 30))
        options = {"transparency": 0}
    picture = decode(encoded(image, file_format, **options), max_side=max_side)
    assert np.abs(picture[4, 4].astype(int) - (220, 30, 30)).max() <= 10


@pytest.mark.parametrize("file_format", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("max_side", [None, 32])
def test_exif_orientation_is_applied(file_format: str, orientation: int, max_side: int | None) -> None:
    stored = scene().transpose(UNDO[orientation]) if orientation in UNDO else scene()
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "camera"
    frames: dict[str, Any] = {"save_all": True, "append_images": [scene()]} if file_format == "MPO" else {}
    picture = decode(encoded(stored, file_format, quality=95, exif=exif.tobytes(), **frames), max_side=max_side)
    assert scene_difference(picture if max_side is None else picture.repeat(2, axis=0).repeat(2, axis=1)) <= 25


@pytest.mark.parametrize("kind", bad_files())
def test_bad_files_are_rejected_with_a_reason(kind: str) -> None:
    data, problem = bad_files()[kind]
    with pytest.raises(ImageRejected) as caught:
        decode(data)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("data", "limits", "limit"),
    [
        (noise(200, 200), Limits(max_bytes=1000), r"0\.001 MB"),
        (png_header(400, 300), Limits(max_pixels=100_000), r"0\.1 million"),
    ],
    ids=["bytes", "pixels"],
)
def test_limits_are_checked_before_decoding(data: bytes, limits: Limits, limit: str) -> None:
    with pytest.raises(ImageTooLarge, match=limit):
        decode(data, limits)


def test_large_png_text_is_skipped() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "a" * 70_000_000, zip=True)
    assert difference(decode(encoded(scene(), "PNG", pnginfo=info)), scene()) == 0


def test_every_format_is_decoded_in_many_threads() -> None:
    """Only the first frame is decoded."""
    formats = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "HEIF"] * 3
    more: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (64, 64), 0)]}
    files = [encoded(scene(), name, quality=95, **(more if name == "GIF" else {})) for name in formats]
    barrier = threading.Barrier(8)

    def work(data: bytes) -> np.ndarray:
        barrier.wait()
        return decode(data)

    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(work, files))
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}
    assert [name for name, picture in zip(formats, pictures, strict=True) if scene_difference(picture) > 25] == []


def test_large_images_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small images are decoded in the meantime."""
    monkeypatch.setattr(codec, "_LARGE_PIXELS", 10_000)
    large, small = jpeg(200, 100), jpeg(60, 40)
    running: list[int] = []
    flatten = codec.color_profiles.flatten

    def watched(image: Image.Image) -> Image.Image:
        if image.width > 100:
            running.append(1)
            assert running == [1]
            assert decode(small).shape == (40, 60, 3)
            running.pop()
        return flatten(image)

    monkeypatch.setattr(codec.color_profiles, "flatten", watched)
    with ThreadPoolExecutor(8) as threads:
        assert {picture.shape for picture in threads.map(decode, [large] * 24)} == {(100, 200, 3)}


def test_encoded_jpeg_has_no_metadata() -> None:
    data = codec.encode_jpeg(decode(jpeg()))
    assert scene_difference(decode(data)) <= 12
    assert b"Exif" not in data
    assert b"ICC_PROFILE" not in data


@pytest.mark.parametrize(("size", "expected"), [((400, 200), (50, 100)), ((200, 400), (100, 50)), ((80, 60), (60, 80))])
def test_max_side_only_shrinks(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert decode(jpeg(*size), max_side=100).shape[:2] == expected


@pytest.mark.parametrize("mode", MODES)
def test_max_side_gives_the_same_picture_as_resizing(mode: str) -> None:
    data = encoded(with_mode(scene(256, 256), mode), "TIFF")
    shrunk, resized = decode(data, max_side=64), codec.resize(decode(data), 64, 64)
    assert difference(shrunk[8::16, 8::16], resized[8::16, 8::16]) <= 6


def test_resize_is_antialiased() -> None:
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    small = codec.resize(np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8), 32, 16)
    assert small.shape == (16, 32, 3)
    assert np.abs(small.astype(int) - 127).max() < 12


@pytest.mark.parametrize(
    ("side", "box", "shape"),
    [
        (64, Box(0.5, 0, 1, 0.5), (32, 32, 3)),
        (64, Box(0, 0, 1, 1), (64, 64, 3)),
        (16, Box(0.99, 0.99, 1, 1), (1, 1, 3)),
    ],
)
def test_crop(side: int, box: Box, shape: tuple[int, ...]) -> None:
    assert codec.crop(decode(jpeg(side, side)), box).shape == shape
