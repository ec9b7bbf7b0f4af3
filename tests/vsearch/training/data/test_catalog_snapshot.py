from collections import defaultdict
from pathlib import Path

import pytest

from vsearch.core.errors import DatasetError
from vsearch.training.data import catalog_snapshot
from vsearch.training.data.catalog_snapshot import CatalogImage
from vsearch.training.data.sources import LabeledImage, read_source
from vsearch.training.plan import CatalogSource


def catalog(folder: Path, products: int = 30) -> list[CatalogImage]:
    """Write two files, which are not images, for each product, and list them; two products share a design."""
    found = []
    for number in range(2 * products):
        file = folder / f"{number}.jpg"
        file.write_bytes(bytes([number]))
        product = number // 2
        attributes = {"color": ["red", "blue"], "size": []}
        found.append(
            CatalogImage(str(file), f"p{product} {number}", f"p{product}", f"d{product // 2}", "Sofas", attributes)
        )
    return found


def take(images: list[CatalogImage], folder: Path, *, begun: bool = False, finished: bool = False) -> None:
    catalog_snapshot.take(lambda: images, folder, begun=begun, finished=finished)


def read(folder: Path, **keys: object) -> list[LabeledImage]:
    source = CatalogSource.model_validate({"kind": "catalog", "terms": "ours", "val_share": 0.3} | keys)
    return list(read_source(source, folder, work=folder))


def test_variants_of_a_design_are_in_one_split(tmp_path):
    take(catalog(tmp_path), tmp_path)

    splits = defaultdict(set)
    for image in read(tmp_path):
        splits[image.group].add(image.split)

    assert len(splits) == 15
    assert {frozenset(each) for each in splits.values()} == {frozenset({"train"}), frozenset({"val"})}
    assert dict(read(tmp_path)[0].labels).keys() == {"product", "category", "color"}
    assert {image.labels["color"] for image in read(tmp_path)} == {"red|blue"}


def test_a_large_catalog_is_sampled_by_design(tmp_path):
    take(catalog(tmp_path), tmp_path)

    few = read(tmp_path, max_images=10)

    assert len(few) == 12  # four images of each design
    assert few == read(tmp_path)[:12]


def test_a_run_continues_with_the_images_it_began_with(tmp_path):
    images = catalog(tmp_path)
    take(images, tmp_path)

    take(images[2:], tmp_path, begun=True)
    assert len(read(tmp_path)) == 60
    with pytest.raises(DatasetError, match="changed"):
        take(images[2:], tmp_path, begun=True, finished=True)
    take(images[2:], tmp_path)
    assert len(read(tmp_path)) == 58


def test_a_image_that_is_gone_is_named(tmp_path):
    images = catalog(tmp_path)
    take(images, tmp_path)
    Path(images[7].file).unlink()

    with pytest.raises(DatasetError, match="p3 7"):
        read(tmp_path)


def test_too_few_products_and_a_missing_list_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="19 products"):
        take(catalog(tmp_path, 19), tmp_path)
    with pytest.raises(DatasetError, match=r"catalog\.json"):
        read(tmp_path)
