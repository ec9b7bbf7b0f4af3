"""`vsearch predict`: the table that says what each model sees, and the vote."""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from vsearch.cli import pass_settings, photos
from vsearch.cli.console import table
from vsearch.cli.opening import open_model
from vsearch.images import Limits
from vsearch.model.heads import Predictions
from vsearch.settings import Settings

_SHOWN = 3


@click.command(epilog="Example: vsearch predict sofa.jpg")
@click.argument("paths", metavar="PHOTO|DIR|TAR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@pass_settings
def command(settings: Settings, paths: tuple[Path, ...]) -> None:
    """Print each model's three likeliest classes with their confidence, and the majority vote.

    Ties of the vote go to the class with the highest mean probability.
    """
    model = open_model(settings)
    for name, picture in photos.readable(photos.read(paths), Limits.of(settings)):
        said = model.checkpoint.heads.predict(model.encoder.blocks([picture]))
        table(name, ("model", "first", "second", "third"), lines(said))


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


def _likeliest(classes: tuple[str, ...], probabilities: NDArray[np.float32]) -> list[str]:
    order = np.argsort(-probabilities)[:_SHOWN]
    shown = [f"{classes[i]} {100 * probabilities[i]:.1f} %" for i in order]
    return shown + [""] * (_SHOWN - len(shown))
