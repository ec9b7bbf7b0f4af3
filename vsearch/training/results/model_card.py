"""Render the model card of a checkpoint: its purpose, data and their terms, training, and metrics."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

from vsearch.models.trained_heads import HeadSpec, TrainedHeads
from vsearch.training.plan import START_FROM_PLAN, CatalogSource, CsvSource, Phase, Plan, Source, TagsSource
from vsearch.training.results import training_report

_MAX_CLASSES = 12  # listed per head


def render(plan: Plan, figures: Mapping[str, Any], trained: TrainedHeads | None, *, previous: Plan | None) -> str:
    """Return the card as Markdown; `figures` is the content of report.json, `previous` the plan it builds on."""
    template = Path(__file__).with_name("model_card.md.jinja").read_text(encoding="utf8")
    # The result is Markdown, a file that no page shows.
    environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)  # nosec B701
    text = environment.from_string(template).render(
        plan=plan,
        previous=previous,
        trained=trained,
        figures=figures,
        report=training_report,
        table=_table,
        start_of=_start_of,
        layers_of=_layers_of,
        heads=[f"{spec.name} ({_describe(spec)})" for spec in trained.specs] if trained else [],
        parameters=[(name, f"{count:,}") for name, count in figures["parameters"].items()],
        sources=dict.fromkeys(
            (_name_of(source), _selection_of(source), source.terms)
            for source in (*plan.source, *(previous.source if previous else ()))
        ),
        per_class=lambda rows: [
            (row["value"], row["support"], *(f"{100 * row[name]:.1f}" for name in ("precision", "recall", "f1")))
            for row in rows
        ],
        calibration=[
            (network, head, f"{one['temperature']:.2f}", f"{100 * one['before']:.1f}", f"{100 * one['after']:.1f}")
            for network, heads in figures.get("calibration", {}).items()
            for head, one in heads.items()
        ],
        block_heads=[(name, f"{100 * score:.1f} %") for name, score in figures.get("block_heads", {}).items()],
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _describe(spec: HeadSpec) -> str:
    if not spec.is_classification or spec.kind == "digits":
        return {"digits": f"{spec.length} digits", "metric": f"an embedding of size {spec.size}"}.get(
            spec.kind, "boxes"
        )
    more = f" and {len(spec.classes) - _MAX_CLASSES} more" if len(spec.classes) > _MAX_CLASSES else ""
    return ", ".join(spec.classes[:_MAX_CLASSES]) + more


def _layers_of(phase: Phase) -> str:
    if phase.unfreeze in ("all", "none"):
        return {"all": "all layers learn", "none": "only the heads learn"}[str(phase.unfreeze)]
    first = phase.unfreeze
    if isinstance(first, dict):
        first = ", ".join(f"{layer} of {name}" for name, layer in first.items())
    share = f"; {100 * phase.average_with_start:g} % of the initial weights" if phase.average_with_start else ""
    return f"layers from {first} onward learn{share}"


def _start_of(plan: Plan) -> str:
    if plan.start.startswith(START_FROM_PLAN):
        return f"the networks of plan {plan.start.removeprefix(START_FROM_PLAN)}"
    known = {"random": "random weights", "pretrained": "ImageNet weights", "bundled": "the bundled ensemble"}
    return known.get(plan.start, f"the checkpoint {plan.start}")


def _name_of(source: Source) -> str:
    if isinstance(source, TagsSource):
        return f"synthetic shelf tags with {source.digits} digits"
    if isinstance(source, CatalogSource):
        return "the shop's catalog"
    if isinstance(source, CsvSource):
        return str(source.manifest)
    return str(source.folder)


def _selection_of(source: Source) -> str:
    where = [f"{column} starting with {prefix}" for column, prefix in getattr(source, "where", {}).items()]
    names = sorted(set(getattr(source, "values", {}).values()))
    return (
        "; ".join(
            [*where, *([f"as {', '.join(names)}"] if names else []), *([] if source.validate_on else ["training only"])]
        )
        or "all"
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
