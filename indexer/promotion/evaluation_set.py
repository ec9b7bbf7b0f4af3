"""The frozen evaluation set: the photos and right answers that every candidate model is measured with.

    evaluation/
      CURRENT              one line: the id of the set in use; replacing this file is freezing another
      3f9c2a7be01d5c44/    named by its content
        manifest.json      how it was made, when, and the SHA-256 of every other file
        answers.csv        photo, sku
        0000.jpg ...

Made once, from the catalogue or from photos of the shop's own, it stays as it is until a person replaces it: only then
do the figures of one month mean the same as those of the next.
"""

import csv
import hashlib
import io
import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from catalog.image_store import ImageStore
from catalog.queries import GalleryRow
from vsearch.core.errors import CatalogError, DatasetError, ImageRejected
from vsearch.core.files import checksum, replace_text, sync
from vsearch.core.settings import Settings
from vsearch.evaluation.queries import Query
from vsearch.imaging import synthetic
from vsearch.imaging.codec import Limits, Picture, crop, decode, encode_jpeg

MOST = 250
"""Photos that are made; each of another product."""

SEED = 40_000
"""Another than the default of `vsearch evaluate shopper`: who tunes on that has not seen these."""

QUALITY = 95
_ANY_SIZE = Limits(min_side=1)  # they were checked when they were frozen
_CURRENT, _ANSWERS, _MANIFEST = "CURRENT", "answers.csv", "manifest.json"

Shots = Iterable[tuple[Picture, Collection[str]]]
"""Photos with the skus that are right."""


@dataclass(frozen=True)
class FrozenSet:
    """A set on disk, every file checked.

    Attributes:
        set_id: hash of its content, 16 hex digits.
        kind: "made" from catalogue pictures, or a shop's "own" photos.
        answers: file name of each photo -> the skus that are right.
    """

    folder: Path
    set_id: str
    kind: Literal["made", "own"]
    made_at: str
    answers: dict[str, frozenset[str]]

    def queries(self, product_ids: dict[str, int]) -> list[Query]:
        """Return the photos whose product can be found; `product_ids` has it by sku.

        Raises:
            DatasetError: there is none.
        """
        right = {
            photo: frozenset(product_ids[sku] for sku in skus if sku in product_ids)
            for photo, skus in self.answers.items()
        }
        found = [
            Query(decode((self.folder / photo).read_bytes(), _ANY_SIZE), ids) for photo, ids in right.items() if ids
        ]
        if not found:
            raise DatasetError(
                f"The evaluation set must show products that can be found, but all {len(right)} of {self.folder} are "
                "withdrawn; make another with `vsearch models freeze --replace`."
            )
        return found

    def __str__(self) -> str:
        return f"{self.set_id}: {len(self.answers)} {self.kind} photos of {self.made_at[:10]}"


def load(settings: Settings) -> FrozenSet | None:
    """Return the set in use, or None when none has been made.

    Raises:
        DatasetError: a file is missing or was changed.
    """
    file = _folder(settings) / _CURRENT
    if not file.is_file():
        return None
    folder = file.parent / file.read_text(encoding="utf8", errors="replace").strip()
    try:
        said = json.loads((folder / _MANIFEST).read_text(encoding="utf8"))
        for name, digest in said["files"].items():
            if checksum(folder / name) != digest:
                raise ValueError(f"{name} was changed")
        with (folder / _ANSWERS).open(encoding="utf8", newline="") as rows:
            answers = defaultdict(set)
            for row in csv.DictReader(rows):
                answers[row["photo"]].add(row["sku"])
        frozen = {photo: frozenset(skus) for photo, skus in answers.items()}
        return FrozenSet(folder, folder.name, said["kind"], said["made_at"], frozen)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"The frozen evaluation set must be as it was made, but in {folder}: {error}; "
            "bring it back from a backup, or make another with `vsearch models freeze --replace`."
        ) from None


