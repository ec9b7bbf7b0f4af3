"""The evaluation set: photos of known products that every candidate model is evaluated on.

    evaluation/
      CURRENT              id of the set in use
      3f9c2a7be01d5c44/    named by its content
        manifest.json      kind, creation time, and the SHA-256 and SKUs of each photo
        0000.jpg ...

It stays the same until it is explicitly replaced, so that scores from different months are comparable.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from catalog import queries, reviews
from catalog.image_store import ImageStore
from catalog.queries import GalleryRow
from indexer.build.run_context import RunContext
from vsearch.core.errors import CatalogError, DatasetError, ImageRejected
from vsearch.core.files import checksum, replace_text, sync
from vsearch.core.settings import Settings
from vsearch.evaluation.query_sets import Query
from vsearch.imaging import synthetic
from vsearch.imaging.codec import Limits, Picture, crop, decode, encode_jpeg

MAX_SYNTHETIC = 250
"""Number of synthetic photos, each of a different product."""

SEED = 40_000
"""Differs from the default seed of `vsearch evaluate shopper`, so that tuning on those photos does not leak."""

_JPEG_QUALITY = 95
_CURRENT, _MANIFEST = "CURRENT", "manifest.json"

Photos = Iterable[tuple[Picture, Collection[str]]]
"""Photos with the SKUs that are correct for them."""


@dataclass(frozen=True)
class EvaluationSet:
    """An evaluation set on disk, with every file verified.

    Attributes:
        set_id: hash of its content, 16 hex digits.
        kind: "synthetic" photos made from catalog images, or the shop's "own" photos.
        answers: file name of each photo -> the correct SKUs.
    """

    folder: Path
    set_id: str
    kind: Literal["synthetic", "own"]
    created_at: str
    answers: dict[str, frozenset[str]]

    def queries(self, product_ids: dict[str, int]) -> tuple[list[str], list[Query]]:
        """Return the names and photos of the products in `product_ids` (sku -> product id).

        Raises:
            DatasetError: there are none.
        """
        names, found = [], []
        for photo, skus in self.answers.items():
            relevant = frozenset(product_ids[sku] for sku in skus if sku in product_ids)
            if relevant:
                names.append(photo)
                found.append(Query(decode((self.folder / photo).read_bytes(), Limits(min_side=1)), relevant))
        if not found:
            raise DatasetError(
                f"All products of the evaluation set in {self.folder} have been withdrawn. "
                "Create a new one with `vsearch models evaluation-set --replace`."
            )
        return names, found

    def __str__(self) -> str:
        return f"{self.set_id}: {len(self.answers)} {self.kind} photos from {self.created_at[:10]}"


def load(settings: Settings) -> EvaluationSet | None:
    """Return the set in use, or None if there is none; without reviewed photos that were deleted since.

    Raises:
        DatasetError: a file is missing or was changed.
    """
    current = _folder(settings) / _CURRENT
    if not current.is_file():
        return None
    folder = current.parent / current.read_text(encoding="utf8", errors="replace").strip()
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf8"))
        deleted = {
            name for name, photo in manifest["photos"].items() if "source" in photo and not (folder / name).exists()
        }
        photos = {name: photo for name, photo in manifest["photos"].items() if name not in deleted}
        for name, photo in photos.items():
            if checksum(folder / name) != photo["sha256"]:
                raise ValueError(f"{name} was changed")
        skus = {name: frozenset(photo["skus"]) for name, photo in photos.items()}
        return EvaluationSet(folder, folder.name, manifest["kind"], manifest["created_at"], skus)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"The evaluation set in {folder} is damaged: {error}. "
            "Restore it from a backup, or create a new one with `vsearch models evaluation-set --replace`."
        ) from None


def load_or_create(context: RunContext) -> EvaluationSet:
    """Return the set in use, creating one from synthetic photos if there is none."""
    return load(context.settings) or create(context)


def create(
    context: RunContext, photos: Photos | None = None, *, sources: Sequence[str] = (), replace: bool = False
) -> EvaluationSet:
    """Create the evaluation set from photos with their SKUs, or else from synthetic photos of catalog products.

    `sources` are the SHA-256 of the reviewed photos in the image store that `photos` are from; see `orphans`.

    Raises:
        DatasetError: a set exists and `replace` is false, there are no photos, or a SKU is not in the catalog.
        CatalogError: the catalog has no readable image.
    """
    settings, folder = context.settings, _folder(context.settings)
    if not replace and (old := load(settings)) is not None:
        raise DatasetError(
            f"An evaluation set already exists ({old}). Use --replace to replace it; "
            "scores from before and after will not be comparable."
        )
    with context.sessions() as session:
        rows = queries.gallery_rows(session)
    about: dict[str, Any] = {"kind": "own"}
    if photos is None:
        about = {"kind": "synthetic", "seed": SEED}
        photos = synthetic_photos(rows, ImageStore(settings.pictures))
    about["created_at"] = f"{context.clock():%Y-%m-%dT%H:%M:%SZ}"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        context.stages("create the evaluation set"),
        tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as name,
    ):
        hidden = Path(name) / "set"
        hidden.mkdir()
        set_id = _write(hidden, photos, {row.sku for row in rows}, about, sources)
        if (folder / set_id).exists():
            shutil.rmtree(folder / set_id)
        hidden.rename(folder / set_id)
        sync(folder)
    replace_text(folder / _CURRENT, set_id + "\n")
    for other in folder.iterdir():
        if other.is_dir() and other.name != set_id:
            shutil.rmtree(other)
    created = load(settings)
    assert created is not None
    return created


def synthetic_photos(rows: Iterable[GalleryRow], store: ImageStore) -> Iterator[tuple[Picture, set[str]]]:
    """Yield synthetic shopper photos, each of a different product; every call yields the same ones.

    Every second one is cropped to the product; the others are searched by what the detector finds in them.

    Raises:
        CatalogError: no product has a readable image.
    """
    first: dict[str, GalleryRow] = {}
    for row in rows:
        first.setdefault(row.sku, row)
    count = 0
    for number, sku in enumerate(np.random.default_rng(SEED).permutation(sorted(first)).tolist()):
        try:
            picture = decode(store.read(first[sku].sha256))
        except (CatalogError, ImageRejected):
            continue
        photo, box = synthetic.photo_in_room(picture, np.random.default_rng([SEED, number]))
        yield photo if count % 2 else crop(photo, synthetic.add_margin(box)), {sku}
        count += 1
        if count == MAX_SYNTHETIC:
            return
    if not count:
        raise CatalogError("No product has a readable image for an evaluation set. Import a feed with images first.")


def reviewed_photos(context: RunContext) -> tuple[Photos, list[str]]:
    """Return the reviewed photos of products that are kept for evaluation, cropped to their labeled areas, and sources.

    Raises:
        DatasetError: there are none.
    """
    with context.sessions() as session:
        labels = reviews.effective_labels(session, None)
        sku_of = {row.product_id: row.sku for row in queries.gallery_rows(session)}
    store = ImageStore(context.settings.pictures)
    chosen = [label for label in labels if label.split == "evaluation" and label.product_id in sku_of]
    if not chosen:
        raise DatasetError("No reviewed photo of a product is kept for evaluation. Review more photos first.")
    pictures = [decode(store.read(label.crop_sha256), Limits(min_side=1)) for label in chosen]
    skus = [{sku_of[label.product_id]} for label in chosen if label.product_id is not None]
    return list(zip(pictures, skus, strict=True)), [label.crop_sha256 for label in chosen]


def orphans(settings: Settings) -> Iterator[Path]:
    """Yield the files of reviewed photos that have been deleted from the image store since."""
    store = ImageStore(settings.pictures)
    for manifest in _folder(settings).glob(f"*/{_MANIFEST}"):
        for name, photo in json.loads(manifest.read_text(encoding="utf8"))["photos"].items():
            if "source" in photo and not store.exists(photo["source"]) and (manifest.parent / name).exists():
                yield manifest.parent / name


def _write(folder: Path, photos: Photos, known: Collection[str], about: dict[str, Any], sources: Sequence[str]) -> str:
    """Write all files of a set and return its id."""
    written: dict[str, dict[str, Any]] = {}
    for number, (picture, skus) in enumerate(photos):
        unknown = sorted(set(skus) - set(known))
        if unknown:
            raise DatasetError(
                f"SKU {unknown[0]!r} of the evaluation set is not in the catalog or has no readable image. "
                "Correct or remove that row."
            )
        file = folder / f"{number:04d}.jpg"
        file.write_bytes(encode_jpeg(picture, quality=_JPEG_QUALITY))
        written[file.name] = {"sha256": checksum(file), "skus": sorted(skus)}
        if sources:
            written[file.name]["source"] = sources[number]
    if not written:
        raise DatasetError("The evaluation set has no photos. Give at least one photo with its SKU.")
    manifest = json.dumps({**about, "photos": written}, indent=1, sort_keys=True)
    (folder / _MANIFEST).write_text(manifest + "\n", encoding="utf8")
    for path in folder.iterdir():
        sync(path)
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:16]


def _folder(settings: Settings) -> Path:
    return settings.data / "evaluation"
