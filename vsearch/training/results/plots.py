"""The plots and tables of a run: learning curves, confusion, errors, calibration, detections.

This is the only module that uses matplotlib. It avoids pyplot, so that no figure outlives its function.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from vsearch.core.files import atomic_write
from vsearch.imaging.codec import Picture
from vsearch.models.trained_heads import DIGITS, VOTE, HeadPredictions, HeadSpec
from vsearch.training.data.dataset import Split
from vsearch.training.results import head_metrics
from vsearch.training.results.head_metrics import DETECTIONS, ClassMetrics

History = Sequence[Mapping[str, Any]]
"""See `vsearch.training.loop.resume.TrainingState`."""

_MAX_PICTURES = 24  # in a grid
_DPI = 150
_WIDTH = 9.0  # inches
_FAINT = "#8a8f98"
_COLORS = ("#0b66c3", "#d1531d", "#2b8a4b", "#8a3fa0", "#b8860b", "#1f8f99") * 9
_WRONG, _RIGHT = "#b3261e", "#1e6b3a"
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
}
_PHASE_NAMES = 16  # points above the axes
_MAX_NUMBERED_CLASSES = 30  # with a count in each cell of a confusion matrix
_MAX_NAMED_CLASSES = 80


def write_artifacts(
    folder: Path, title: str, split: Split, calibrated: HeadPredictions, uncalibrated: HeadPredictions
) -> None:
    """Write the plots and tables of each head into an existing folder, replacing those of an earlier run.

    They are confusion_HEAD.png, errors_HEAD.png, calibration_HEAD.png and per_class_HEAD.csv, or boxes_HEAD.png for a
    boxes head.

    Raises:
        OSError: the disk is full; no file is incomplete.
    """
    for spec in calibrated.specs:
        targets, heading = split.targets[spec.name], f"{title}, {spec.name}"
        if spec.kind == "boxes":
            _plot_detections(heading, spec, split, calibrated, folder / f"boxes_{spec.name}.png")
        elif head_metrics.labeled(spec, targets).any():
            correct = head_metrics.correct(calibrated, VOTE, spec.name, targets)
            truth, predicted = head_metrics.indicators(calibrated, VOTE, spec.name, targets)
            who = "vote" if len(calibrated.networks) > 1 else calibrated.networks[0]
            plot_confusion(
                head_metrics.confusion(truth, predicted),
                DIGITS if spec.kind == "digits" else spec.classes,
                f"{heading}: {who}\n{len(correct):,} images, {100 * correct.mean():.1f} % correct",
                folder / f"confusion_{spec.name}.png",
            )
            _write_table(head_metrics.per_class(spec, truth, predicted), folder / f"per_class_{spec.name}.csv")
            plot_errors(heading, spec, split, calibrated, folder / f"errors_{spec.name}.png")
            plot_calibration(
                heading, spec, targets, (uncalibrated, calibrated), folder / f"calibration_{spec.name}.png"
            )


def plot_learning_curves(histories: Mapping[str, History], heads: Sequence[str], title: str, file: Path) -> None:
    """Plot loss and accuracy by epoch, one row per network: training thin, validation bold, phases shaded."""
    with rc_context(_STYLE):
        figure = _figure(0.7 + 3.0 * len(histories), title)
        grid = figure.subplots(len(histories), 2, squeeze=False)
        for (loss, accuracy), (name, history) in zip(grid, histories.items(), strict=True):
            _plot_curves(loss, history, {"loss": ""})
            loss.set(xlabel="epoch", ylim=(0, None))
            loss.set_title(f"{name}: loss", pad=_PHASE_NAMES)
            _plot_curves(accuracy, history, {head: head if len(heads) > 1 else "" for head in heads}, scale=100)
            accuracy.set(xlabel="epoch")
            accuracy.set_title(f"{name}: accuracy (%)", pad=_PHASE_NAMES)
        _save(figure, file)


def plot_confusion(counts: NDArray[np.int64], names: Sequence[str], title: str, file: Path) -> None:
    """Plot a confusion matrix; with many classes, counts are omitted, and with more still, names."""
    from sklearn.metrics import ConfusionMatrixDisplay

    side = float(np.clip(2.2 + 0.5 * len(names), 5.0, 13.0))
    with rc_context(_STYLE | {"font.size": float(np.clip(11 - 0.16 * len(names), 6, 9))}):
        figure = Figure((side + 1.2, side), layout="constrained")
        axes = figure.subplots()
        display = ConfusionMatrixDisplay(counts, display_labels=names)
        few = len(names) <= _MAX_NUMBERED_CLASSES
        display.plot(ax=axes, cmap="Blues", include_values=few, xticks_rotation="vertical", colorbar=False)
        if len(names) > _MAX_NAMED_CLASSES:
            axes.set(xticks=[], yticks=[])
        axes.set_title(title, pad=10)
        _save(figure, file)


def plot_errors(heading: str, spec: HeadSpec, split: Split, predictions: HeadPredictions, file: Path) -> None:
    """Plot the most confident errors of the vote, with prediction, confidence and truth above each image."""
    targets = split.targets[spec.name]
    correct = head_metrics.correct(predictions, VOTE, spec.name, targets)
    errors = head_metrics.most_confident_errors(predictions, spec.name, targets, _MAX_PICTURES)
    which = f"{len(errors)} most confident of " if len(errors) < (~correct).sum() else ""
    title = f"{heading}: {which}{(~correct).sum():,} errors in {len(correct):,} images"
    with rc_context(_STYLE):
        figure, panels = _picture_grid([split.pictures[row] for row, *_ in errors], title)
        for axes, (_, predicted, true, confidence) in zip(panels, errors, strict=True):
            caption = f"{_shorten(predicted)} {100 * confidence:.0f} %\n(true: {_shorten(true)})"
            axes.set_title(caption, color=_WRONG)
        _save(figure, file)


def plot_calibration(
    heading: str,
    spec: HeadSpec,
    targets: NDArray[Any],
    predictions: tuple[HeadPredictions, HeadPredictions],
    file: Path,
) -> None:
    """Plot accuracy against confidence without and with temperature scaling, one line per predictor.

    The dashed line is perfect calibration; below it, a predictor is overconfident.
    """
    with rc_context(_STYLE):
        figure = _figure(5.2, f"{heading}: calibration")
        panels = figure.subplots(1, 2, squeeze=False)[0]
        for axes, name, one in zip(panels, ("as trained", "with temperature scaling"), predictions, strict=True):
            axes.plot([0, 100], [0, 100], color=_FAINT, linestyle="--", linewidth=1)
            for color, predictor in zip(_COLORS, one.predictors, strict=False):
                probabilities = one.probabilities_of(predictor, spec.name)
                bins = head_metrics.reliability_bins(*head_metrics.confidences(spec, probabilities, targets))
                total = sum(item.count for item in bins)
                x, y = [100 * item.confidence for item in bins], [100 * item.accuracy for item in bins]
                axes.plot(x, y, color=color, linewidth=1.5, label=predictor)
                axes.scatter(x, y, [8 + 140 * item.count / total for item in bins], color=color, alpha=0.6)
            axes.set(title=name, xlabel="confidence (%)", ylabel="accuracy (%)", xlim=(0, 103), ylim=(0, 103))
            axes.set_box_aspect(1)
            axes.legend(loc="upper left")
        _save(figure, file)


def _plot_detections(heading: str, spec: HeadSpec, split: Split, predictions: HeadPredictions, file: Path) -> None:
    """Plot images, those with the most missed boxes first: found boxes green, missed red, detections dashed."""
    best = predictions.probabilities_of(predictions.predictors[-1], spec.name)
    images = head_metrics.match_detections(best, split.targets[spec.name])
    found = {image.row: image.found_within(DETECTIONS) for image in images}
    images.sort(key=lambda image: int(found[image.row].sum()) - len(image.true))
    missed = [image for image in images if not found[image.row].all()]
    rest = images[len(missed) :]
    others = rest[:: max(1, 2 * len(rest) // _MAX_PICTURES)][: _MAX_PICTURES // 2]
    chosen = missed[: _MAX_PICTURES - len(others)] + others
    total, hits = sum(len(flags) for flags in found.values()), sum(int(flags.sum()) for flags in found.values())
    title = f"{heading}: {hits:,} of {total:,} boxes found by {DETECTIONS} detections in {len(images):,} images"
    with rc_context(_STYLE):
        figure, panels = _picture_grid([split.pictures[image.row] for image in chosen], title)
        for axes, image in zip(panels, chosen, strict=True):
            flags, detections = found[image.row], image.detections[:DETECTIONS]
            shape = split.pictures[image.row].shape
            for box, hit in zip(image.true, flags, strict=True):
                _outline(axes, shape, box, edgecolor=_RIGHT if hit else _WRONG, linewidth=2.2)
            for detection in detections:
                _outline(axes, shape, detection[1:], edgecolor="white", linewidth=1.4, linestyle=(0, (3, 2)))
            scores = ", ".join(f"{100 * detection[0]:.0f} %" for detection in detections)
            caption = f"{int(flags.sum())} of {len(image.true)}\n{scores or 'no detections'}"
            axes.set_title(caption, color=_RIGHT if flags.all() else _WRONG)
        _save(figure, file)


def _write_table(rows: Sequence[ClassMetrics], file: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(ClassMetrics)])
    for row in rows:
        writer.writerow([f"{value:.4f}" if isinstance(value, float) else value for value in astuple(row)])
    with atomic_write(file) as out:
        out.write(text.getvalue().encode())


def _picture_grid(pictures: Sequence[Picture], title: str) -> tuple[Figure, list[Axes]]:
    columns = 4
    rows = max(1, -(-len(pictures) // columns))
    ratio = max((picture.shape[0] / picture.shape[1] for picture in pictures), default=0.3)
    figure = _figure(0.6 + rows * (0.5 + ratio * _WIDTH / columns), title if pictures else f"{title} (none)")
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in panels:
        axes.axis("off")
    for axes, picture in zip(panels, pictures, strict=False):
        axes.imshow(picture)
    return figure, panels[: len(pictures)]


def _outline(axes: Axes, shape: tuple[int, ...], box: NDArray[np.float32], **style: Any) -> None:
    left, top, right, bottom = (box * (shape[1], shape[0], shape[1], shape[0]) - 0.5).tolist()
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, **style))


def _plot_curves(axes: Axes, history: History, keys: Mapping[str, str], scale: float = 1) -> None:
    """Plot values over the epochs of all phases; `keys` maps them to their names in the legend."""
    for color, (key, name) in zip(_COLORS, keys.items(), strict=False):
        for column, split, width, alpha in ((key, "training", 1.0, 0.55), (f"val_{key}", "validation", 2.0, 1.0)):
            values = np.array([row.get(column, np.nan) for row in history], np.float64) * scale
            if np.isfinite(values).any():
                style: dict[str, Any] = {
                    "color": color,
                    "linewidth": width,
                    "alpha": alpha,
                    "marker": "o" if len(history) < 3 else "",
                }
                axes.plot(range(1, len(history) + 1), values, label=f"{name} {split}".strip(), **style)
    start = 0.5
    axes.set_xlim(0.5, max(1, len(history)) + 0.5)
    for number, (phase, rows) in enumerate(groupby(history, key=lambda row: row.get("phase", ""))):
        stop = start + len(list(rows))
        if number % 2:
            axes.axvspan(start, stop, color="#f1f3f6", zorder=0)
        where: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "color": _FAINT, "fontsize": 8}
        axes.text((start + stop) / 2, 1.0, str(phase), ha="center", va="bottom", **where)
        start = stop
    axes.grid(axis="y", color="#e4e7ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if axes.lines:
        axes.legend(loc="best", fontsize=8)


def _figure(height: float, title: str) -> Figure:
    figure = Figure((_WIDTH, height), layout="constrained")
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.015, ha="left")
    return figure


def _shorten(text: str, length: int = 18) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _save(figure: Figure, file: Path) -> None:
    with atomic_write(file) as out:
        figure.savefig(out, format="png", dpi=_DPI)
