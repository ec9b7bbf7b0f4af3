"""The learning rate at every step."""

from typing import Any

import pytest

from vsearch.training.loop.schedules import learning_rate
from vsearch.training.plan_parts import Phase


def phase(**keys: Any) -> Phase:
    """Return a phase of 10 epochs at a learning rate of 1."""
    return Phase(**{"name": "one", "size": 32, "epochs": 10, "batch": 8, "learning_rate": 1.0} | keys)


def test_the_warm_up_rises_in_a_straight_line() -> None:
    """Half an epoch of 8 steps: a quarter more each step, from the first on."""
    warming = phase(warm_up_epochs=0.5, schedule="constant")

    assert [learning_rate(warming, step, 8) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_the_cosine_goes_from_the_rate_to_zero() -> None:
    """Whole at its start, half in the middle, nothing after the last step; never more than before."""
    rates = [learning_rate(phase(), step, 10) for step in range(101)]

    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)
    assert rates == sorted(rates, reverse=True)


def test_the_cosine_begins_after_the_warm_up() -> None:
    """The first step after it has the whole rate."""
    assert learning_rate(phase(warm_up_epochs=2), 20, 10) == 1.0


@pytest.mark.parametrize("stretch", [{"every_steps": 20}, {"every_epochs": 2.0}])
def test_steps_divide_by_three(stretch: dict[str, float]) -> None:
    """Every 20 steps, or every 2 epochs of 10 steps, the rate is a third of what it was."""
    stepping = phase(schedule="step", **stretch)

    rates = [learning_rate(stepping, step, 10) for step in (0, 19, 20, 39, 40)]

    assert rates == pytest.approx([1, 1, 1 / 3, 1 / 3, 1 / 9])


def test_a_constant_rate_stays() -> None:
    """To the last step."""
    assert {learning_rate(phase(schedule="constant"), step, 10) for step in range(100)} == {1.0}
