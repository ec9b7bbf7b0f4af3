"""`vsearch bench index`: measures index types, and chooses one."""

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from vsearch.cli import json_option, pass_settings
from vsearch.cli.console import out, table
from vsearch.core.errors import InvalidRequest, UnknownClass
from vsearch.core.settings import Settings
from vsearch.index import generation as generations
from vsearch.index import index_benchmark, index_policy
from vsearch.index.class_index import Vectors
from vsearch.index.index_benchmark import PolicyResult, TypeResult

MIN_VECTORS = 1000
"""Smaller classes are searched within microseconds by any index."""


@click.command("index", epilog="Example: vsearch bench index --vectors 10000 --vectors 100000")
@click.option(
    "--vectors",
    "counts",
    type=click.IntRange(MIN_VECTORS),
    multiple=True,
    help="Number of synthetic vectors; repeatable.",
)
@click.option(
    "--size", type=click.IntRange(2), help="Dimensions of synthetic vectors; the default is `embedding_size`."
)
@click.option("--class", "class_name", default="", help="Measure this class of the published index, not the largest.")
@click.option("--policy-only", is_flag=True, help="Measure only the index that a class of this size gets.")
@json_option
@pass_settings
def bench_index(
    settings: Settings, *, counts: tuple[int, ...], size: int | None, class_name: str, policy_only: bool, as_json: bool
) -> None:
    """Compare index types on the vectors of a class, and measure filters, opening and memory.

    The vectors are those of the published index, or synthetic ones with --vectors. Queries are mixtures of vectors, as
    far from them as photos are. Each type is set to the least effort that reaches the recall target. hnswlib and
    usearch are compared as well if they are installed. Run it on an idle machine.
    """
    if class_name and counts:
        raise InvalidRequest("--class chooses vectors of the published index, so it cannot be used with --vectors.")
    reports = []
    for title, vectors in _synthetic(settings, counts, size) if counts else _published(settings, class_name):
        types = [] if policy_only else list(index_benchmark.compare_types(vectors))
        measured = index_benchmark.measure_policy(vectors)
        choice = index_benchmark.choose(types) if types else ""
        reports.append({"title": title, "types": list(map(asdict, types)), "choice": choice, **asdict(measured)})
        if not as_json:
            _print(title, types, choice, measured)
    if as_json:
        click.echo(json.dumps({"machine": machine(), "classes": reports}, indent=2))
    else:
        out.print(f"Machine: {machine()}.")


def _synthetic(settings: Settings, counts: tuple[int, ...], size: int | None) -> Iterator[tuple[str, Vectors]]:
    for count in counts:
        dimensions = size or settings.embedding_size
        yield f"{count} synthetic vectors of size {dimensions}", index_benchmark.synthetic_vectors(count, dimensions)


def _published(settings: Settings, class_name: str) -> Iterator[tuple[str, Vectors]]:
    indexes = generations.load(generations.current(settings.generations)).gallery.indexes["cosine"]
    if class_name and class_name not in indexes:
        raise UnknownClass(f"There is no class {class_name!r} in the index.")
    name = class_name or max(indexes, key=lambda name: len(indexes[name]))
    index = indexes[name]
    if len(index) < MIN_VECTORS:
        raise InvalidRequest(
            f"Class {name!r} has {len(index)} images; at least {MIN_VECTORS} are needed. "
            "Use --vectors to measure synthetic ones."
        )
    yield f"Class {name!r}, {len(index)} images", index.vectors(index.image_ids)


def _print(title: str, types: list[TypeResult], choice: str, measured: PolicyResult) -> None:
    if types:
        columns = (
            "index",
            "recall",
            "effort",
            "one query, ms",
            "95%",
            f"in batches of {index_benchmark.BATCH}",
            "bytes",
            "build, s",
        )
        lines = [
            (
                each.name,
                f"{each.recall:.4f}",
                str(each.effort or ""),
                f"{each.one_query:.3f}",
                f"{each.one_query_p95:.3f}",
                f"{each.batch:.3f}",
                f"{each.bytes_per_vector:.0f}",
                f"{each.build_seconds:.1f}",
            )
            for each in types
        ]
        table(title, columns, lines, right=columns[1:])
        out.print(f"Best: {choice}")
    rows = {
        "recall": f"{measured.recall:.4f}",
        "one query, ms (95%)": f"{measured.one_query:.3f} ({measured.one_query_p95:.3f})",
        "eight queries in eight calls, in one": f"{measured.eight_queries:.2f}, {measured.eight_queries_one_call:.2f}",
        "build, s": f"{measured.build_seconds:.1f}",
        "open, ms": f"{measured.open:.1f}",
        "file, MB": f"{measured.file_mb:.1f}",
        "resident after all queries, MB": f"{measured.resident_mb:.1f}",
    }
    for found in measured.filters:
        exact = "exact" if found.exact else "NOT exact"
        rows[f"filtered to {100 * found.share:g}%, ms (95%)"] = f"{found.median:.3f} ({found.p95:.3f}), {exact}"
    table(f"{title}: the policy gives {measured.key}", ("", "measured"), rows.items())


def machine() -> str:
    """Return the processor, its number of cores and the version of FAISS."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    version = index_policy.faiss().__version__
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} logical cores, FAISS {version}"
