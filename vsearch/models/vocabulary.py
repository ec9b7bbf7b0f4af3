"""The ordered class names of a head, and the only way from a name to its number and back."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vsearch.core.errors import UnknownClass

MISSING = -1


@dataclass(frozen=True)
class Vocabulary:
    """Class names in the order of a head's outputs; the names are distinct.

    Args:
        names: c distinct, non-empty names.

    Raises:
        ValueError: a name is empty or occurs twice.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not all(self.names):
            raise ValueError(f"class names must be distinct and not empty, got {self.names}")

    @classmethod
    def of(cls, labels: Iterable[str | None]) -> "Vocabulary":
        """Return the vocabulary of all names that occur in `labels`, sorted; None and "" are skipped."""
        return cls(tuple(sorted({label for label in labels if label})))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def fingerprint(self) -> str:
        """Short hash of names and order: equal exactly when two heads number classes alike."""
        return hashlib.sha256(json.dumps(self.names).encode()).hexdigest()[:16]

    def index(self, name: str) -> int:
        """Return the number of `name`.

        Raises:
            UnknownClass: the vocabulary has no such name.
        """
        if name not in self._numbers:
            raise UnknownClass(unknown_class_sentence(name, self.names))
        return self._numbers[name]

    def encode(self, names: Iterable[str | None]) -> NDArray[np.int64]:
        """Return the numbers [n] of `names`; -1 where a name is None or unknown."""
        return np.array([self._numbers.get(name or "", MISSING) for name in names], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._numbers


def unknown_class_sentence(name: str, known: Iterable[str], shown: int = 12) -> str:
    """Return the sentence that says a class is unknown and which ones there are."""
    names = list(known)
    listed = ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
    return f"A class must be one of the index's own, but {name!r} is not; it has {listed or 'none yet'}."
