"""Class heads on stored blocks: the frozen phase of transfer learning, and the vote of the models.

A head is one softmax layer on one backbone's block. Since blocks are stored, fitting heads to a shop's own classes
encodes nothing and takes seconds. numpy, and scikit-learn while fitting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.models.vocabulary import Vocabulary

Floats = NDArray[np.float32]
DESCRIPTORS = ("shape", "colour")  # blocks that are no network and have no vote
_STRENGTH = 0.03  # inverse of the L2 penalty; measured on furniture photos and on made shopper photos of ikea
_MAX_ITERATIONS = 300
_TOLERANCE = 1e-2  # ten times faster than 1e-3, and as good on pictures not fitted on


@dataclass(frozen=True)
class Predictions:
    """What the models say of n pictures; c classes.

    Attributes:
        classes: c names.
        votes: for each model, probabilities float32 [n, c].
        probabilities: the models' mean, float32 [n, c].
        winners: majority vote, ties broken by the mean probability, int64 [n].
    """

    classes: tuple[str, ...]
    votes: Mapping[str, Floats]
    probabilities: Floats
    winners: NDArray[np.int64]


@dataclass(frozen=True)
class Head:
    """One softmax layer: block float [n, d] -> probabilities [n, c]."""

    weights: Floats
    bias: Floats

    def predict(self, block: NDArray[Any]) -> Floats:
        """Return probabilities float32 [n, c] that sum to 1."""
        logits = block.astype(np.float32) @ self.weights + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        result: Floats = powers / powers.sum(axis=1, keepdims=True)
        return result


@dataclass(frozen=True)
class Heads:
    """One head for each network block, all with one vocabulary."""

    vocabulary: Vocabulary
    heads: Mapping[str, Head]
    block_sizes: Mapping[str, int] = field(repr=False)

    def predict(self, blocks: NDArray[Any]) -> Predictions:
        """Let every model judge joined blocks [n, sum(block_sizes)], then vote."""
        spans = block_spans(self.block_sizes)
        votes = {name: head.predict(blocks[:, spans[name]]) for name, head in self.heads.items()}
        stacked = np.stack(list(votes.values()))
        return Predictions(self.vocabulary.names, votes, stacked.mean(axis=0), vote(stacked))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` takes, in half precision."""
        layers = {f"{name}.weights": head.weights.astype(np.float16) for name, head in self.heads.items()}
        return layers | {f"{name}.bias": head.bias.astype(np.float16) for name, head in self.heads.items()}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], vocabulary: Vocabulary, block_sizes: Mapping[str, int]
    ) -> "Heads":
        """Build from the arrays NAME.weights and NAME.bias of each model."""
        models = [name.removesuffix(".weights") for name in arrays if name.endswith(".weights")]
        heads = {
            name: Head(arrays[f"{name}.weights"].astype(np.float32), arrays[f"{name}.bias"].astype(np.float32))
            for name in models
        }
        return cls(vocabulary, heads, block_sizes)


def vote(probabilities: NDArray[Any]) -> NDArray[np.int64]:
    """Majority vote: the class most models put first; ties go to the higher mean probability.

    Args:
        probabilities: [m models, n pictures, c classes].

    Returns:
        Class numbers int64 [n].
    """
    models, _, classes = probabilities.shape
    firsts = np.eye(classes)[probabilities.argmax(axis=2)].sum(axis=0)
    return np.asarray((firsts + probabilities.sum(axis=0) / (models + 1)).argmax(axis=1), np.int64)


def block_spans(block_sizes: Mapping[str, int]) -> dict[str, slice]:
    """Return where each block lies in the joined blocks."""
    stops = np.cumsum(list(block_sizes.values())).tolist()
    return {name: slice(stop - block_sizes[name], stop) for name, stop in zip(block_sizes, stops, strict=True)}


def fit_heads(blocks: NDArray[Any], class_names: Sequence[str], block_sizes: Mapping[str, int]) -> Heads:
    """Fit one softmax head for each network block by penalised maximum likelihood (L-BFGS).

    Args:
        blocks: joined blocks of n labelled pictures, [n, sum(block_sizes)].
        class_names: the class of each picture, n names.
        block_sizes: ordered sizes of the blocks; blocks named in `DESCRIPTORS` get no head unless there is no other.

    Raises:
        ValueError: there is no picture.
    """
    if not len(blocks):
        raise ValueError("heads are fitted on at least one picture")
    vocabulary = Vocabulary.of(class_names)
    labels = vocabulary.encode(class_names)
    networks = [name for name in block_sizes if name not in DESCRIPTORS] or list(block_sizes)
    spans = block_spans(block_sizes)
    heads = {name: _fit_head(blocks[:, spans[name]].astype(np.float32), labels, len(vocabulary)) for name in networks}
    return Heads(vocabulary, heads, dict(block_sizes))


def _fit_head(block: Floats, labels: NDArray[np.int64], count: int) -> Head:
    if count == 1:
        return Head(np.zeros((block.shape[1], 1), np.float32), np.zeros(1, np.float32))
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_STRENGTH, max_iter=_MAX_ITERATIONS, tol=_TOLERANCE)
    scale = np.float32(np.sqrt(block.shape[1]))  # blocks have unit norm: bring single numbers to about 1
    model.fit(block * scale, labels)
    weights, bias = model.coef_.T * scale, model.intercept_
    if count == 2:  # scikit-learn keeps one column for two classes
        weights, bias = np.hstack([-weights / 2, weights / 2]), np.concatenate([-bias / 2, bias / 2])
    return Head(weights.astype(np.float32), bias.astype(np.float32))
