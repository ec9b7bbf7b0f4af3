"""The files that show how a judgement went: confusion, worst mistakes, calibration, a table of classes; found boxes."""

import csv
from dataclasses import astuple, fields
from pathlib import Path

from vsearch.core.files import atomic_write
from vsearch.models.trained_heads import DIGITS, VOTE, HeadPredictions, HeadSpec
from vsearch.training.data.dataset import Split
from vsearch.training.results import detection_metrics, plots, scoring
from vsearch.training.results.calibration import believed, bins

_MOST = 24  # mistakes on a sheet


def write(folder: Path, title: str, split: Split, judgement: HeadPredictions, plain: HeadPredictions) -> None:
    """Write confusion_HEAD.png, worst_HEAD.png, calibration_HEAD.png and per_class_HEAD.csv of each head with words.

    Of a boxes head it is boxes_HEAD.png.

    Args:
        folder: an existing one; files of these names in it are replaced.
        title: the plan's name.
        split: the pictures that were judged.
        judgement: of them, calibrated.
        plain: the same without temperatures.

    Raises:
        OSError: the disk is full; no file is half-written.
    """
    for spec in scoring.classifying(judgement):
        if scoring.labelled(spec, split.targets[spec.name]).any():
            _classes(folder, title, spec, split, judgement)
            _mistakes(folder, title, spec, split, judgement)
            _calibration(folder, title, spec, split, (plain, judgement))
    for spec in judgement.specs:
        if spec.kind == "boxes":
            _boxes(folder, title, spec, split, judgement)


def _classes(folder: Path, title: str, spec: HeadSpec, split: Split, judgement: HeadPredictions) -> None:
    truth, said = scoring.answers(judgement, VOTE, spec.name, split.targets[spec.name])
    flags = scoring.right(judgement, VOTE, spec.name, split.targets[spec.name])
    names = DIGITS if spec.kind == "digits" else spec.classes
    what = f"{title}, {spec.name}: {_who(judgement)}"
    of = f"{len(flags):,} pictures, {100 * flags.mean():.1f} percent wholly right"
    plots.confusion(scoring.confusion(truth, said), names, f"{what}\n{of}", folder / f"confusion_{spec.name}.png")
    with atomic_write(folder / f"per_class_{spec.name}.csv") as file:
        rows = scoring.per_class(spec, truth, said)
        columns = [field.name for field in fields(scoring.ClassFigures)]
        file.write((",".join(columns) + "\n").encode())
        for row in rows:
            file.write(_line([value if isinstance(value, str | int) else f"{value:.4f}" for value in astuple(row)]))


def _mistakes(folder: Path, title: str, spec: HeadSpec, split: Split, judgement: HeadPredictions) -> None:
    targets = split.targets[spec.name]
    flags = scoring.right(judgement, VOTE, spec.name, targets)
    wrong = int((~flags).sum())
    found = [
        plots.Mistake(split.pictures[place], said, true, confidence)
        for place, said, true, confidence in scoring.worst(judgement, spec.name, targets, _MOST)
    ]
    which = f"the {_MOST} mistakes it is surest of, of {wrong:,}" if wrong > _MOST else f"all {wrong} mistakes"
    of = f"{title}, {spec.name}: {which} among {len(flags):,} pictures"
    plots.mistakes(found, of, folder / f"worst_{spec.name}.png")


def _calibration(
    folder: Path, title: str, spec: HeadSpec, split: Split, judgements: tuple[HeadPredictions, HeadPredictions]
) -> None:
    targets = split.targets[spec.name]
    panels = {
        name: {
            judge: bins(*believed(spec, found.probabilities_of(judge, spec.name), targets))
            for judge in found.predictors
        }
        for name, found in zip(("as trained", "with its temperature"), judgements, strict=True)
    }
    what = f"{title}, {spec.name}: how far its probabilities hold"
    plots.reliability(panels, what, folder / f"calibration_{spec.name}.png")


def _boxes(folder: Path, title: str, spec: HeadSpec, split: Split, judgement: HeadPredictions) -> None:
    """Show pictures with missed boxes, those with most first, and as many others from all over."""
    pictures = detection_metrics.found(
        judgement.probabilities_of(judgement.predictors[-1], spec.name), split.targets[spec.name]
    )
    most = detection_metrics.HEADLINE
    pictures.sort(key=lambda picture: int(picture.within(most).sum()) - len(picture.true))
    missed = [picture for picture in pictures if not picture.within(most).all()]
    rest = pictures[len(missed) :]
    others = rest[:: max(1, 2 * len(rest) // _MOST)][: _MOST // 2]
    shown = [
        plots.Boxed(split.pictures[picture.place], picture.true, picture.within(most), picture.proposals[:most])
        for picture in missed[: _MOST - len(others)] + others
    ]
    total = sum(len(picture.true) for picture in pictures)
    hits = sum(int(picture.within(most).sum()) for picture in pictures)
    what = f"{hits:,} of {total:,} boxes found among {most} proposals, in {len(pictures):,} pictures"
    plots.boxes(shown, f"{title}, {spec.name}: {what}", folder / f"boxes_{spec.name}.png")


def _who(judgement: HeadPredictions) -> str:
    return "the vote" if len(judgement.networks) > 1 else judgement.networks[0]


def _line(cells: list[str | int]) -> bytes:
    """Return a line of CSV."""
    import io

    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
