import numpy as np

from vsearch.core.vectors import l2_normalize
from vsearch.imaging import descriptors


def square(side: int, kind: str, tint: tuple[int, int, int] = (200, 40, 40)) -> np.ndarray:
    """Return a filled disk or a vertical bar on white."""
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    inside = rows**2 + columns**2 < 0.5 if kind == "disc" else np.abs(columns) < 0.15
    return np.where(inside[..., None], tint, 255).astype(np.uint8)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of two vectors."""
    return float(l2_normalize(a) @ l2_normalize(b))


def test_color_histograms_compare_colors_regardless_of_shape() -> None:
    """Slightly more light changes them only slightly."""
    disc, bar = (descriptors.color_histogram(square(64, kind)) for kind in ("disc", "bar"))
    lighter, blue = (descriptors.color_histogram(square(64, "disc", tint)) for tint in ((204, 44, 44), (40, 40, 200)))
    assert disc.shape == (768,)
    np.testing.assert_allclose(np.linalg.norm(disc), 1, rtol=1e-5)
    assert cosine(disc, bar) > cosine(disc, blue)
    assert cosine(disc, lighter) > 0.97
