import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests.pictures import UNDO, bad_files, encoded, jpeg, noise, png_header, scene
from vsearch.core.errors import ImageRejected, ImageTooLarge
from vsearch.imaging import codec, filetypes
from vsearch.imaging.codec import Limits, decode
from vsearch.imaging.geometry import Box

QUARTERS = {
    (16, 16): (220, 30, 30),
    (16, 48): (30, 160, 60),
    (48, 16): (40, 60, 200),
    (48, 48): (255, 255, 255),
}


def assert_scene(picture: np.ndarray, tolerance: int = 12) -> None:
    """Check the four quarters of `scene`."""
    assert picture.dtype == np.uint8
    assert picture.shape == (64, 64, 3)
    for (row, column), colour in QUARTERS.items():
        assert np.abs(picture[row, column].astype(int) - colour).max() <= tolerance, (row, column)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_reads_each_format(file_format):
    """Every format that shops and phones use gives the same picture."""
    assert_scene(decode(encoded(scene(), file_format)))


def test_reads_heic():
    """A photo as phones send it is read."""
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(scene()).save(buffer, quality=95)

    assert_scene(decode(buffer.getvalue()), tolerance=25)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "YCbCr"])
def test_reads_each_colour_mode(mode):
    """Grey, palette, transparent, print and deep pictures all come out as RGB."""
    grey = mode in ("L", "LA", "1", "I;16")
    if mode == "I;16":
        image = Image.fromarray((np.asarray(scene().convert("L")).astype(np.uint16)) * 257)
    else:
        image = scene().convert(mode)
    picture = decode(encoded(image, "TIFF"))

    assert picture.shape == (64, 64, 3)
    if grey:
        assert picture[48, 48].tolist() == [255, 255, 255]
        assert abs(int(picture[16, 16, 0]) - int(scene().convert(mode[0]).getpixel((16, 16)))) <= 2 or mode == "I;16"
        assert np.ptp(picture, axis=2).max() == 0
    else:
        assert_scene(picture, tolerance=60 if mode == "P" else 12)


def test_deep_grey_keeps_its_middle():
    """Sixteen-bit grey is scaled, not clipped to white."""
    half = Image.fromarray(np.full((20, 20), 32768, np.uint16))

    assert decode(encoded(half, "PNG"))[10, 10].tolist() == [128, 128, 128]


def test_float_picture_is_scaled():
    """A TIFF of fractions comes out with its middle grey in the middle."""
    half = Image.fromarray(np.full((20, 20), 0.5, np.float32))

    assert decode(encoded(half, "TIFF"))[10, 10].tolist() == [128, 128, 128]


def test_cmyk_jpeg():
    """A print JPEG has its own colours, not their negative."""
    assert_scene(decode(encoded(scene().convert("CMYK"), "JPEG", quality=95)), tolerance=20)


def test_transparency_becomes_white():
    """What is transparent is white, half transparent is half white."""
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((0, 0, 0, 128), (16, 0, 32, 32))
    picture = decode(encoded(image, "PNG"))

    assert picture[8, 8].tolist() == [255, 255, 255]
    assert abs(int(picture[8, 24, 0]) - 127) <= 1


def test_transparent_palette_becomes_white():
    """The transparent colour of a GIF is white."""
    image = Image.new("P", (32, 32), 0)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(1, (16, 0, 32, 32))

    assert decode(encoded(image, "GIF", transparency=0))[8, 8].tolist() == [255, 255, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turn_is_applied(orientation):
    """However the camera was held, the picture stands upright."""
    stored = scene().transpose(UNDO[orientation]) if orientation in UNDO else scene()
    exif = Image.Exif()
    exif[0x0112] = orientation

    assert_scene(decode(encoded(stored, "JPEG", quality=95, exif=exif)))


def test_first_frame_only():
    """Of an animation the first frame is taken."""
    data = encoded(scene(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 64), 0)])

    assert_scene(decode(data))


def test_colour_profile_is_converted():
    """Colours are read by the profile that comes with them: here one that calls blue what sRGB calls red."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    swapped = swapped.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")

    picture = decode(encoded(scene(), "PNG", icc_profile=swapped))

    assert np.abs(picture[16, 16].astype(int) - (30, 30, 220)).max() <= 3


def test_profile_of_another_colour_space_is_ignored():
    """A profile that does not fit the picture leaves the colours as they stand."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()

    assert_scene(decode(encoded(scene(), "PNG", icc_profile=lab)), tolerance=0)


@pytest.mark.parametrize("profile", [b"no profile", bytes(200)], ids=["text", "zeros"])
def test_broken_profile_is_ignored(profile):
    """A profile that cannot be read leaves the colours as they stand."""
    assert_scene(decode(encoded(scene(), "PNG", icc_profile=profile)))


