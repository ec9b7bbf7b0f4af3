"""Which layers of a backbone learn in a phase."""

from typing import Any

from vsearch.errors import PlanError
from vsearch.model.backbones import Backbone
from vsearch.training.plan_parts import Phase


def unfreeze(network: Any, row: Backbone, phase: Phase) -> None:
    """Let the layers of a backbone learn that the phase names; the others stay still, their batch norm too.

    Raises:
        PlanError: there is no such stage or layer.
    """
    first = first_layer(network, row, phase)
    network.trainable = True
    for number, layer in enumerate(network.layers):
        layer.trainable = number >= first


def first_layer(network: Any, row: Backbone, phase: Phase) -> int:
    """Return the number of the first layer that learns; how many there are when none does.

    Raises:
        PlanError: there is no such stage or layer.
    """
    count, wanted = len(network.layers), phase.unfreeze
    if wanted in ("all", "none"):
        return 0 if wanted == "all" else count
    if isinstance(wanted, int):
        if -count <= wanted < count:
            return wanted % count
        raise PlanError(
            f"Phase {phase.name!r}, unfreeze: {row.name} has the layers 0 to {count - 1}, but {wanted} was given."
        )
    if wanted not in row.stages:
        raise PlanError(
            f"Phase {phase.name!r}, unfreeze: {wanted!r} is none of all, none, a layer's number, and the stages of "
            f"{row.name}: {', '.join(row.stages)}."
        )
    return next(number for number, layer in enumerate(network.layers) if layer.name.startswith(wanted))
