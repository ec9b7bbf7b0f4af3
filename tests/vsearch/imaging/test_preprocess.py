import numpy as np
import pytest

from vsearch.imaging.preprocess import border, fit_square, trim, trim_box


def packshot(height: int = 200, width: int = 300) -> np.ndarray:
    """Return a red product at x 100-200, y 50-150 on white."""
    picture = np.full((height, width, 3), 255, np.uint8)
    picture[50:150, 100:200] = (200, 30, 30)
    return picture


@pytest.mark.parametrize(("darkest", "reaches_the_edge"), [(1, False), (0.65, False), (0.65, True)])
def test_a_uniform_border_is_trimmed(darkest: float, reaches_the_edge: bool) -> None:
    """The border may be lit from one side."""
    picture = packshot().astype(np.float64)
    if reaches_the_edge:
        picture[150:, 140:160] = (200, 30, 30)
    lit = (picture * np.linspace(darkest, 1, 300)[:, None]).astype(np.uint8)
    x0, y0, x1, y1 = trim_box(lit)
    assert border(lit)[1] == (darkest == 1)
    assert 90 <= x0 <= 100
    assert 40 <= y0 <= 50
    assert 200 <= x1 <= 212
    assert y1 == 200 if reaches_the_edge else 150 <= y1 <= 162


def test_images_that_are_blank_or_have_no_uniform_border_are_not_trimmed() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    assert not border(picture)[1]
    for whole in (picture, np.full((50, 70, 3), 250, np.uint8)):
        assert trim(whole).shape == whole.shape


@pytest.mark.parametrize("shape", [(100, 100), (40, 400), (400, 40), (16, 300), (1000, 16)])
def test_a_square_is_filled_with_the_border_color(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), (10, 200, 90), np.uint8)
    square = fit_square(picture, 96)
    assert square.shape == (96, 96, 3)
    assert np.abs(square.astype(int) - (10, 200, 90)).max() <= 1


def test_the_aspect_ratio_becomes_its_square_root() -> None:
    picture = np.zeros((50, 200, 3), np.uint8)
    picture[:, :, 0] = np.arange(200)
    picture[0], picture[-1], picture[:, 0], picture[:, -1] = 255, 255, 255, 255
    square = fit_square(picture, 80)
    assert (square[:20] == 255).all()
    assert not (square[24:56, 10:70] == 255).all()