def test_srgb_profile_changes_nothing():
    """The usual profile costs no colour."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    assert_scene(decode(encoded(scene(), "PNG", icc_profile=profile)), tolerance=0)


@pytest.mark.parametrize("kind", bad_files())
def test_refuses(kind):
    """Each kind of bad file is refused with one sentence that names what it is and what to do."""
    data, words = bad_files()[kind]

    with pytest.raises(ImageRejected) as caught:
        decode(data)

    message = str(caught.value)
    assert words in message
    assert message.endswith(".")


def test_byte_limit_comes_first():
    """A file over the byte limit is not even looked at."""
    with pytest.raises(ImageTooLarge, match=r"limit of 0\.001 MB"):
        decode(noise(200, 200), Limits(max_bytes=1000))


def test_pixel_limit_is_read_from_the_header():
    """A picture over the pixel limit is refused before its pixels are touched."""
    with pytest.raises(ImageTooLarge, match=r"0.1 million pixels"):
        decode(png_header(400, 300), Limits(max_pixels=100_000))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "AVIF"])
def test_damage_anywhere_is_an_image_rejected(file_format):
    """Whatever bytes are broken, the answer is a picture or `ImageRejected`, never another error."""
    sound = encoded(scene(), file_format)
    rng = np.random.default_rng(3)
    for _ in range(60):
        data = bytearray(sound)
        for place in rng.integers(0, len(data), 6):
            data[place] = rng.integers(0, 256)
        try:
            decode(bytes(data), Limits(max_pixels=1_000_000))
        except ImageRejected:
            continue


def test_text_in_png_is_not_unpacked():
    """A PNG whose text unpacks to more than memory holds is read without it."""
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "a" * 70_000_000, zip=True)

    assert_scene(decode(encoded(scene(), "PNG", pnginfo=info)))


def test_decodes_in_many_threads():
    """Threads that start at once, on formats not used before, all get their pictures."""
    files = [encoded(scene(), name) for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "PNG")] * 3
    barrier = threading.Barrier(8)

    def work(data: bytes) -> np.ndarray:
        barrier.wait()
        return decode(data)

    with ThreadPoolExecutor(8) as pool:
        for picture in pool.map(work, files):
            assert_scene(picture)


def test_jpeg_round_trip_keeps_the_picture():
    """What is encoded comes back nearly the same, without metadata."""
    picture = decode(jpeg())
    data = codec.encode_jpeg(picture)

    assert_scene(decode(data))
    assert b"Exif" not in data
    assert b"ICC_PROFILE" not in data


@pytest.mark.parametrize(("size", "expected"), [((400, 200), (50, 100)), ((200, 400), (100, 50)), ((80, 60), (60, 80))])
def test_shrinks_the_longer_side_only(size, expected):
    """`max_side` keeps the proportions and never enlarges."""
    picture = decode(codec.encode_jpeg(np.array(scene(*size))), max_side=100)

    assert picture.shape[:2] == expected


def test_resize_is_antialiased():
    """A fine chequerboard shrinks to grey, not to black and white."""
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    picture = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    small = codec.resize(picture, 32, 16)

    assert small.shape == (16, 32, 3)
    assert np.abs(small.astype(int) - 127).max() < 12


def test_crop_takes_the_box():
    """A box in fractions cuts that part out."""
    assert codec.crop(decode(jpeg()), Box(0.5, 0, 1, 0.5)).shape == (32, 32, 3)
    assert codec.crop(decode(jpeg()), Box(0, 0, 1, 1)).shape == (64, 64, 3)
    assert codec.crop(decode(jpeg(16, 16)), Box(0.99, 0.99, 1, 1)).shape == (1, 1, 3)


def test_names_play_no_part():
    """A type is told from bytes alone."""
    assert filetypes.identify(jpeg()) is filetypes.JPEG
    assert filetypes.identify(b"") is filetypes.UNKNOWN


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "YCbCr"])
def test_shrunk_while_decoding(mode):
    """Whatever its mode, a shrunk picture shows what the whole one does."""
    image = scene(256, 256)
    if mode == "I;16":
        image = Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16)) * 257)
    data = encoded(image.convert(mode) if mode != "I;16" else image, "TIFF")

    shrunk, whole = decode(data, max_side=64), codec.resize(decode(data), 64, 64)

    assert shrunk.shape == (64, 64, 3)
    for row, column in QUARTERS:
        assert np.abs(shrunk[row, column].astype(int) - whole[row, column]).max() <= 6


def test_a_turned_photo_is_turned_when_shrunk():
    """The camera's word survives the shrinking, in a JPEG that is decoded at a quarter too."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(scene(400, 200), "JPEG", exif=exif)

    assert decode(data, max_side=50).shape == (50, 25, 3)
    assert np.abs(decode(data, max_side=50).astype(int) - codec.resize(decode(data), 25, 50)).mean() < 4


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch):
    """Eight threads with large pictures need the memory of one; small ones pass by."""
    monkeypatch.setattr(codec, "_LARGE_PIXELS", 10_000)
    large, small = jpeg(200, 100), jpeg(60, 40)
    busy, most = [], []
    flatten = codec.color_profiles.flatten

    def watched(image):
        if image.width > 100:
            busy.append(1)
            most.append(len(busy))
            assert decode(small).shape == (40, 60, 3)
            busy.pop()
        return flatten(image)

    monkeypatch.setattr(codec.color_profiles, "flatten", watched)
    with ThreadPoolExecutor(8) as threads:
        assert {picture.shape for picture in threads.map(decode, [large] * 24)} == {(100, 200, 3)}
    assert set(most) == {1}
