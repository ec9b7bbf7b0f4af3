"""`vsearch predict`: the table that says what each model sees, and the vote."""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from vsearch.cli import pass_settings, photos
from vsearch.cli.console import table
from vsearch.cli.load_model import open_model
from vsearch.core.settings import Settings
from vsearch.detection.boxes import non_max_suppression
from vsearch.imaging.codec import Limits
from vsearch.models import registry
from vsearch.models.encoder import open_encoder
from vsearch.models.heads import Predictions
from vsearch.models.predictor import open_classifier
from vsearch.models.trained_heads import VOTE, HeadPredictions

_SHOWN = 3
_TRAINED = ("head", "model", "says", "sure", "next")


@click.command(epilog="Example: vsearch predict sofa.jpg --checkpoint runs/furniture/checkpoint")
@click.argument("paths", metavar="PHOTO|DIR|TAR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--checkpoint", "named", metavar="FOLDER|ID", help="Ask the heads that this checkpoint was trained with.")
@pass_settings
def command(settings: Settings, paths: tuple[Path, ...], named: str | None) -> None:
    """Print each model's three likeliest classes with their confidence, and the majority vote.

    Ties of the vote go to the class with the highest mean probability. With --checkpoint, every head's answer by each
    network and by vote.
    """
    found = registry.find(settings, named) if named else None
    pictures = photos.readable(photos.read(paths), Limits.from_settings(settings))
    if found is not None and found.specs:
        classifier = open_classifier(found)
        for name, picture in pictures:
            table(name, _TRAINED, trained_lines(classifier.predict([picture])), right=("sure",))
        return
    if found is None:
        model = open_model(settings)
        heads, encoder = model.checkpoint.heads, model.encoder
    else:
        heads, encoder = found.heads, open_encoder(found)
    for name, picture in pictures:
        table(name, ("model", "first", "second", "third"), lines(heads.predict(encoder.blocks([picture]))))


def trained_lines(said: HeadPredictions) -> list[tuple[str | Text, ...]]:
    """Return one line for each judge of each head that answers; `said` holds one picture."""
    rows: list[tuple[str | Text, ...]] = []
    for spec in said.specs:
        if spec.kind == "boxes":
            rows += _boxes(spec.name, said)
        for judge in said.predictors if spec.is_classification else ():
            answer = said.labels(judge, spec.name)[0]
            sure = f"{100 * said.confidence(judge, spec.name)[0]:.1f} %"
            head = spec.name if judge == said.predictors[0] else ""
            rows.append(
                (
                    head,
                    judge,
                    Text(answer, style="bold") if judge == VOTE else answer,
                    sure,
                    _next(said, judge, spec.name),
                )
            )
    return rows


def lines(said: Predictions) -> list[tuple[str | Text, ...]]:
    """Return one line for each model, the mean and the vote; `said` holds one picture."""
    rows: list[tuple[str | Text, ...]] = [
        (name, *_likeliest(said.classes, votes[0])) for name, votes in said.votes.items()
    ]
    rows.append(("mean", *_likeliest(said.classes, said.probabilities[0])))
    winner = int(said.winners[0])
    agree = sum(int(votes[0].argmax()) == winner for votes in said.votes.values())
    rows.append(("vote", Text(said.classes[winner], style="bold"), f"{agree} of {len(said.votes)} models", ""))
    return rows


def _boxes(head: str, said: HeadPredictions) -> list[tuple[str | Text, ...]]:
    """Return a line for each of the surest boxes, written as `vsearch search --box` takes them."""
    judge = said.predictors[-1]
    found = non_max_suppression(said.probabilities_of(judge, head)[0], _SHOWN)
    sides = [",".join(f"{side:.3f}" for side in row[1:]) for row in found]
    sure = [f"{100 * row[0]:.1f} %" for row in found]
    return [(head, judge, *line, "") for line in zip(sides, sure, strict=True)]


def _next(said: HeadPredictions, judge: str, head: str) -> str:
    """Return the two likeliest values beside those that a judge says; nothing of digits."""
    spec = said.spec(head)
    if spec.kind == "digits":
        return ""
    answer = said.labels(judge, head)[0].split(spec.separator) if spec.kind == "sigmoid" else said.labels(judge, head)
    found = said.probabilities_of(judge, head)[0]
    order = [number for number in np.argsort(-found) if spec.classes[number] not in answer]
    return ", ".join(f"{spec.classes[number]} {100 * found[number]:.1f} %" for number in order[: _SHOWN - 1])


def _likeliest(classes: tuple[str, ...], probabilities: NDArray[np.float32]) -> list[str]:
    order = np.argsort(-probabilities)[:_SHOWN]
    shown = [f"{classes[i]} {100 * probabilities[i]:.1f} %" for i in order]
    return shown + [""] * (_SHOWN - len(shown))
