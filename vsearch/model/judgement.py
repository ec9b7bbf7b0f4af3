"""The predictions of several networks' heads, one by one and by majority vote."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vsearch.model.heads import vote
from vsearch.model.headspec import HeadSpec

VOTE: Final = "vote"
"""Name of the predictor that combines all networks."""


@dataclass(frozen=True)
class HeadPredictions:
    """What each network's heads predict for n images.

    Attributes:
        specs: the heads.
        probabilities: network -> head -> calibrated probabilities, float32 [n, *logits_shape].
    """

    specs: tuple[HeadSpec, ...]
    probabilities: Mapping[str, Mapping[str, NDArray[np.float32]]]

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of the networks."""
        return tuple(self.probabilities)

    @property
    def predictors(self) -> tuple[str, ...]:
        """The networks, followed by the vote if there are several."""
        return (*self.networks, VOTE) if len(self.networks) > 1 else self.networks

    def spec(self, head: str) -> HeadSpec:
        """Return a head by name.

        Raises:
            KeyError: there is no such head.
        """
        return {spec.name: spec for spec in self.specs}[head]

    def mean(self, head: str) -> NDArray[np.float32]:
        """Return the networks' mean probabilities, float32 [n, *logits_shape]."""
        return np.asarray(self._stacked(head).mean(axis=0), np.float32)

    def probabilities_of(self, predictor: str, head: str) -> NDArray[np.float32]:
        """Return the probabilities of one network, or the mean of all for the vote."""
        return self.mean(head) if predictor == VOTE else self.probabilities[predictor][head]

    def predicted(self, predictor: str, head: str) -> NDArray[np.int64]:
        """Return the most probable class of each image [n], or digits [n, length].

        The vote is the majority, per digit for a digits head, with ties broken by the mean probability. For a sigmoid
        head it is the mean.
        """
        if predictor != VOTE or self.spec(head).kind == "sigmoid":
            return np.asarray(self.probabilities_of(predictor, head).argmax(axis=-1), np.int64)
        stacked = self._stacked(head)
        return vote(stacked.reshape(len(stacked), -1, stacked.shape[-1])).reshape(stacked.shape[1:-1])

    def labels(self, predictor: str, head: str) -> list[str]:
        """Return the predicted label of each image, see `HeadSpec.labels`."""
        spec = self.spec(head)
        if spec.kind == "sigmoid":
            return spec.labels(self.probabilities_of(predictor, head))
        return spec.decode(self.predicted(predictor, head))

    def vote(self, head: str) -> list[str]:
        """Return the label that all networks together predict for each image."""
        return self.labels(VOTE, head)

    def confidence(self, predictor: str, head: str) -> NDArray[np.float32]:
        """Return the probability that each predicted label is right as a whole, float32 [n].

        For digits and for several sigmoid classes it is the product of the single probabilities.
        """
        found = self.probabilities_of(predictor, head)
        spec = self.spec(head)
        if spec.kind == "sigmoid":
            several = np.maximum(found, 1 - found).prod(axis=-1)
            return np.asarray(np.where((found <= 0.5).all(axis=-1), found.max(axis=-1), several), np.float32)
        chosen = np.take_along_axis(found, self.predicted(predictor, head)[..., None], axis=-1)[..., 0]
        return np.asarray(chosen.prod(axis=-1) if spec.kind == "digits" else chosen, np.float32)

    def _stacked(self, head: str) -> NDArray[np.float32]:
        return np.stack([own[head] for own in self.probabilities.values()])


def predictions_from_logits(
    specs: tuple[HeadSpec, ...],
    calibrated: Mapping[str, tuple[HeadSpec, ...]],
    logits: Mapping[str, Mapping[str, NDArray[np.float32]]],
) -> HeadPredictions:
    """Convert logits to predictions.

    Args:
        specs: the heads.
        calibrated: network -> the heads with that network's temperatures.
        logits: network -> head -> [n, *logits_shape].
    """
    probabilities = {
        network: {spec.name: spec.probabilities(own[spec.name]) for spec in calibrated[network]}
        for network, own in logits.items()
    }
    return HeadPredictions(specs, probabilities)
