"""`vsearch predict`: the classes of photos, by each network and by vote."""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from vsearch.cli import pass_settings, photos, photos_argument
from vsearch.cli.console import table
from vsearch.cli.load_model import load_model
from vsearch.core.settings import Settings
from vsearch.detection.boxes import non_max_suppression
from vsearch.imaging.codec import Limits
from vsearch.models import registry
from vsearch.models.class_heads import ClassPredictions
from vsearch.models.classifier import Classifier
from vsearch.models.encoder import Encoder
from vsearch.models.trained_heads import VOTE, HeadPredictions

_SHOWN = 3

Line = tuple[str | Text, ...]


@click.command(epilog="Example: vsearch predict sofa.jpg --checkpoint runs/furniture/checkpoint")
@photos_argument
@click.option("--checkpoint", "name", metavar="FOLDER|ID", help="Use the trained heads of this checkpoint.")
@pass_settings
def command(settings: Settings, paths: tuple[Path, ...], name: str | None) -> None:
    """Print each network's three most probable classes, and the majority vote.

    Voting ties go to the class with the highest mean probability. With --checkpoint, print the predictions of every
    trained head by each network and by vote.
    """
    checkpoint = registry.find(settings, name) if name else None
    pictures = photos.decode_all(photos.read(paths), Limits.from_settings(settings))
    if checkpoint is not None and checkpoint.specs:
        classifier = Classifier(checkpoint)
        for photo, picture in pictures:
            lines = trained_head_lines(classifier.predict([picture]))
            table(photo, ("head", "model", "predicts", "confidence", "next"), lines, right=("confidence",))
        return
    if checkpoint is None:
        model = load_model(settings)
        heads, encoder = model.checkpoint.retrieval.heads, model.encoder
    else:
        heads, encoder = checkpoint.retrieval.heads, Encoder(checkpoint)
    for photo, picture in pictures:
        lines = class_head_lines(heads.predict(encoder.blocks([picture])))
        table(photo, ("model", "first", "second", "third"), lines)


def trained_head_lines(predictions: HeadPredictions) -> list[Line]:
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


def class_head_lines(predictions: ClassPredictions) -> list[Line]:
    """Return a line for each network, the mean and the vote for a single image."""
    names, votes = predictions.classes, predictions.votes
    lines: list[Line] = [(name, *_most_probable(names, probabilities[0])) for name, probabilities in votes.items()]
    lines.append(("mean", *_most_probable(names, predictions.probabilities[0])))
    winner = int(predictions.winners[0])
    agreeing = sum(int(probabilities[0].argmax()) == winner for probabilities in votes.values())
    lines.append(("vote", Text(names[winner], style="bold"), f"{agreeing} of {len(votes)} models", ""))
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


def _most_probable(classes: tuple[str, ...], probabilities: NDArray[np.float32]) -> list[str]:
    order = np.argsort(-probabilities)[:_SHOWN]
    shown = [f"{classes[i]} {100 * probabilities[i]:.1f} %" for i in order]
    return shown + [""] * (_SHOWN - len(shown))
