"""Render the model card of a checkpoint: what it does, its data and their terms, its training, its metrics."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vsearch.models.trained_heads import TrainedHeads
from vsearch.training.plan import START_FROM_PLAN, CsvSource, NpzSource, Plan, Source, TagsSource
from vsearch.training.results import report

_MAX_CLASSES = 12  # listed for a head
_DATA = "Check the terms above before any commercial use of the weights."
_CALIBRATION = (
    "Logits are divided by a temperature fitted on the validation images. Expected calibration error in percent; "
    "after: fitted on one half of the images, measured on the other."
)
_BLOCK_HEADS = (
    "Accuracy of the head on each block, and of their vote, on the validation images. They are replaced by the "
    "shop's own classes when a catalog is first indexed."
)
_LIMITS = (
    "The validation images come from the same sources as the training images. Expect lower accuracy on images from "
    "other shops, cameras and rooms."
)
_OPEN_SET = "It always predicts one of its classes, also for images that show none; low confidence is the only sign."


def render(
    plan: Plan, figures: Mapping[str, Any] | None, trained: TrainedHeads | None, *, previous: Plan | None
) -> str:
    """Return the card as Markdown; nothing without figures.

    Args:
        plan: what was trained, and on what.
        figures: content of report.json.
        trained: the heads in the checkpoint, if any.
        previous: the plan it starts from, if any.
    """
    if not figures:
        return ""
    parts = [f"# Model card: {plan.name}", _describe(plan, trained)]
    parts.append(_table(("network", "parameters"), [(k, f"{v:,}") for k, v in figures["parameters"].items()]))
    sources = [*plan.source, *(previous.source if previous else ())]
    rows = dict.fromkeys((_name_of(source), _selection_of(source), source.terms) for source in sources)
    parts += ["## Data", _table(("data", "part", "terms"), rows)]
    if "data" in figures:
        parts.append(f"{figures['data']['train']:,} training images, {figures['data']['val']:,} validation images.")
    parts += [f"- {note}" for note in figures.get("notes", ())]
    parts += [_DATA, "## Training", _describe_training(plan)]
    if previous:
        parts += [f"### Before: {previous.name}", _describe_training(previous)]
    if "validation" in figures:
        parts += _metrics(figures)
    if figures.get("block_heads"):
        scores = [(name, f"{100 * score:.1f} %") for name, score in figures["block_heads"].items()]
        parts += ["## Classes of the search", _BLOCK_HEADS, _table(("block", "accuracy"), scores)]
    parts += ["## Limits", _LIMITS, *([_OPEN_SET] if figures.get("per_class") else [])]
    parts.append("People, brands and text were not examined.")
    return "\n\n".join(parts) + "\n"


def _describe(plan: Plan, trained: TrainedHeads | None) -> str:
    sentences = []
    if trained:
        kinds = {
            "digits": "{0.length} digits",
            "metric": "an embedding of {0.size} dimensions",
            "boxes": "product boxes",
        }
        heads = []
        for spec in trained.specs:
            more = f" and {len(spec.classes) - _MAX_CLASSES} more" if len(spec.classes) > _MAX_CLASSES else ""
            classes = ", ".join(spec.classes[:_MAX_CLASSES]) + more
            heads.append(f"{spec.name} ({kinds[spec.kind].format(spec) if spec.kind in kinds else classes})")
        height, width = trained.shape
        sentences.append(f"It predicts {', '.join(heads)} from images of {width} x {height} px.")
    if plan.assemble:
        grid = plan.assemble.grid
        sentences.append(
            f"It can be searched with: each backbone gives a block of features on a {grid} x {grid} grid, next to "
            "shape (HOG) and color (Lab histogram)."
        )
    return " ".join([*sentences, "Weights are in half precision."])


def _describe_training(plan: Plan) -> str:
    if not plan.phase:
        return "The backbones keep their initial weights; nothing was trained."
    start = {"random": "random weights", "pretrained": "ImageNet weights", "bundled": "the bundled ensemble"}
    if plan.start.startswith(START_FROM_PLAN):
        start[plan.start] = f"the networks of plan {plan.start.removeprefix(START_FROM_PLAN)}"
    lines = []
    for phase in plan.phase:
        height, width = phase.shape
        learns = {"all": "all layers learn", "none": "only the heads learn"}
        lines.append(
            f"- {phase.name}: {phase.epochs} epoch{'s' * (phase.epochs > 1)} at {width} x {height} px, batch "
            f"{phase.batch}, learning rate {phase.learning_rate:g} ({phase.schedule}), "
            + learns.get(str(phase.unfreeze), f"layers learn from {phase.unfreeze} on")
        )
    origin = start.get(plan.start, f"the checkpoint {plan.start}")
    return f"From {origin}, seed {plan.seed}:\n\n" + "\n".join(lines)


def _metrics(figures: Mapping[str, Any]) -> list[str]:
    found = figures["validation"]
    columns, rows = report.table(found)
    intro = "Accuracy of the saved weights on the validation images in percent, with 95 % confidence intervals."
    if any(head["kind"] == "boxes" for head in found["heads"].values()):
        intro += " Boxes: recall of the true ones by the first detections, at an IoU of one half."
    parts = ["## Metrics", intro, _table(columns, rows), *report.compare_with_vote(found)]
    if "held_out" in figures:
        parts += ["### Combinations held out of training", _table(*report.table(figures["held_out"]))]
    for head, values in figures["per_class"].items():
        cells = [
            (row["value"], row["support"], *(f"{100 * row[name]:.1f}" for name in ("precision", "recall", "f1")))
            for row in values
        ]
        parts += [f"### {head}", _table(("value", "images", "precision", "recall", "F1"), cells)]
    rows = [
        [network, head, f"{one['temperature']:.2f}", f"{100 * one['before']:.1f}", f"{100 * one['after']:.1f}"]
        for network, heads in figures["calibration"].items()
        for head, one in heads.items()
    ]
    if rows:
        columns = ["network", "head", "temperature", "error before", "error after"]
        parts += ["### Calibration", _CALIBRATION, _table(columns, rows)]
    return parts


def _name_of(source: Source) -> str:
    if isinstance(source, TagsSource):
        return f"synthetic shelf tags with {source.digits} digits"
    if isinstance(source, CsvSource):
        return str(source.manifest)
    return str(source.file if isinstance(source, NpzSource) else source.folder)


def _selection_of(source: Source) -> str:
    where = [f"{column} starting with {prefix}" for column, prefix in getattr(source, "where", {}).items()]
    names = sorted(set(getattr(source, "values", {}).values()))
    values = [f"as {', '.join(names)}"] if names else []
    training = [] if source.validate_on else ["training only"]
    return "; ".join([*where, *values, *training]) or "all"


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
