"""The model card that a checkpoint carries: what it is, what it learned from, on which terms, how well it does."""

from collections.abc import Mapping
from typing import Any

from vsearch.models.trained_heads import TrainedHeads
from vsearch.training.loop.start import PLAN
from vsearch.training.plan import Plan
from vsearch.training.plan_parts import Phase
from vsearch.training.plan_sources import CsvSource, NpzSource, TagsSource
from vsearch.training.results import report


def write(plan: Plan, said: Mapping[str, Any], trained: TrainedHeads | None, *, before: Plan | None = None) -> str:
    """Return the card as Markdown.

    Args:
        plan: what was trained, and on what.
        said: the report, see `vsearch.training.outcome`.
        trained: the heads; None where nothing was trained.
        before: the plan whose networks it starts from, if it names one.
    """
    parts = [_what(plan, said, trained), _data(plan, before, said), _training(plan)]
    if before:
        parts.append(_training(before, f"### Before: {before.name}"))
    if "validation" in said:
        parts.append(_judged(plan, said))
    if said.get("block_heads"):
        parts.append(_searching(said["block_heads"]))
    return "\n\n".join([*parts, _limits(said)]) + "\n"


def _what(plan: Plan, said: Mapping[str, Any], trained: TrainedHeads | None) -> str:
    uses = []
    if trained:
        height, width = trained.shape
        uses.append(f"It answers {_heads(trained)}; its networks see {width} x {height} px.")
    if plan.assemble:
        grid = plan.assemble.grid
        uses.append(
            f"It can be searched with: each backbone gives a block of features on a {grid} x {grid} grid, beside shape "
            "(HOG) and colour (Lab histogram)."
        )
    sizes = [(name, f"{count:,}") for name, count in said["parameters"].items()]
    intro = " ".join([*uses, "Weights are in half precision."])
    return f"# Model card: {plan.name}\n\n{intro}\n\n{_table(('network', 'parameters'), sizes)}"


def _heads(trained: TrainedHeads) -> str:
    sizes = {
        "digits": "{0.length} digits",
        "metric": "an embedding of {0.size} numbers",
        "boxes": "where products stand in a photo",
    }
    found = [f"{spec.name} ({sizes.get(spec.kind, _listed(spec.classes)).format(spec)})" for spec in trained.specs]
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def _listed(names: tuple[str, ...], most: int = 12) -> str:
    shown = ", ".join(names[:most]).replace("{", "{{").replace("}", "}}")
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _data(plan: Plan, before: Plan | None, said: Mapping[str, Any]) -> str:
    sources = [*plan.source, *(before.source if before else ())]
    rows = dict.fromkeys((_name(source), _kept(source), source.terms) for source in sources)
    parts = ["## Data", _table(("data", "part", "terms"), rows)]
    data = said.get("data")
    if data:
        parts.append(f"{data['train']:,} pictures to learn from, {data['val']:,} to judge by.")
    parts.extend(f"- {note}" for note in said.get("notes", ()))
    parts.append("Whoever uses the weights commercially must check the terms above first.")
    return "\n\n".join(parts)


def _training(plan: Plan, title: str = "## Training") -> str:
    if not plan.phase:
        return f"{title}\n\nThe backbones keep the weights they start with; nothing of them was trained here."
    start = {"random": "random weights", "pretrained": "ImageNet weights", "bundled": "the bundled ensemble"}
    phases = "\n".join(f"- {phase.name}: {_phase(phase)}" for phase in plan.phase)
    other = f"the networks of the plan {plan.start.removeprefix(PLAN)}"
    named = other if plan.start.startswith(PLAN) else f"the checkpoint {plan.start}"
    return f"{title}\n\nFrom {start.get(plan.start, named)}, seed {plan.seed}:\n\n{phases}"


def _phase(phase: Phase) -> str:
    height, width = phase.shape
    epochs = "1 epoch" if phase.epochs == 1 else f"{phase.epochs} epochs"
    learns = {"all": "everything learns", "none": "only the heads learn"}
    what = learns.get(str(phase.unfreeze), f"learns from {phase.unfreeze} on")
    return (
        f"{epochs} at {width} x {height} px, batch {phase.batch}, learning rate {phase.learning_rate:g} "
        f"({phase.schedule}), {what}"
    )


def _judged(plan: Plan, said: Mapping[str, Any]) -> str:
    found = said["validation"]
    columns, lines = report.lines(found)
    intro = "Percent right on the validation pictures, with 95 % intervals, judged by these files as they are."
    if any(head["kind"] == "boxes" for head in found["heads"].values()):
        intro += " Of boxes: percent of the true ones that one of the first so many proposals overlaps by half or more."
    parts = ["## Measured", intro, _table(columns, lines), *report.verdict(found)]
    for head, values in said["per_class"].items():
        rows = [
            (row["value"], row["support"], *(f"{100 * row[name]:.1f}" for name in ("precision", "recall", "f1")))
            for row in values
        ]
        parts.append(f"### {head}\n\n" + _table(("value", "pictures", "precision", "recall", "F1"), rows))
    return "\n\n".join([*parts, *([_calibration(said)] if any(said["calibration"].values()) else [])])


def _calibration(said: Mapping[str, Any]) -> str:
    rows = [
        (network, head, f"{one['temperature']:.2f}", f"{100 * one['before']:.1f}", f"{100 * one['after']:.1f}")
        for network, heads in said["calibration"].items()
        for head, one in heads.items()
    ]
    columns = ("network", "head", "temperature", "error before", "error after")
    intro = (
        "Probabilities are divided by a temperature fitted on the validation pictures. Expected calibration error in "
        "percent; after: fitted on one half, measured on the other."
    )
    return f"### Calibration\n\n{intro}\n\n{_table(columns, rows)}"


def _searching(scores: Mapping[str, float]) -> str:
    rows = [(name, f"{100 * score:.1f} %") for name, score in scores.items()]
    return (
        "## Classes of the search\n\nShare of validation pictures that the head on each network's block, and their "
        f"vote, judge rightly. A shop's own classes take their place when it is first indexed.\n\n"
        f"{_table(('block', 'right'), rows)}"
    )


def _limits(said: Mapping[str, Any]) -> str:
    lines = [
        "It knows what its data shows; other shops, cameras and rooms may look otherwise. The validation pictures come "
        "from the same sources as the training pictures: expect less of photos from elsewhere."
    ]
    if said.get("per_class"):
        lines.append(
            "It always answers, also about a picture that shows none of its classes; low confidence is the only sign."
        )
    lines.append("People, brands and text were not looked at.")
    return "## Limits\n\n" + "\n\n".join(lines)


def _name(source: Any) -> str:
    if isinstance(source, TagsSource):
        return f"shelf tags with {source.digits} digits, drawn here"
    if isinstance(source, CsvSource):
        return str(source.manifest)
    return str(source.file if isinstance(source, NpzSource) else source.folder)


def _kept(source: Any) -> str:
    where = [f"{column} starting with {text}" for column, text in getattr(source, "where", {}).items()]
    values = [f"as {', '.join(sorted(set(source.values.values())))}"] if getattr(source, "values", None) else []
    training = [] if source.judge else ["to learn from only"]
    return "; ".join([*where, *values, *training]) or "all"


def _table(columns: Any, rows: Any) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
