"""`vsearch bench query`: one photo through an ensemble, against the way that tutorials do it."""

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vsearch.cli import json_option
from vsearch.cli.bench_index import machine
from vsearch.cli.console import table
from vsearch.imaging.codec import decode
from vsearch.imaging.preprocess import fit_square
from vsearch.models.backbones import BACKBONES
from vsearch.models.runtime import Network, Precision, supported_precisions
from vsearch.models.weights import LARGE_ENSEMBLE

SIDE = 500  # pixels of the photo
GALLERY = 1000  # embeddings that the tutorial compares one by one


@dataclass(frozen=True)
class Way:
    """A way to search with a photo, its median time and how many times faster it is than the first."""

    name: str
    ms: float
    speedup: float


@click.command("query", epilog="Example: vsearch bench query --repeats 7")
@click.option("--backbone", "names", multiple=True, type=click.Choice(list(BACKBONES)), help="Repeatable.")
@click.option("--repeats", default=7, show_default=True, type=click.IntRange(3), help="The median is printed.")
@json_option
def bench_query(*, names: tuple[str, ...], repeats: int, as_json: bool) -> None:
    """Compute the features of one photo: `predict`, `tf.function` and this program, in one run.

    The default is ResNet50, VGG16 and InceptionV3. Weights are random, which does not change the time. The baseline
    calls `predict` for each network, and compares with 1,000 embeddings in a loop; it needs the extra `train`.
    """
    from vsearch.models.tensorflow_startup import import_tensorflow

    import_tensorflow()
    ways = compare(names or LARGE_ENSEMBLE, repeats)
    if as_json:
        click.echo(json.dumps({"machine": machine(), "ways": list(map(asdict, ways))}, indent=2))
        return
    lines = [(way.name, f"{way.ms:.1f}", f"{way.speedup:.2f}") for way in ways]
    table(f"One photo of {SIDE} px on {machine()}", ("", "ms", "ratio"), lines, right=("ms", "ratio"))


def compare(names: tuple[str, ...], repeats: int) -> list[Way]:
    """Measure all ways with these backbones."""
    from vsearch.models.network import build_trunk, trunk_graph

    photo = _photo()
    trunks, graphs = {}, {}
    for name in names:
        side = BACKBONES[name].side
        backbone_model, trunks[name] = build_trunk(name, side)
        weights = [np.asarray(weight, np.float32) for weight in backbone_model.weights]
        graphs[name] = (trunk_graph(name, side), weights)
    ways = {"predict, and a loop of cosines": _tutorial(trunks, photo), "tf.function": _traced(trunks, photo)}
    for precision in supported_precisions():
        ways[f"vsearch, {precision}"] = _ours(graphs, photo, precision)
    times = {name: _median_ms(way, repeats) for name, way in ways.items()}
    baseline = next(iter(times.values()))
    return [Way(name, round(ms, 2), round(baseline / ms, 2)) for name, ms in times.items()]


def _median_ms(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return median(times)


def _photo() -> bytes:

    pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((SIDE, SIDE)).save(file, "JPEG")
    return file.getvalue()


def _tutorial(trunks: Mapping[str, Any], photo: bytes) -> Callable[[], object]:
    """Decode, resize and predict for each network, then compare with one embedding after the other."""
    gallery = np.random.default_rng(0).normal(size=(GALLERY, 512)).astype(np.float32)

    def search() -> int:
        for name, trunk in trunks.items():
            side = BACKBONES[name].side
            picture = np.asarray(Image.open(io.BytesIO(photo)).convert("RGB").resize((side, side)), np.float32)
            found = np.concatenate(list(trunk.predict(picture[None], verbose=0).values()), axis=1)[0, :512]
        cosines = [float(found @ each / (np.linalg.norm(found) * np.linalg.norm(each))) for each in gallery]
        return int(np.argmax(cosines))

    return search


def _traced(trunks: Mapping[str, Any], photo: bytes) -> Callable[[], object]:
    import tensorflow as tf

    functions = {name: tf.function(trunk) for name, trunk in trunks.items()}
    return lambda: [functions[name](picture.astype(np.float32)) for name, picture in _squares(trunks, photo).items()]


def _ours(graphs: Mapping[str, Any], photo: bytes, precision: Precision) -> Callable[[], object]:
    networks = {name: Network(graph, weights, name, precision) for name, (graph, weights) in graphs.items()}
    return lambda: [networks[name](picture) for name, picture in _squares(graphs, photo).items()]


def _squares(names: Mapping[str, Any], photo: bytes) -> dict[str, NDArray[np.uint8]]:
    picture = decode(photo)
    return {name: fit_square(picture, BACKBONES[name].side)[None] for name in names}
