"""What the trained heads of several networks say of pictures, each for itself and by vote. numpy alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vsearch.model.heads import vote
from vsearch.model.headspec import DIGITS, HeadSpec

VOTE: Final = "vote"
"""The judge that is all networks together."""


@dataclass(frozen=True)
class HeadPredictions:
    """What each network's heads say of n pictures.

    Attributes:
        specs: the heads.
        probabilities: network -> head -> calibrated probabilities float32 [n, *logits_shape].
    """

    specs: tuple[HeadSpec, ...]
    probabilities: Mapping[str, Mapping[str, NDArray[np.float32]]]

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of the networks."""
        return tuple(self.probabilities)

    @property
    def predictors(self) -> tuple[str, ...]:
        """The networks, and the vote where there are several."""
        return (*self.networks, VOTE) if len(self.networks) > 1 else self.networks

    def spec(self, head: str) -> HeadSpec:
        """Return a head by name.

        Raises:
            KeyError: there is none of that name.
        """
        return {spec.name: spec for spec in self.specs}[head]

    def mean(self, head: str) -> NDArray[np.float32]:
        """Return the networks' mean probabilities, float32 [n, *logits_shape]."""
        return np.asarray(self._stacked(head).mean(axis=0), np.float32)

    def of(self, judge: str, head: str) -> NDArray[np.float32]:
        """Return the probabilities of one network, or the mean of all for the vote."""
        return self.mean(head) if judge == VOTE else self.probabilities[judge][head]

    def numbers(self, judge: str, head: str) -> NDArray[np.int64]:
        """Return what a judge puts first.

        The vote is the majority of a softmax or of each digit, ties broken by the mean; of a sigmoid it is the mean.

        Returns:
            int64: softmax [n] and sigmoid [n] the class; digits [n, length].
        """
        if judge != VOTE or self.spec(head).kind == "sigmoid":
            return np.asarray(self.of(judge, head).argmax(axis=-1), np.int64)
        stacked = self._stacked(head)
        votes = vote(stacked.reshape(len(stacked), -1, stacked.shape[-1]))
        return votes.reshape(stacked.shape[1:-1])

    def words(self, judge: str, head: str) -> list[str]:
        """Return what a judge says of each picture: a class, values joined by the separator, or digits."""
        spec = self.spec(head)
        if spec.kind == "sigmoid":
            return spec.words(self.of(judge, head))
        numbers = self.numbers(judge, head)
        if spec.kind == "digits":
            return ["".join(DIGITS[number] for number in row) for row in numbers]
        return [spec.classes[number] for number in numbers]

    def vote(self, head: str) -> list[str]:
        """Return what all networks together say of each picture; see `numbers` and `words`."""
        return self.words(VOTE, head)

    def confidence(self, judge: str, head: str) -> NDArray[np.float32]:
        """Return the probability a judge gives to what it says, float32 [n].

        Of digits and of several sigmoid values it is the product: the whole answer is right, or it is not.
        """
        found = self.of(judge, head)
        spec = self.spec(head)
        if spec.kind == "sigmoid":
            said = np.maximum(found, 1 - found).prod(axis=-1)
            none = (found <= 0.5).all(axis=-1)
            return np.asarray(np.where(none, found.max(axis=-1), said), np.float32)
        numbers = self.numbers(judge, head)
        chosen = np.take_along_axis(found, numbers[..., None], axis=-1)[..., 0]
        return np.asarray(chosen.prod(axis=-1) if spec.kind == "digits" else chosen, np.float32)

    def _stacked(self, head: str) -> NDArray[np.float32]:
        return np.stack([own[head] for own in self.probabilities.values()])


def predictions_from_logits(
    specs: tuple[HeadSpec, ...],
    calibrated: Mapping[str, tuple[HeadSpec, ...]],
    logits: Mapping[str, Mapping[str, NDArray[np.float32]]],
) -> HeadPredictions:
    """Turn logits into a judgement.

    Args:
        specs: the heads.
        calibrated: network -> the heads with that network's temperatures.
        logits: network -> head -> [n, *logits_shape].
    """
    return HeadPredictions(
        specs,
        {
            network: {spec.name: spec.probabilities(own[spec.name]) for spec in calibrated[network]}
            for network, own in logits.items()
        },
    )
