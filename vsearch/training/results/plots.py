"""The plots and tables of a run: learning curves, confusion, errors, calibration, detections.

The only module that uses matplotlib, without pyplot, so that no figure outlives its function.
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
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from vsearch.core.files import atomic_write
from vsearch.imaging.codec import Picture
from vsearch.models.trained_heads import DIGITS, VOTE, HeadPredictions, HeadSpec
from vsearch.training.data.dataset import Split
from vsearch.training.results import metrics
from vsearch.training.results.metrics import DETECTIONS, ClassMetrics

History = Sequence[Mapping[str, Any]]
"""The rows of `vsearch.training.loop.fit.load_history`."""

_MAX_PICTURES = 24  # in a grid
_DPI = 150
_WIDTH = 9.0  # inches
_MARGIN, _HEADING, _GAP, _CAPTION = 0.2, 0.62, 0.18, 0.55  # inches, of a grid of pictures
_INK, _FAINT, _BAND, _GRID = "#222222", "#8a8f98", "#f1f3f6", "#e4e7ec"
_COLORS = ("#0b66c3", "#d1531d", "#2b8a4b", "#8a3fa0", "#b8860b", "#1f8f99") * 9
_WRONG, _RIGHT = "#b3261e", "#1e6b3a"
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.parse_math": False,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "figure.facecolor": "white",
}
_PHASE_NAMES = 16  # points above the axes
_MAX_NUMBERED_CLASSES = 30  # with a count in each field of a confusion matrix
_MAX_NAMED_CLASSES = 80


def write_artifacts(
    folder: Path, title: str, split: Split, calibrated: HeadPredictions, uncalibrated: HeadPredictions
) -> None:
    """Write the plots and tables of each head into an existing folder, replacing those of an earlier run.

    They are confusion_HEAD.png, errors_HEAD.png, calibration_HEAD.png and per_class_HEAD.csv; of a boxes head
    boxes_HEAD.png.

    Args:
        folder: existing.
        title: name of the plan.
        split: the pictures.
        calibrated, uncalibrated: predictions for them.

    Raises:
        OSError: the disk is full; no file is incomplete.
    """
    for spec in calibrated.specs:
        targets, heading = split.targets[spec.name], f"{title}, {spec.name}"
        if spec.kind == "boxes":
            _plot_detections(heading, spec, split, calibrated, folder / f"boxes_{spec.name}.png")
        elif metrics.labeled(spec, targets).any():
            correct = metrics.correct(calibrated, VOTE, spec.name, targets)
            truth, predicted = metrics.indicators(calibrated, VOTE, spec.name, targets)
            who = "vote" if len(calibrated.networks) > 1 else calibrated.networks[0]
            plot_confusion(
                metrics.confusion(truth, predicted),
                DIGITS if spec.kind == "digits" else spec.classes,
                f"{heading}: {who}\n{len(correct):,} pictures, {100 * correct.mean():.1f} % correct",
                folder / f"confusion_{spec.name}.png",
            )
            _write_table(metrics.per_class(spec, truth, predicted), folder / f"per_class_{spec.name}.csv")
            plot_errors(heading, spec, split, calibrated, folder / f"errors_{spec.name}.png")
            plot_calibration(
                heading, spec, targets, (uncalibrated, calibrated), folder / f"calibration_{spec.name}.png"
            )


def plot_learning_curves(histories: Mapping[str, History], heads: Sequence[str], title: str, file: Path) -> None:
    """Plot loss and accuracy by epoch, a row for each network: training thin, validation bold, phases shaded."""
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
    """Plot a confusion matrix (rows are true classes), shaded by the share of the row."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(2.2 + 0.5 * len(names), 5.0, 13.0))
    size = float(np.clip(11 - 0.16 * len(names), 6, 9))
    with rc_context(_STYLE):
        figure = Figure((side + 1.2, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.spines[:].set_visible(False)
        ticks = names if len(names) <= _MAX_NAMED_CLASSES else ()
        axes.set_xticks(range(len(ticks)), ticks, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
        axes.set_yticks(range(len(ticks)), ticks, fontsize=size)
        axes.tick_params(length=0)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(title, pad=10)
        if len(names) <= _MAX_NUMBERED_CLASSES:
            for (row, column), count in np.ndenumerate(counts):
                color = "white" if shares[row, column] > 0.55 else _INK if count else "#c3c8d0"
                axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=size)
        figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.7, format=PercentFormatter(1))
        _save(figure, file)


def plot_errors(heading: str, spec: HeadSpec, split: Split, predictions: HeadPredictions, file: Path) -> None:
    """Plot the most confident errors of the vote: prediction, confidence and truth below each picture."""
    targets = split.targets[spec.name]
    correct = metrics.correct(predictions, VOTE, spec.name, targets)
    errors = metrics.most_confident_errors(predictions, spec.name, targets, _MAX_PICTURES)
    which = f"{len(errors)} most confident of " if len(errors) < (~correct).sum() else ""
    pictures = [split.pictures[row] for row, *_ in errors]
    columns = 4 if pictures and pictures[0].shape[1] > 2 * pictures[0].shape[0] else 6
    with rc_context(_STYLE):
        title = f"{heading}: {which}{(~correct).sum():,} errors in {len(correct):,} pictures"
        figure, cells = _picture_grid(pictures, columns, title)
        for (_, predicted, true, confidence), (left, bottom, _) in zip(errors, cells, strict=True):
            caption = f"{_shorten(predicted)}  {100 * confidence:.0f} %"
            _write_text(figure, left, bottom + 0.05, caption, color=_WRONG, fontweight="bold")
            _write_text(figure, left, bottom + 0.21, f"true: {_shorten(true)}", color=_RIGHT)
        _save(figure, file)


def plot_calibration(
    heading: str,
    spec: HeadSpec,
    targets: NDArray[Any],
    predictions: tuple[HeadPredictions, HeadPredictions],
    file: Path,
) -> None:
    """Plot accuracy against confidence without and with temperature scaling, a line for each predictor.

    On the dashed line a predictor is as often correct as it is confident; below it, it is overconfident.
    """
    with rc_context(_STYLE):
        figure = _figure(5.2, f"{heading}: calibration")
        panels = figure.subplots(1, 2, squeeze=False)[0]
        for axes, name, one in zip(panels, ("as trained", "with temperature scaling"), predictions, strict=True):
            axes.plot([0, 100], [0, 100], color=_FAINT, linestyle="--", linewidth=1)
            for color, predictor in zip(_COLORS, one.predictors, strict=False):
                probabilities = one.probabilities_of(predictor, spec.name)
                bins = metrics.reliability_bins(*metrics.confidences(spec, probabilities, targets))
                total = sum(item.count for item in bins)
                x, y = [100 * item.confidence for item in bins], [100 * item.accuracy for item in bins]
                axes.plot(x, y, color=color, linewidth=1.5, label=predictor)
                axes.scatter(x, y, [8 + 140 * item.count / total for item in bins], color=color, alpha=0.6)
            axes.set(title=name, xlabel="confidence (%)", ylabel="accuracy (%)", xlim=(0, 103), ylim=(0, 103))
            axes.set_box_aspect(1)
            axes.legend(loc="upper left")
        _save(figure, file)


def _plot_detections(heading: str, spec: HeadSpec, split: Split, predictions: HeadPredictions, file: Path) -> None:
    """Plot the pictures with most missed boxes, and as many others: found green, missed red, detections dashed."""
    best = predictions.probabilities_of(predictions.predictors[-1], spec.name)
    images = metrics.match_detections(best, split.targets[spec.name])
    images.sort(key=lambda image: int(image.found_within(DETECTIONS).sum()) - len(image.true))
    missed = [image for image in images if not image.found_within(DETECTIONS).all()]
    rest = images[len(missed) :]
    others = rest[:: max(1, 2 * len(rest) // _MAX_PICTURES)][: _MAX_PICTURES // 2]
    chosen = missed[: _MAX_PICTURES - len(others)] + others
    total = sum(len(image.true) for image in images)
    hits = sum(int(image.found_within(DETECTIONS).sum()) for image in images)
    title = f"{heading}: {hits:,} of {total:,} boxes found by {DETECTIONS} detections in {len(images):,} pictures"
    with rc_context(_STYLE):
        figure, cells = _picture_grid([split.pictures[image.row] for image in chosen], 4, title)
        for image, (left, bottom, axes) in zip(chosen, cells, strict=True):
            found, detections = image.found_within(DETECTIONS), image.detections[:DETECTIONS]
            shape = split.pictures[image.row].shape
            for box, hit in zip(image.true, found, strict=True):
                _outline(axes, shape, box, edgecolor=_RIGHT if hit else _WRONG, linewidth=2.2)
            for detection in detections:
                _outline(axes, shape, detection[1:], edgecolor="white", linewidth=1.4, linestyle=(0, (3, 2)))
            caption = f"{int(found.sum())} of {len(image.true)}"
            color = _RIGHT if found.all() else _WRONG
            _write_text(figure, left, bottom + 0.05, caption, color=color, fontweight="bold")
            scores = ", ".join(f"{100 * detection[0]:.0f} %" for detection in detections) or "no detections"
            _write_text(figure, left, bottom + 0.21, scores, color=_FAINT)
        _save(figure, file)


def _write_table(rows: Sequence[ClassMetrics], file: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(ClassMetrics)])
    for row in rows:
        writer.writerow([f"{value:.4f}" if isinstance(value, float) else value for value in astuple(row)])
    with atomic_write(file) as out:
        out.write(text.getvalue().encode())


def _picture_grid(
    pictures: Sequence[Picture], columns: int, title: str
) -> tuple[Figure, list[tuple[float, float, Axes]]]:
    """Plot pictures in a grid; return for each the position of its caption in inches, and its axes."""
    rows = max(1, -(-len(pictures) // columns))
    ratio = float(np.median([picture.shape[0] / picture.shape[1] for picture in pictures])) if pictures else 0.3
    pitch = (_WIDTH - 2 * _MARGIN + _GAP) / columns
    width, height = pitch - _GAP, (pitch - _GAP) * ratio
    total = _HEADING + rows * (height + _CAPTION)
    figure = Figure((_WIDTH, total))
    _write_text(figure, _MARGIN, 0.18, title, fontsize=12, fontweight="bold")
    cells = []
    for number, picture in enumerate(pictures):
        left, top = _MARGIN + number % columns * pitch, _HEADING + number // columns * (height + _CAPTION)
        axes = figure.add_axes((left / _WIDTH, 1 - (top + height) / total, width / _WIDTH, height / total))
        axes.axis("off")
        axes.imshow(picture, interpolation="lanczos", aspect="auto")
        cells.append((left, top + height, axes))
    if not pictures:
        _write_text(figure, _MARGIN, _HEADING, "None.", color=_FAINT, fontsize=11)
    return figure, cells


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
            axes.axvspan(start, stop, color=_BAND, zorder=0)
        where: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "color": _FAINT, "fontsize": 8}
        axes.text((start + stop) / 2, 1.0, str(phase), ha="center", va="bottom", **where)
        start = stop
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if axes.lines:
        axes.legend(loc="best", fontsize=8)


def _figure(height: float, title: str) -> Figure:
    figure = Figure((_WIDTH, height), layout="constrained")
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(w_pad=0.12, h_pad=0.1)  # type: ignore[call-arg]  # of the constrained engine
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.015, ha="left")
    return figure


def _write_text(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    """Write text with its upper left corner at inches from the upper left corner of the figure."""
    width, height = figure.get_size_inches()
    figure.text(x / width, 1 - y / height, text, va="top", **({"fontsize": 8.5} | style))


def _shorten(text: str, length: int = 18) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _save(figure: Figure, file: Path) -> None:
    with atomic_write(file) as out:
        figure.savefig(out, format="png", dpi=_DPI)
