import pytest

from vsearch.core.errors import InvalidRequest
from vsearch.imaging.geometry import Box


def test_boxes_round_trip_through_text() -> None:
    box = Box(0.125, 0.25, 0.5, 0.7512)
    assert Box.parse(str(box)) == box


@pytest.mark.parametrize(
    "text",
    [
        *("", "0,0,1", "a,b,c,d", "0,0,1,1,1"),
        *("0.5,0,0.5,1", "0.6,0,0.5,1", "-0.1,0,1,1", "0,0,1,1.2", "nan,0,1,1"),
    ],
)
def test_invalid_boxes_are_rejected(text: str) -> None:
    with pytest.raises(InvalidRequest, match="box"):
        Box.parse(text)
