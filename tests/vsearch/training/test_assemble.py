"""What the parts of an embedding are fitted on."""

from collections import Counter
from pathlib import Path

import pytest

from tests.vsearch.training import sample_data

pytestmark = pytest.mark.keras

PRODUCTS = """
[[source]]
kind = "csv"
manifest = "labels.csv"
images = "images.tar"
labels = { product = "colour" }
where = { source = "ours/" }
terms = "drawn here"
[[head]]
name = "product"
kind = "metric"
"""


def test_products_without_a_class_are_fitted_on_too(tmp_path: Path) -> None:
    """All of them beside an even share of each class; pictures of one product belong together, others are alone."""
    from vsearch.training.assemble import sample

    plan = sample_data.write(tmp_path, sample_data.PLAN.replace("[[phase]]", PRODUCTS + "[[phase]]", 1))

    fitted = sample(plan, tmp_path, "train", work=tmp_path)
    scored = sample(plan, tmp_path, "val", work=tmp_path)

    assert Counter(fitted.class_names) == {"bar": 20, "disc": 20, "": 48}
    products = Counter(fitted.products[40:])
    assert set(products) == {"red", "blue"}
    assert len(set(fitted.products[:40])) == 40
    assert len(fitted.pictures) == 88
    assert Counter(scored.class_names) == {"bar": 4, "disc": 4}