def freeze(settings: Settings, shots: Shots, *, about: dict[str, Any], now: datetime, replace: bool) -> FrozenSet:
    """Write a set, whole or not at all, and use it from now on; the caller holds the run's lock.

    Args:
        settings: say where.
        shots: at least one.
        about: `kind`, and anything worth keeping, such as the seed.
        now: when it is made.
        replace: take the place of a set that is in use, even a damaged one.

    Raises:
        DatasetError: there is a set already and it may not be replaced, or there are no photos.
    """
    folder = _folder(settings)
    if not replace and (old := load(settings)) is not None:
        raise DatasetError(
            f"The evaluation set is frozen, but there is one already ({old}); give --replace to measure with another "
            "from now on: figures from before and after cannot be compared."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as name:
        hidden = Path(name) / "set"
        hidden.mkdir()
        set_id = _write(hidden, shots, {**about, "made_at": f"{now:%Y-%m-%dT%H:%M:%SZ}"})
        if (folder / set_id).exists():
            shutil.rmtree(folder / set_id)
        hidden.rename(folder / set_id)
        sync(folder)
    replace_text(folder / _CURRENT, set_id + "\n")
    for other in folder.iterdir():
        if other.is_dir() and other.name != set_id:
            shutil.rmtree(other)
    made = load(settings)
    assert made is not None
    return made


def made_shots(rows: Iterable[GalleryRow], store: ImageStore, *, seed: int = SEED, most: int = MOST) -> Shots:
    """Yield made shopper photos, cut to the product, each of another product's first picture; the same every time.

    Raises:
        CatalogError: no product has a readable picture.
    """
    first: dict[str, GalleryRow] = {}
    for row in rows:
        first.setdefault(row.sku, row)
    made = 0
    for number, sku in enumerate(np.random.default_rng(seed).permutation(sorted(first)).tolist()):
        try:
            picture = decode(store.read(first[sku].sha256))
        except (CatalogError, ImageRejected):
            continue
        photo, box = synthetic.photo_in_room(picture, np.random.default_rng([seed, number]))
        yield crop(photo, synthetic.add_margin(box)), {sku}
        made += 1
        if made == most:
            return
    if not made:
        raise CatalogError("An evaluation set needs products with readable pictures, but the catalogue has none.")


def known(shots: Shots, skus: Collection[str]) -> Shots:
    """Pass shots on as long as each sku is one of the catalogue's.

    Raises:
        DatasetError: one is not.
    """
    for picture, right in shots:
        strange = sorted(set(right) - set(skus))
        if strange:
            raise DatasetError(
                "An evaluation set must name products of the catalogue that have a picture, but sku "
                f"{strange[0]!r} is none; correct or leave out that row."
            )
        yield picture, right


def _write(folder: Path, shots: Shots, about: dict[str, Any]) -> str:
    answers = io.StringIO()
    lines = csv.writer(answers, lineterminator="\n")
    lines.writerow(("photo", "sku"))
    for name, skus in _photos(folder, shots):
        lines.writerows((name, sku) for sku in sorted(skus))
    (folder / _ANSWERS).write_text(answers.getvalue(), encoding="utf8")
    files = {path.name: checksum(path) for path in sorted(folder.iterdir())}
    if len(files) == 1:
        raise DatasetError("An evaluation set needs at least one photo with its sku, but none was given.")
    (folder / _MANIFEST).write_text(json.dumps({**about, "files": files}, indent=1) + "\n", encoding="utf8")
    for path in folder.iterdir():
        sync(path)
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


def _photos(folder: Path, shots: Shots) -> Iterator[tuple[str, Collection[str]]]:
    for number, (picture, skus) in enumerate(shots):
        name = f"{number:04d}.jpg"
        (folder / name).write_bytes(encode_jpeg(picture, quality=QUALITY))
        yield name, skus


def _folder(settings: Settings) -> Path:
    return settings.data / "evaluation"
