import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from gpu_check import __main__ as command
from gpu_check import networks, report, search, wheels
from gpu_check.report import Budget, Report
from vsearch.index import class_index
from vsearch.index.class_index import ClassIndex


def gpu_code(*entries: tuple[int, int, bytes]) -> bytes:
    """Return a container of GPU code as nvcc writes it, from kinds, architectures and code."""
    parts = [
        struct.pack("<HHIQIIHHI", kind, 1, 64, len(code), 0, 0, 0, 0, card) + bytes(64 - 32) + code
        for kind, card, code in entries
    ]
    return b"\x50\xed\x55\xba" + struct.pack("<HHQ", 1, 16, sum(map(len, parts))) + b"".join(parts)


LIBRARY = (
    b"code\x50\xed\x55\xba no container "
    + gpu_code((2, 80, b"for 8.0 "), (2, 90, b"for 9.0 "), (1, 90, b"any card"))
    + b"\0libcublas.so.12\0libcublasLt.so.12\0"
    + gpu_code((2, 90, b"more 9.0"))
)


def test_only_the_code_of_one_card_is_kept():
    slimmed = wheels.only_for(LIBRARY, 90)
    assert len(slimmed) == len(LIBRARY)
    changed = LIBRARY.replace(b"for 8.0 ", bytes(8)).replace(b"any card", bytes(8))
    assert slimmed == changed


def test_a_card_without_machine_code_is_rejected():
    with pytest.raises(ValueError, match=r"\[80, 90\]"):
        wheels.only_for(LIBRARY, 89)


def test_a_slimmed_wheel_is_unpacked_without_what_is_not_needed(tmp_path):
    kept = ("faiss/__init__.py", "faiss_gpu.libs/libopenblas.so", "nvidia/cuda_runtime/lib/libcudart.so.12")
    left_out = ("faiss/_gpu_build.py", "faiss/contrib/x.py", "nvidia/cuda_runtime/lib/libother.so")
    (tmp_path / "raw").mkdir()
    with ZipFile(tmp_path / "raw" / "x.whl", "w") as wheel:
        for name in (*kept, *left_out):
            wheel.writestr(name, name)
        wheel.writestr("faiss/libfaiss.so", LIBRARY)
    wheels.slim(tmp_path / "raw" / "x.whl", tmp_path / "x.whl", 90)
    wheels.unpack(tmp_path, tmp_path / "unpacked")
    found = {str(file.relative_to(tmp_path / "unpacked")) for file in (tmp_path / "unpacked").rglob("*.*")}
    assert {*kept, "faiss/libfaiss.so"} <= found
    assert not found & set(left_out)
    assert (tmp_path / "unpacked/faiss/libfaiss.so").read_bytes() == wheels.only_for(LIBRARY, 90)


def test_a_library_is_changed_to_another_cublas_once():
    versioned = LIBRARY + struct.pack("<I", wheels._elf_hash("libcublas.so.12"))
    changed = wheels.use_cublas(versioned, "13")
    assert b"\0libcublas.so.13\0libcublasLt.so.13\0" in changed
    assert changed.endswith(struct.pack("<I", wheels._elf_hash("libcublas.so.13")))
    assert wheels.use_cublas(changed, "13") == changed
    assert wheels._elf_hash("GLIBC_2.2.5") == 0x09691A75
    with pytest.raises(OSError, match="more than once"):
        wheels.use_cublas(LIBRARY + LIBRARY, "13")


def test_a_part_gets_its_limit_or_what_is_left():
    clock = iter([0.0, 100.0, 450.0, 500.0])
    budget = Budget(480, lambda: next(clock))
    assert [budget.left(120) for _ in range(3)] == [120, 30, 0]


