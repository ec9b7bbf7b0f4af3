"""Promises of docs/security.md that no other test checks."""

import re
from pathlib import Path

import numpy as np
import pytest

from vsearch.models import weights

ROOT = Path(__file__).parents[1]


class Harmful:
    """Its unpickling creates a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_no_pickled_data_is_loaded(tmp_path):
    harmed = tmp_path / "harmed"
    np.savez(tmp_path / "file.npz", generation=np.array([Harmful(harmed)], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        weights.read_arrays(tmp_path / "file.npz")
    assert not harmed.exists()
    sources = [file for name in ("vsearch", "catalog", "indexer", "webui") for file in (ROOT / name).rglob("*.py")]
    assert [
        file for file in sources if re.search(r"allow_pickle=(?!False)|import pickle", file.read_text(encoding="utf8"))
    ] == []
