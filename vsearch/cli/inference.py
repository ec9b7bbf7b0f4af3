"""Commands that run the model: `vsearch encode`, `vsearch predict` and `vsearch bench`; and functions to load it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

import click
import numpy as np
from rich.text import Text

from vsearch.cli import pass_settings, photos_argument
from vsearch.cli.bench_http import bench_http
from vsearch.cli.bench_index import bench_index
from vsearch.cli.bench_query import bench_query
from vsearch.cli.console import out, progress, table
from vsearch.cli.inputs import Photo, decode_photos, read_photos
from vsearch.core.errors import DatasetError
from vsearch.core.files import atomic_write
from vsearch.core.settings import Settings
from vsearch.detection.boxes import non_max_suppression
from vsearch.detection.detector import open_active
from vsearch.imaging.codec import Limits, decode
from vsearch.index import generation as generations
from vsearch.models import registry
from vsearch.models.checkpoint import Checkpoint
from vsearch.models.class_heads import CLASS
from vsearch.models.classifier import Classifier
from vsearch.models.encoder import PREPARING_THREADS, Encoder, Inputs
from vsearch.models.trained_heads import VOTE, HeadPredictions
from vsearch.models.whitening import Projection
from vsearch.search.engine import Engine

_SHOWN = 3  # classes or boxes
_REPEATS = 7
_COLUMNS = ("", "images/s", "ms each", "ratio")

Line = tuple[str | Text, ...]


@dataclass(frozen=True)
class Model:
    """An encoder, its checkpoint, and the whitening that projects its blocks."""

    encoder: Encoder
    checkpoint: Checkpoint
    whitening: Projection
    origin: str


def load_engine(settings: Settings) -> Engine:
    """Load the published generation.

    Raises:
        NoGeneration: nothing has been published yet.
        VSearchError: it cannot be loaded.
    """
    engine = Engine(settings, open_detector=open_active)
    engine.refresh()
    if engine.problem is not None:
        raise engine.problem
    return engine


def load_model(settings: Settings) -> Model:
    """Load the model of the published generation, or else the configured or bundled checkpoint.

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """
    if generations.current_id(settings.generations) is not None:
        serving = load_engine(settings).serving
        published = serving.generation
        origin = f"generation {published.generation_id}"
        return Model(serving.encoder, serving.checkpoint, published.whitening, origin)
    checkpoint = registry.find(settings, settings.checkpoint or registry.BUNDLED)
    return Model(
        Encoder(checkpoint), checkpoint, checkpoint.retrieval.whitening, f"checkpoint {checkpoint.checkpoint_id}"
    )


@click.command(epilog="Example: vsearch encode photos.tar --out photos.npz")
@photos_argument
@click.option("--out", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The .npz file.")
@pass_settings
def encode(settings: Settings, paths: tuple[Path, ...], target: Path) -> None:
    """Write ids, embeddings, probabilities and classes of images to FILE.npz.

    ids: n file names without extension. embeddings: float32 [n, d] projected by the published generation (before
    publication, by the checkpoint's own whitening), not normalized. probabilities: float32 [n, c], the mean of
    the networks. classes: c names. Images that cannot be read are reported on standard error and left out.
    """
    if not target.parent.is_dir():
        raise DatasetError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    model = load_model(settings)
    decoded = decode_photos(read_photos(paths), Limits.from_settings(settings))
    heads = model.checkpoint.retrieval.heads
    ids: list[str] = []
    embeddings, probabilities = [], []
    with progress("encode") as advance:
        while batch := list(islice(decoded, settings.batch_size)):
            blocks = model.encoder.blocks([picture for _, picture in batch])
            ids += [name for name, _ in batch]
            embeddings.append(model.whitening.project(blocks))
            probabilities.append(heads.predict(blocks).mean(CLASS))
            advance(len(ids), 0)
    joined = np.concatenate(embeddings)
    arrays = {"embeddings": joined, "probabilities": np.concatenate(probabilities), "classes": np.array(heads.classes)}
    with atomic_write(target) as file:
        np.savez(file, ids=np.array(ids), **arrays)  # type: ignore[arg-type]  # the stub takes the names for options
    out.print(f"{len(ids)} images encoded with {model.origin}; embeddings have {joined.shape[1]} dimensions")


@click.command(epilog="Example: vsearch predict sofa.jpg --checkpoint runs/furniture/checkpoint")
@photos_argument
@click.option("--checkpoint", "name", metavar="FOLDER|ID", help="Use the trained heads of this checkpoint.")
@pass_settings
def predict(settings: Settings, paths: tuple[Path, ...], name: str | None) -> None:
    """Print what each network predicts, and the majority vote.

    Voting ties go to the class with the highest mean probability. Without --checkpoint, or if it has no trained heads,
    these are the class heads that searches use.
    """
    checkpoint = registry.find(settings, name) if name else None
    pictures = decode_photos(read_photos(paths), Limits.from_settings(settings))
    if checkpoint is not None and checkpoint.specs:
        classifier = Classifier(checkpoint)
        for photo, picture in pictures:
            _show(photo, classifier.predict([picture]))
        return
    if checkpoint is None:
        model = load_model(settings)
        heads, encoder = model.checkpoint.retrieval.heads, model.encoder
    else:
        heads, encoder = checkpoint.retrieval.heads, Encoder(checkpoint)
    for photo, picture in pictures:
        _show(photo, heads.predict(encoder.blocks([picture])))


def _show(photo: str, predictions: HeadPredictions) -> None:
    columns = ("head", "model", "predicts", "confidence", "next")
    table(photo, columns, prediction_lines(predictions), right=("confidence",))


def prediction_lines(predictions: HeadPredictions) -> list[Line]:
    """Return a line for each predictor of each classification head, and for each box, of a single image."""
    lines: list[Line] = []
    for spec in predictions.specs:
        if spec.kind == "boxes":
            lines += _box_lines(spec.name, predictions)
        for predictor in predictions.predictors if spec.is_classification else ():
            label = predictions.labels(predictor, spec.name)[0]
            lines.append((
                spec.name if predictor == predictions.predictors[0] else "",
                predictor,
                Text(label, style="bold") if predictor == VOTE else label,
                f"{100 * predictions.confidence(predictor, spec.name)[0]:.1f} %",
                _runners_up(predictions, predictor, spec.name),
            ))  # fmt: skip
    return lines


def _box_lines(head: str, predictions: HeadPredictions) -> list[Line]:
    """Return a line for each of the most confident boxes, in the format of `vsearch search --box`."""
    predictor = predictions.predictors[-1]
    boxes = non_max_suppression(predictions.probabilities_of(predictor, head)[0], _SHOWN)
    return [(head, predictor, ",".join(f"{s:.3f}" for s in row[1:]), f"{100 * row[0]:.1f} %", "") for row in boxes]


def _runners_up(predictions: HeadPredictions, predictor: str, head: str) -> str:
    spec = predictions.spec(head)
    if spec.kind == "digits":
        return ""
    label = predictions.labels(predictor, head)[0]
    predicted = label.split(spec.separator) if spec.kind == "sigmoid" else [label]
    probabilities = predictions.probabilities_of(predictor, head)[0]
    order = [number for number in np.argsort(-probabilities) if spec.classes[number] not in predicted]
    return ", ".join(f"{spec.classes[number]} {100 * probabilities[number]:.1f} %" for number in order[: _SHOWN - 1])


@click.group()
def bench() -> None:
    """Measure speed relative to a baseline."""


@bench.command("encode", epilog="Example: vsearch bench encode photos.tar --count 128")
@photos_argument
@click.option("--count", default=96, show_default=True, type=click.IntRange(2), help="Images to encode.")
@pass_settings
def bench_encode(settings: Settings, paths: tuple[Path, ...], count: int) -> None:
    """Encode images as an index run does; the baseline are the networks alone, without reading and preparing images."""
    model, size = load_model(settings), settings.batch_size
    encoder, limits = model.encoder, Limits.from_settings(settings)
    photos = list(islice(read_photos(paths), count))
    inputs = [encoder.prepare(picture) for _, picture in decode_photos(iter(photos), limits)]

    def prepare(photo: Photo) -> Inputs:
        return encoder.prepare(decode(photo.data, limits))

    def encode_as_index_run() -> None:
        with ThreadPoolExecutor(PREPARING_THREADS) as pool:
            prepared = pool.map(prepare, photos)
            while batch := list(islice(prepared, size)):
                encoder.blocks(batch)

    ways: dict[str, Callable[[], object]] = {
        f"networks alone, batches of {size}": lambda: [
            encoder.blocks(inputs[start : start + size]) for start in range(0, len(inputs), size)
        ],
        "as an index run": encode_as_index_run,
        "one by one": lambda: [encoder.blocks([prepare(photo)]) for photo in photos],
    }
    seconds = {name: _seconds(way, repeats=3) for name, way in ways.items()}
    baseline = next(iter(seconds.values()))
    lines = [
        (name, f"{len(inputs) / s:.1f}", f"{1000 * s / len(inputs):.1f}", f"{baseline / s:.2f}")
        for name, s in seconds.items()
    ]
    table(f"Encode {len(inputs)} images with {model.origin}, {model.checkpoint.precision}", _COLUMNS, lines)


for _command in (bench_http, bench_index, bench_query):
    bench.add_command(_command)


def _seconds(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)
