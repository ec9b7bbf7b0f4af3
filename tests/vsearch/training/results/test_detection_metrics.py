"""How many true boxes are found."""

import numpy as np
import pytest

from vsearch.models.trained_heads import HeadPredictions, HeadSpec
from vsearch.training.data.dataset import Split
from vsearch.training.results import artifacts, detection_metrics, report

HEAD = HeadSpec("products", "boxes")
LEFT, RIGHT, LOW = [0.0, 0.0, 0.4, 1.0], [0.6, 0.0, 1.0, 1.0], [0.4, 0.8, 0.6, 1.0]
NONE = [0.0] * 4


def cells(*rows: tuple[float, list[float]]) -> np.ndarray:
    """Return what a head says of one picture: a confidence and a box in each of six cells."""
    filled = [*rows, *[(0.0, NONE)] * (6 - len(rows))]
    return np.array([[sure, *box] for sure, box in filled], np.float32).reshape(2, 3, 5)


SAID = np.stack(
    [
        cells((0.9, LEFT), (0.8, LOW), (0.2, RIGHT)),
        cells((0.9, LOW)),
        cells((0.1, LOW)),
        cells((0.9, LEFT)),
    ]
)
TRUE = np.array([[LEFT, RIGHT], [LEFT, NONE], [NONE, NONE], [[-1] * 4] * 2], np.float32)


def judged() -> HeadPredictions:
    """Return these answers as a judgement."""
    return HeadPredictions((HEAD,), {"pocket_detector": {"products": SAID}})


def test_a_box_is_found_by_the_first_proposal_that_overlaps_it() -> None:
    """A picture whose boxes nobody knows counts for nothing, one that has none finds none."""
    found = detection_metrics.found(SAID, TRUE)

    assert [picture.place for picture in found] == [0, 1, 2]
    assert [picture.ranks.tolist() for picture in found] == [[1, 3], [0], []]
    assert found[0].within(1).tolist() == [True, False]


def test_figures_count_boxes() -> None:
    """Two of three boxes are among three proposals: the headline, and a column for each number."""
    figures = report.figures(judged(), {"products": TRUE})

    said = figures["heads"]["products"]["judges"]["pocket_detector"]
    assert said["right"]["mean"] == pytest.approx(2 / 3)
    assert [said["found"][count]["mean"] for count in ("1", "3", "5")] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    columns, lines = report.lines(figures)
    assert columns == ["model", "products in 1", "products in 3", "products in 5"]
    assert [len(line) for line in lines] == [4]
    assert report.verdict(figures) == []


def test_a_sheet_shows_what_was_found(tmp_path) -> None:
    """Whatever there is, and nothing where nobody knows."""
    names = ("a", "b", "c", "d")
    pictures = np.zeros((4, 20, 20, 3), np.uint8)
    split = Split(pictures, {"products": TRUE}, names, names, np.ones(4, np.int32), np.ones(4, np.bool_))

    artifacts.write(tmp_path, "rooms", split, judged(), judged())
    first = (tmp_path / "boxes_products.png").read_bytes()
    artifacts.write(
        tmp_path, "rooms", split.where(np.array([False, False, False, True])), part(judged()), part(judged())
    )

    assert first[:4] == b"\x89PNG"
    assert (tmp_path / "boxes_products.png").read_bytes() != first
    assert [file.name for file in tmp_path.iterdir()] == ["boxes_products.png"]


def part(judgement: HeadPredictions) -> HeadPredictions:
    """Return the judgement of the last picture."""
    return HeadPredictions(
        (HEAD,), {"pocket_detector": {"products": judgement.probabilities_of("pocket_detector", "products")[3:]}}
    )
