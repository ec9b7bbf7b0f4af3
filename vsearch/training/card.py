"""The model card that a checkpoint carries: what it is, what it learned from, on which terms, how well it does."""

from collections.abc import Mapping, Sequence
from typing import Any

from vsearch.training.plan import NpzSource, Plan


def write(plan: Plan, networks: Mapping[str, Any], classes: Sequence[str], scores: Mapping[str, float]) -> str:
    """Return the card as Markdown."""
    models = "\n".join(f"| {name} | {network.count_params():,} |" for name, network in networks.items())
    sources = "\n".join(
        f"| {source.file if isinstance(source, NpzSource) else source.manifest} | {_kept(source)} | {source.terms} |"
        for source in plan.source
    )
    accuracy = "\n".join(f"| {name} | {100 * score:.1f} % |" for name, score in scores.items())
    phases = "\n".join(
        f"- {phase.name}: {phase.epochs} epochs at {phase.side} px, batch {phase.batch}, "
        f"AdamW, learning rate {phase.learning_rate:g} (warm-up, then cosine)"
        for phase in plan.phase
    )
    return f"""# Model card: {plan.name}

An ensemble for visual product search. Each backbone gives a block of features on a {plan.assemble.grid} x \
{plan.assemble.grid} grid; shape (HOG) and colour (Lab histogram) stand beside them. Weights are in half precision.

| backbone | parameters |
|---|---|
{models}

## Trained on

| data | part | terms |
|---|---|---|
{sources}

{phases or "The backbones keep their pretrained weights; nothing of them was trained here."}

The networks learned {len(classes)} classes. Whoever uses the weights commercially must check the terms above first.

## Measured

Share of validation pictures of the training classes that each model's head, and the vote of all, judge rightly:

| model | accuracy |
|---|---|
{accuracy}

A shop's own classes are fitted on its own feed when it is first indexed; these heads are only used before that.

## Limits

Small networks, little data: they know everyday objects, not this season's sofas. Retrieval quality comes from the
whitening that each shop fits on its own pictures. People, brands and text were not looked at.
"""


def _kept(source: Any) -> str:
    where = getattr(source, "where", {})
    return ", ".join(f"{column} starting with {text}" for column, text in where.items()) or "all"
