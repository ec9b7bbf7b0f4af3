"""Compares formats of thumbnails: bytes at equal similarity to the original (SSIM of the brightness), and milliseconds.

    python docs/examples/thumbnail_formats.py SIDE FILE...

Pictures whose longer side is below SIDE are skipped. Needs scikit-image.
"""

import io
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from vsearch.imaging.codec import Limits, decode

TARGET = 0.9925
QUALITIES = (50, 60, 70, 80, 90)
FORMATS = {
    "JPEG": {"format": "JPEG", "progressive": True, "optimize": True},
    "WebP, method 4": {"format": "WEBP", "method": 4},
    "WebP, method 6": {"format": "WEBP", "method": 6},
    **{f"AVIF, speed {speed}": {"format": "AVIF", "speed": speed, "max_threads": 1} for speed in (6, 7, 8, 9)},
}


def brightness(picture: Image.Image) -> np.ndarray:
    """Return uint8 [height, width]."""
    return np.asarray(picture.convert("L"))


side = int(sys.argv[1])
pictures = [decode(Path(name).read_bytes(), Limits(min_side=1), max_side=side) for name in sys.argv[2:]]
images = [Image.fromarray(picture) for picture in pictures if max(picture.shape) == side]
sys.stdout.write(f"{len(images)} pictures of {side} px; bytes, quality and ms (95 %) at a mean SSIM of {TARGET}\n")
for name, options in FORMATS.items():
    rows = []
    for quality in QUALITIES:
        sizes, similarities, times = [], [], []
        for image in images:
            file = io.BytesIO()
            started = time.perf_counter()
            image.save(file, quality=quality, **options)
            times.append(1000 * (time.perf_counter() - started))
            sizes.append(len(file.getvalue()))
            similarities.append(structural_similarity(brightness(image), brightness(Image.open(file))))
        rows.append((np.mean(similarities), np.mean(sizes), quality, np.median(times), np.percentile(times, 95)))
    similarity, *columns = np.array(rows).T
    size, quality, median, slow = (np.interp(TARGET, similarity, column) for column in columns)
    sys.stdout.write(f"{name:16} {size:6.0f} B, quality {quality:.0f}, {median:5.1f} ms ({slow:.1f})\n")
