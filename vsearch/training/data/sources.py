"""Where training pictures come from. Every source gives the same: encoded pictures with labels, a split and a group."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vsearch.core.archives import DAMAGED
from vsearch.core.errors import DatasetError
from vsearch.training.data import manifests
from vsearch.training.data.examples import SIDES, Example, cleaned, existing, opened, read, split_of
from vsearch.training.plan_sources import CsvSource, FolderSource, NpzSource, Source, TagsSource, TfrecordSource


def examples(source: Source, root: Path, *, work: Path, seed: int = 0) -> Iterator[Example]:
    """Yield the examples of a source in an order that only the source decides.

    Args:
        source: its paths are relative to `root`.
        root: folder of the data sets.
        work: folder where drawn tags are kept.
        seed: of the splits by group, where the source does not say them itself.

    Raises:
        DatasetError: a file, picture or column is missing, or a file is damaged.
    """
    for example in _read_from(source, root, work=work, seed=seed):
        if example.split == "train" or source.judge:
            yield from _renamed(source, example)


def _read_from(source: Source, root: Path, *, work: Path, seed: int) -> Iterator[Example]:
    if isinstance(source, NpzSource):
        return _npz(source, existing(root / source.file))
    if isinstance(source, CsvSource):
        return manifests.examples(source, root, seed)
    if isinstance(source, FolderSource):
        return _folder(source, root / source.folder, seed)
    if isinstance(source, TfrecordSource):
        from vsearch.training.data import records

        return records.read(root / source.folder)
    assert isinstance(source, TagsSource)
    from vsearch.training import tags

    return tags.examples(source, work)


def _renamed(source: Source, example: Example) -> Iterator[Example]:
    """Yield the example with the names that the source gives its values; none where nothing known of it is left."""
    values = {} if isinstance(source, TfrecordSource | TagsSource) else source.values
    if not values:
        yield example
        return
    labels = {label: values[value] for label, value in example.labels.items() if value in values}
    if labels or example.boxes is not None:
        yield replace(example, labels=labels)


def _npz(source: NpzSource, file: Path) -> Iterator[Example]:
    try:
        with np.load(file) as arrays:
            data, offsets, labels, split = (arrays[name] for name in ("data", "offsets", "labels", "split"))
            classes = [cleaned(str(name).split(",")[0]) for name in arrays["names"]]
            names = [str(name) for name in arrays["filenames"]] if "filenames" in arrays else None
            if len(offsets) != len(labels) + 1 or len(split) != len(labels) or len(names or labels) != len(labels):
                raise ValueError(f"{len(labels)} labels, {len(split)} splits and {len(offsets)} offsets")
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
                raise ValueError(f"a label outside its {len(classes)} names")
    except (*DAMAGED, KeyError, ValueError) as error:
        what = str(error).strip("'")
        raise DatasetError(
            f"A file of packed pictures must hold data, offsets, labels, split and names, but {file} does not "
            f"({what}); copy it again."
        ) from None
    for number, label in enumerate(labels):
        encoded = data[offsets[number] : offsets[number + 1]].tobytes()
        name = names[number] if names else str(number)
        yield Example(encoded, {source.label: classes[label]}, SIDES[int(split[number] != 0)], name, name)


def _folder(source: FolderSource, path: Path, seed: int) -> Iterator[Example]:
    """Yield CLASS/PICTURE or train/CLASS/PICTURE; in CLASS/PRODUCT/PICTURE the product is the group."""
    with opened(path) as archive:
        placed = {name: name.split("/") for name in archive}
        deep = [parts for parts in placed.values() if len(parts) > 1]
        root = 0 if path.is_dir() else _common_folder(deep)
        tops = {parts[root] for parts in deep if len(parts) > root + 1}
        if not tops:
            raise DatasetError(
                f"A data set needs one folder of pictures for each class, but {path} has none; put them there."
            )
        says_split = "train" in tops
        for name, parts in placed.items():
            inner = parts[root + says_split : -1]
            group = "/".join(inner) if len(inner) > 1 else name
            side = parts[root] if "val" in tops and says_split else split_of(group, seed, source.val_share)
            if inner and side in SIDES and (not says_split or parts[root] in SIDES):
                yield Example(read(archive, name), {source.label: cleaned(inner[0])}, side, group, name)


def _common_folder(placed: list[list[str]]) -> int:
    """Return 1 where all lies in one outer folder, as in most archives, else 0."""
    outer = {parts[0] for parts in placed}
    return int(len(outer) == 1 and not outer & set(SIDES) and any(len(parts) > 2 for parts in placed))