@dataclass
class Card:
    """Fake of FAISS's GPU: copies stay on the CPU, are off by `error`, and fail while the card is full."""

    error: float = 0
    full: bool = False

    def copy(self, resources: object, device: int, index: Any, options: object) -> Any:
        if self.full:
            raise RuntimeError("cudaMalloc error out of memory")
        copied, error = index, self.error

        class Copy:
            def search(self, vectors: Any, k: int) -> Any:
                values, positions = copied.search(vectors, k)
                return values + np.float32(error), positions

        return Copy()

    def __enter__(self) -> None:
        self.full = True

    def __exit__(self, *_: object) -> None:
        self.full = False


@pytest.fixture
def card(monkeypatch):
    found = Card()
    monkeypatch.setattr("faiss.get_num_gpus", lambda: 1, raising=False)
    monkeypatch.setattr("faiss.index_cpu_to_gpu", found.copy, raising=False)
    monkeypatch.setattr("faiss.GpuClonerOptions", SimpleNamespace, raising=False)
    monkeypatch.setattr(class_index, "_gpu_resources", lambda: None)
    monkeypatch.setattr(search, "full_card", lambda: found)
    class_index._gpu_failed.clear()
    yield found
    class_index._gpu_failed.clear()


@pytest.mark.parametrize(("error", "fails"), [(0.0, False), (0.01, True)])
def test_answers_are_proved_or_disproved(error, fails, card, tmp_path):
    card.error = error
    search.main(["answers", str(tmp_path / "found"), "--small"])
    records = report.read(tmp_path / "found")
    assert report.failed(records) == fails
    assert len(records) == 20
    wrong = [record["name"] for record in records if not record["holds"]]
    assert not any("a tenth" in name or "does not fit" in name for name in wrong)


def test_without_a_gpu_nothing_is_proved(tmp_path):
    search.main(["answers", str(tmp_path / "found"), "--small"])
    assert [set(record) for record in report.read(tmp_path / "found")] == [{"part", "name", "why"}]


def test_places_may_change_only_among_equals(tmp_path):
    vectors = np.eye(4, 384, dtype=np.float32)
    ClassIndex.build(vectors, np.arange(4), "cosine").save(tmp_path / "x")
    index = ClassIndex.load(tmp_path / "x", "cosine")
    query = vectors[:1]
    expected = index.search(query, 3)
    assert expected[1].tolist() == [[0, 1, 2]]
    for ids, same in (([0, 3, 1], True), ([0, 1, 1], False), ([1, 0, 2], False)):
        problem = search.difference((expected[0], np.array([ids])), expected, index, query)
        assert (not problem) == same


@pytest.mark.parametrize(("holds", "code"), [(True, 0), (False, 1)])
def test_a_run_exits_with_1_if_a_proof_failed(holds, code, monkeypatch, tmp_path):
    def run(arguments: list[str], variables: object, limit: float) -> str:
        Report(Path(arguments[-1]), "answers").proof("answers", holds)
        return ""

    monkeypatch.setattr(command, "_run", run)
    assert command.main(["run", "--only", "answers", "--json", str(tmp_path / "x.json")]) == code
    assert '"holds"' in (tmp_path / "x.json").read_text()


def test_a_crash_in_the_proofs_is_a_failure_and_a_late_part_is_not_run(monkeypatch, tmp_path):
    monkeypatch.setattr(command.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], -11))
    crashed = command.run(None, tmp_path, ["answers", "search"], 480, True)
    assert [("holds" in record, "why" in record) for record in crashed] == [(True, False), (False, True)]
    assert report.failed(crashed)
    late = command.run(None, tmp_path, ["answers"], 5, True)
    assert [set(record) for record in late] == [{"part", "name", "why"}]


def test_pictures_are_the_same_in_each_run_and_at_each_size():
    small, large = networks.pictures(224, 4), networks.pictures(260, 32)
    assert small.shape == (4, 224, 224, 3)
    np.testing.assert_array_equal(small[:, :28, :28], large[:4, :28, :28])


def test_the_least_cosine_is_that_of_the_worst_row():
    one = np.array([[1, 0], [1, 1]], np.float32)
    assert networks.least_cosine(one, np.array([[2, 0], [1, 0]], np.float32)) == pytest.approx(0.5**0.5)
