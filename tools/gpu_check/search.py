"""Search on a GPU and on the CPU: equal answers, and milliseconds. Run as a process of its own by `__main__`."""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from gpu_check.report import Report, milliseconds
from gpu_check.wheels import ready_faiss
from vsearch.core.settings import Metric
from vsearch.core.vectors import l2_normalize
from vsearch.index import class_index
from vsearch.index.class_index import ClassIndex, Ids, Vectors
from vsearch.index.index_policy import SCAN, faiss, shopper_like

SIZE = 384
TOLERANCE = 2e-3
"""Of similarities and distances about 1: on a GPU, queries too are rounded to half precision."""

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")


def main(arguments: list[str] | None = None) -> None:
    """Run one part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("answers", "search"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args(arguments)
    report, counts = Report(options.file, options.part), (2_000, 5_000) if options.small else (100_000, 1_000_000)
    if find_spec("faiss") is None:
        report.not_run("FAISS", "it is not there")
        for count in counts if options.part == "search" else ():
            time_product(report, random_vectors(count))
        return
    if note := ready_faiss():
        report.not_run("FAISS as published", note)
    with tempfile.TemporaryDirectory() as folder:
        if options.part == "answers":
            check_answers(report, Path(folder) / "x.faiss", counts[0])
        else:
            for count in counts:
                compare_speed(report, Path(folder) / "x.faiss", count)


def gpus() -> int:
    """Return the number of GPUs that FAISS sees; 0 if it was built without GPU support or there is no driver."""
    try:
        return int(getattr(faiss(), "get_num_gpus", lambda: 0)())
    except RuntimeError:
        return 0


def check_answers(report: Report, file: Path, count: int) -> None:
    """Prove that a GPU's answers are those of the CPU, and that the CPU answers if the GPU's memory is full."""
    if not gpus():
        report.not_run("GPU and CPU answers", f"FAISS {faiss().__version__} sees no GPU")
        return
    vectors, ids = random_vectors(count), np.arange(count) * 3
    cases: dict[str, dict[str, Any]] = {
        "unfiltered": {"k": 10},
        "100 results": {"k": 100},
        "without 40 images": {"k": 10, "excluded": ids[:40]},
        "a tenth of the images": {"k": 10, "allowed": ids[::10]},
        "a tenth without 40": {"k": 10, "allowed": ids[::10], "excluded": ids[:400:10]},
    }
    queries = shopper_like(vectors, 64)
    for metric in METRICS:
        ClassIndex.build(vectors, ids, metric, SCAN).save(file)
        index, reference = ClassIndex.load(file, metric), on_cpu(file, metric)
        report.proof(f"{metric}: the index is on the GPU", index._gpu is not None)
        for name, case in cases.items():
            problem = difference(index.search(queries, **case), reference.search(queries, **case), reference, queries)
            report.proof(f"{metric}: {name}", not problem, problem or f"{count:,} vectors, 64 queries")
        report.proof(f"{metric}: the GPU did not fail", not class_index._gpu_failed.is_set())
        with full_card():
            small = ClassIndex.load(file, metric)
            report.proof(f"{metric}: a card too small is not used", small._gpu is None)
            for name, each in (("an index that does not fit", small), ("one that was there before", index)):
                problem = difference(each.search(queries, 10), reference.search(queries, 10), reference, queries)
                report.proof(f"{metric}, full card: {name}", not problem, problem)
        class_index._gpu_failed.clear()


def on_cpu(file: Path, metric: Metric) -> ClassIndex:
    """Return an index that is searched on the CPU only."""
    index = ClassIndex.load(file, metric)
    index._gpu = None
    return index


def difference(found: tuple[Vectors, Ids], expected: tuple[Vectors, Ids], index: ClassIndex, queries: Vectors) -> str:
    """Return how answers [q, k] differ by more than rounding from the expected ones, or "" if they do not.

    Neighbors that are equally near up to rounding may change places, so each value is also computed from the vector of
    its id.
    """
    values, ids = found
    if (wrong := float(np.abs(values - expected[0]).max())) > TOLERANCE:
        return f"values differ by up to {wrong:.2g}"
    if any(len(set(row)) < len(row) for row in ids.tolist()):
        return "an image is found twice"
    rows = index.vectors(ids.ravel()).reshape(*ids.shape, -1)
    if index.metric == "cosine":
        own = np.einsum("qd,qkd->qk", l2_normalize(queries), rows)
    else:
        own = np.linalg.norm(queries[:, None] - rows, axis=2)
    if (wrong := float(np.abs(values - own).max())) > TOLERANCE:
        return f"values differ by up to {wrong:.2g} from those of the images found"
    return ""


@contextmanager
def full_card() -> Iterator[None]:
    """Let PyTorch hold all memory of the GPU that is left, down to pieces of 2 MiB."""
    import torch

    held = []
    for size in (2**30, 2**26, 2**21):
        with suppress(torch.cuda.OutOfMemoryError):
            while True:
                held.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
    try:
        yield
    finally:
        held.clear()
        torch.cuda.empty_cache()


def compare_speed(report: Report, file: Path, count: int) -> None:
    """Measure searches for ten results among vectors in half precision, on the CPU and on the GPU."""
    vectors = random_vectors(count)
    ClassIndex.build(vectors, np.arange(count), "cosine", SCAN).save(file)
    cpu, gpu = on_cpu(file, "cosine"), ClassIndex.load(file, "cosine")
    _time(report, f"{count:,} vectors, CPU", vectors, lambda queries: cpu.search(queries, 10))
    if gpu._gpu is None:
        report.not_run(f"{count:,} vectors, GPU", "FAISS sees no GPU, or it is too small")
        time_product(report, vectors)
        return
    _time(report, f"{count:,} vectors, GPU", vectors, lambda queries: gpu.search(queries, 10))
    if not hasattr(faiss(), "GpuIndexCagra"):
        report.not_run(f"{count:,} vectors, CAGRA", "only faiss-gpu-cuvs has it, which needs 240 MB of libcuvs")
        return
    graph = faiss().GpuIndexCagra(class_index._gpu_resources(), SIZE, faiss().METRIC_INNER_PRODUCT)
    graph.train(vectors)
    _time(report, f"{count:,} vectors, CAGRA", vectors, lambda queries: graph.search(queries, 10))


def time_product(report: Report, vectors: Vectors) -> None:
    """Measure the same search as a matrix product and `topk` in PyTorch, which says nothing about FAISS."""
    if find_spec("torch") is None:
        return
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = torch.from_numpy(vectors).half().to(device)
    name = f"{len(vectors):,} vectors, PyTorch on {device}, not FAISS"
    _time(
        report,
        name,
        vectors,
        lambda queries: torch.topk(torch.from_numpy(queries).half().to(device) @ rows.T, 10)[1].cpu(),
    )


def _time(report: Report, name: str, vectors: Vectors, search: Callable[[Vectors], object]) -> None:
    for batch in (1, 64):
        queries = l2_normalize(shopper_like(vectors, batch))
        report.figure(f"{name}, batch {batch}", milliseconds(partial(search, queries)), "ms")


def random_vectors(count: int) -> Vectors:
    """Return unit vectors, float32 [count, 384]."""
    return l2_normalize(np.random.default_rng(0).standard_normal((count, SIZE), dtype=np.float32))


if __name__ == "__main__":
    main()
