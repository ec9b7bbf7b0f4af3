from collections import Counter

import pytest

from tests.vsearch.training import sample_data
from vsearch.core.errors import DatasetError

pytestmark = pytest.mark.keras

PRODUCTS = """
[[source]]
kind = "csv"
manifest = "labels.csv"
images = "images.tar"
labels = { product = "color" }
where = { source = "ours/" }
terms = "drawn here"
[[head]]
name = "product"
kind = "metric"
"""


def test_the_sample_is_even_over_classes_and_includes_products_without_a_class(tmp_path):
    from vsearch.training.assemble import load_sample

    plan = sample_data.write(tmp_path, sample_data.PLAN.replace("[[phase]]", PRODUCTS + "[[phase]]", 1))

    fitted = load_sample(plan, tmp_path, "train", work=tmp_path)
    scored = load_sample(plan, tmp_path, "val", work=tmp_path)

    assert Counter(fitted.class_names) == {"bar": 20, "disc": 20, "": 48}
    assert set(fitted.products[40:]) == {"red", "blue"}
    assert len(set(fitted.products[:40])) == 40
    assert len(fitted.pictures) == 88
    assert Counter(scored.class_names) == {"bar": 4, "disc": 4}


def test_a_sample_without_classes_is_refused(tmp_path):
    from vsearch.training.assemble import load_sample

    plan = sample_data.write(tmp_path, sample_data.PLAN.replace('name = "kind"', 'name = "shape"'))

    with pytest.raises(DatasetError, match="'shape'"):
        load_sample(plan, tmp_path, "train", work=tmp_path)


def test_images_only_for_differences_are_not_in_the_sample(tmp_path):
    from vsearch.training.assemble import load_sample, load_views

    text = sample_data.PLAN.replace("[[phase]]", PRODUCTS + "[[phase]]", 1)
    plan = sample_data.write(
        tmp_path,
        text.replace(
            '"drawn here"\n[[head]]\nname = "product"',
            '"drawn here"\nonly_differences = true\n[[head]]\nname = "product"',
        ),
    )

    views = load_views(plan, tmp_path, work=tmp_path)

    assert Counter(load_sample(plan, tmp_path, "train", work=tmp_path).class_names) == {"bar": 20, "disc": 20}
    assert views is not None
    assert len(views.pictures) == 48
    assert set(views.products) == {"red", "blue"}


def test_differences_need_two_images_of_a_product(tmp_path):
    from vsearch.training.assemble import load_views

    text = sample_data.PLAN.replace("[[phase]]", PRODUCTS.replace('"color"', '"number"') + "[[phase]]", 1)
    plan = sample_data.write(
        tmp_path,
        text.replace(
            '"drawn here"\n[[head]]\nname = "product"',
            '"drawn here"\nonly_differences = true\n[[head]]\nname = "product"',
        ),
    )

    with pytest.raises(DatasetError, match="'product'"):
        load_views(plan, tmp_path, work=tmp_path)
