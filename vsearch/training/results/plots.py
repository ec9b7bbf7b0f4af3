"""The pictures a run leaves: learning curves, confusion, the worst mistakes, and how far its probabilities hold.

Nobody else draws with matplotlib. Figures are made without pyplot, so nothing is kept between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from vsearch.training.results.calibration import Bin

History = Sequence[Mapping[str, Any]]
"""One entry for each epoch: phase, loss, val_loss, and for each head its share right as HEAD and val_HEAD."""

_DPI = 150
_WIDTH = 9.0  # inches
_MARGIN, _HEADING, _GAP, _LINES = 0.2, 0.62, 0.18, 0.55  # inches, of the sheet of mistakes
_INK, _FAINT, _BAND = "#222222", "#8a8f98", "#f1f3f6"
_COLOURS = ("#0b66c3", "#d1531d", "#2b8a4b", "#8a3fa0", "#b8860b", "#1f8f99")
_WRONG, _TRUE = "#b3261e", "#1e6b3a"
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
_OVER_PHASES = 16  # points between a title and its axes, for the names of the phases
_NUMBERED = 30  # classes up to which each cell of a confusion matrix shows its count
_NAMED = 80  # classes up to which rows and columns have names


@dataclass(frozen=True)
class Mistake:
    """A picture that was taken for something else."""

    picture: Picture
    said: str
    true: str
    confidence: float


@dataclass(frozen=True)
class Boxed:
    """A picture with its true boxes [m, 4], which were found [m], and the proposals [p, 5], the surest first."""

    picture: Picture
    true: NDArray[np.float32]
    found: NDArray[np.bool_]
    proposals: NDArray[np.float32]


def learning_curves(histories: Mapping[str, History], heads: Sequence[str], title: str, file: Path) -> None:
    """Draw loss and share right by epoch, a row for each network; training thin, validation bold, phases marked."""
    with rc_context(_STYLE):
        figure = _figure(0.7 + 3.0 * len(histories), title)
        grid = figure.subplots(len(histories), 2, squeeze=False)
        for (loss, accuracy), (name, history) in zip(grid, histories.items(), strict=True):
            _curves(loss, history, ["loss"], [""])
            loss.set(xlabel="epoch", ylim=(0, None))
            loss.set_title(f"{name}: loss", pad=_OVER_PHASES)
            _curves(accuracy, history, heads, list(heads) if len(heads) > 1 else [""], percent=True)
            accuracy.set(xlabel="epoch")
            accuracy.set_title(f"{name}: right (percent)", pad=_OVER_PHASES)
        _write(figure, file)


def confusion(counts: NDArray[np.int64], names: Sequence[str], title: str, file: Path) -> None:
    """Draw how often each true class (row) was said to be each class (column), shaded by the share of the row."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(2.2 + 0.5 * len(names), 5.0, 13.0))
    size = float(np.clip(11 - 0.16 * len(names), 6, 9))
    with rc_context(_STYLE):
        figure = Figure((side + 1.2, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.spines[:].set_visible(False)
        places = list(range(len(names))) if len(names) <= _NAMED else []
        shown = [names[place] for place in places]
        axes.set_xticks(places, shown, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
        axes.set_yticks(places, shown, fontsize=size)
        axes.tick_params(length=0)
        axes.set(xlabel="said", ylabel="true")
        axes.set_title(title, pad=10)
        if len(names) <= _NUMBERED:
            for (row, column), count in np.ndenumerate(counts):
                colour = "white" if shares[row, column] > 0.55 else _INK if count else "#c3c8d0"
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=size)
        figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.7, format=_percent)
        _write(figure, file)


def mistakes(found: Sequence[Mistake], title: str, file: Path) -> None:
    """Draw wrongly judged pictures in a grid: what was said with its confidence, and the truth below."""
    columns = 4 if found and found[0].picture.shape[1] > 2 * found[0].picture.shape[0] else 6
    with rc_context(_STYLE):
        figure, cells = _sheet([item.picture for item in found], columns, title)
        for item, (left, bottom, _) in zip(found, cells, strict=True):
            said = f"{_short(item.said)}  {100 * item.confidence:.0f} %"
            _write_at(figure, left, bottom + 0.05, said, color=_WRONG, fontweight="bold")
            _write_at(figure, left, bottom + 0.21, f"is {_short(item.true)}", color=_TRUE)
        _write(figure, file)


def boxes(shown: Sequence[Boxed], title: str, file: Path) -> None:
    """Draw pictures in a grid with true boxes, green where found and red where missed, and proposals in dashes."""
    with rc_context(_STYLE):
        figure, cells = _sheet([item.picture for item in shown], 4, title)
        for item, (left, bottom, axes) in zip(shown, cells, strict=True):
            for box, good in zip(item.true, item.found, strict=True):
                _outline(axes, item.picture, box, edgecolor=_TRUE if good else _WRONG, linewidth=2.2)
            for proposal in item.proposals:
                _outline(axes, item.picture, proposal[1:], edgecolor="white", linewidth=1.4, linestyle=(0, (3, 2)))
            colour, sure = _TRUE if item.found.all() else _WRONG, [f"{100 * row[0]:.0f} %" for row in item.proposals]
            count = f"{int(item.found.sum())} of {len(item.true)}"
            _write_at(figure, left, bottom + 0.05, count, color=colour, fontweight="bold")
            _write_at(figure, left, bottom + 0.21, ", ".join(sure) or "no proposal", color=_FAINT)
        _write(figure, file)


def reliability(panels: Mapping[str, Mapping[str, Sequence[Bin]]], title: str, file: Path) -> None:
    """Draw share right against confidence: a panel for each entry, in it a line for each judge.

    On the dashed line a judge is right as often as it says; below it, it is too sure of itself.
    """
    with rc_context(_STYLE):
        figure = _figure(5.2, title)
        for axes, (name, judges) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
            axes.plot([0, 100], [0, 100], color=_FAINT, linestyle="--", linewidth=1)
            for colour, (judge, bins) in zip(_COLOURS * 9, judges.items(), strict=False):
                total = sum(item.count for item in bins)
                x, y = [100 * item.confidence for item in bins], [100 * item.right for item in bins]
                axes.plot(x, y, color=colour, linewidth=1.5, label=judge)
                axes.scatter(x, y, [8 + 140 * item.count / total for item in bins], color=colour, alpha=0.6)
            axes.set(title=name, xlabel="confidence (percent)", ylabel="right (percent)", xlim=(0, 103), ylim=(0, 103))
            axes.set_box_aspect(1)
            axes.legend(loc="upper left")
        _write(figure, file)


def _sheet(pictures: Sequence[Picture], columns: int, title: str) -> tuple[Figure, list[tuple[float, float, Axes]]]:
    """Draw pictures in a grid; return for each its left and lower side in inches from the upper left, and its axes."""
    rows = max(1, -(-len(pictures) // columns))
    ratio = float(np.median([picture.shape[0] / picture.shape[1] for picture in pictures])) if pictures else 0.3
    cell = (_WIDTH - 2 * _MARGIN + _GAP) / columns
    width, pitch = cell - _GAP, (cell - _GAP) * ratio + _LINES
    height = _HEADING + rows * pitch
    figure = Figure((_WIDTH, height))
    _write_at(figure, _MARGIN, 0.18, title, fontsize=12, fontweight="bold")
    cells = []
    for number, picture in enumerate(pictures):
        left, top = _MARGIN + number % columns * cell, _HEADING + number // columns * pitch
        tall = width * ratio
        axes = figure.add_axes((left / _WIDTH, 1 - (top + tall) / height, width / _WIDTH, tall / height))
        axes.axis("off")
        axes.imshow(picture, interpolation="lanczos", aspect="auto")
        cells.append((left, top + tall, axes))
    if not pictures:
        _write_at(figure, _MARGIN, _HEADING, "There is none.", color=_FAINT, fontsize=11)
    return figure, cells


def _outline(axes: Axes, picture: Picture, box: NDArray[np.float32], **style: Any) -> None:
    """Draw a box in shares of the sides."""
    left, top, right, bottom = (box * (picture.shape[1::-1] * 2) - 0.5).tolist()
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, **style))


def _curves(axes: Axes, history: History, keys: Sequence[str], names: Sequence[str], *, percent: bool = False) -> None:
    """Draw one value, or one for each head, over the epochs of all phases."""
    epochs = np.arange(1, len(history) + 1)
    scale = 100 if percent else 1
    for colour, key, name in zip(_COLOURS * 9, keys, names, strict=False):
        lines = ((key, "training", 1.0, 0.55), (f"val_{key}", "validation", 2.0, 1.0))
        for column, split, width, strength in lines:
            values = np.array([line.get(column, np.nan) for line in history], np.float64) * scale
            if np.isfinite(values).any():
                marker = "o" if len(history) < 3 else ""
                said = f"{name} {split}".strip()
                axes.plot(epochs, values, color=colour, linewidth=width, alpha=strength, label=said, marker=marker)
    _mark_phases(axes, history)
    axes.grid(axis="y", color="#e4e7ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if axes.lines:
        axes.legend(loc="best", fontsize=8)


def _mark_phases(axes: Axes, history: History) -> None:
    """Shade every second phase and write the names along the top."""
    start = 0.5
    axes.set_xlim(0.5, max(1, len(history)) + 0.5)
    for number, (name, lines) in enumerate(groupby(history, key=lambda line: line.get("phase", ""))):
        stop = start + len(list(lines))
        if number % 2:
            axes.axvspan(start, stop, color=_BAND, zorder=0)
        style: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "color": _FAINT, "fontsize": 8}
        axes.text((start + stop) / 2, 1.0, str(name), ha="center", va="bottom", **style)
        start = stop


def _figure(height: float, title: str) -> Figure:
    figure = Figure((_WIDTH, height), layout="constrained")
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(w_pad=0.12, h_pad=0.1)  # type: ignore[call-arg]  # of the constrained engine
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.015, ha="left")
    return figure


def _write_at(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    """Write text with its upper left corner at inches from the upper left corner of a figure."""
    width, height = figure.get_size_inches()
    figure.text(x / width, 1 - y / height, text, va="top", **({"fontsize": 8.5} | style))


def _percent(value: float, _: Any) -> str:
    return f"{100 * value:.0f} %"


def _short(text: str, most: int = 18) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _write(figure: Figure, file: Path) -> None:
    with atomic_write(file) as out:
        figure.savefig(out, format="png", dpi=_DPI)
