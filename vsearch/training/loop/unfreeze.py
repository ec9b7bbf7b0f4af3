"""Which layers of a backbone learn in a phase."""

from typing import Any

from vsearch.core.errors import PlanError
from vsearch.models.backbones import Backbone
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
        PlanError: there is no such stage or layer, or nothing from it on can learn.
    """
    count, wanted = len(network.layers), phase.unfreeze
    if wanted in ("all", "none"):
        return 0 if wanted == "all" else count
    if isinstance(wanted, int):
        if not -count <= wanted < count:
            raise PlanError(
                f"Phase {phase.name!r}, unfreeze: {row.name} has the layers 0 to {count - 1}, but {wanted} was given."
            )
        first = wanted % count
    elif wanted in row.stages:
        first = _start_of_stage(network, row, wanted)
    else:
        raise PlanError(
            f"Phase {phase.name!r}, unfreeze: {wanted!r} is none of all, none, a layer's number, and the stages of "
            f"{row.name}: {', '.join(row.stages)}."
        )
    if not any(layer.weights for layer in network.layers[first:]):
        raise PlanError(
            f"Phase {phase.name!r}, unfreeze: no layer of {row.name} from {wanted!r} on has weights, so nothing would "
            "learn; name an earlier one, or none."
        )
    return first


def _start_of_stage(network: Any, row: Backbone, stage: str) -> int:
    names = [layer.name for layer in network.layers]
    if not row.stem_layers:
        return next(number for number, name in enumerate(names) if name.startswith(stage))
    before = row.stages.index(stage) - 1
    return names.index(row.stages[before]) + 1 if before >= 0 else row.stem_layers
