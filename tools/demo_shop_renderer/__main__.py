"""The command: python -m demo_shop_renderer --out DIR --seed 7 --jobs 2."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from demo_shop_renderer import feed, work
from demo_shop_renderer.catalogue import Product, products
from demo_shop_renderer.packshot import TURNTABLE

RESTART = 40
"""Pictures after which a process makes room for a fresh one: Blender never gives memory back."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Render what is missing, then write the tables."""
    options = _options().parse_args(arguments)
    try:
        chosen = _chosen(options)
        if options.part is not None:
            return _render(options, chosen)
        options.out.mkdir(parents=True, exist_ok=True)
        failed = _render_all(options, chosen)
        if options.kind == "turntables":
            views = work.turntables(_pool(options), len(TURNTABLE))
            absent = set(work.missing(options.out, views))
            feed.write_turntables(options.out, [(one.product, one.number) for one in views if one not in absent])
        else:
            feed.write(options.out, options.seed, work.seen(options.out, work.pictures(products(options.seed))))
    except (ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; the same command goes on where this one was\n")
        return 130
    return failed


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo_shop_renderer",
        description="Render the demo shop: packshots, shoppers' photos in rooms, and its tables.",
        epilog="example: python -m demo_shop_renderer --out shop --seed 7 --jobs 2",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write into; what is there already stays")
    parser.add_argument("--seed", type=_whole, default=0, help="another number, another shop (default: 0)")
    parser.add_argument(
        "--jobs", type=_positive, default=1, help="processes at a time, of one thread each (default: 1)"
    )
    parser.add_argument("--only", metavar="SKU", action="append", help="render this product alone; may be repeated")
    parser.add_argument("--limit", type=_positive, help="render so many products, spread over all categories")
    parser.add_argument("--samples", type=_positive, default=5, help="light paths for each pixel (default: 5)")
    parser.add_argument("--size", type=_positive, default=320, help="side of a packshot in pixels (default: 320)")
    parser.add_argument(
        "--kind",
        choices=("all", "packshots", "photos", "turntables"),
        default="all",
        help="which pictures; turntables, which the shop does not show, only by name (default: all)",
    )
    parser.add_argument(
        "--views",
        type=_positive,
        default=6,
        help=f"views of each product on a turntable, at most {len(TURNTABLE)} (default: 6)",
    )
    parser.add_argument("--part", type=_whole, help=argparse.SUPPRESS)
    return parser


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, but it is {text!r}; write it like 7")
    return int(text)


def _positive(text: str) -> int:
    if _whole(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1, but it is 0; write it like 2")
    return int(text)


def _wanted(options: argparse.Namespace) -> list[Product]:
    """Return the products to render.

    Raises:
        ValueError: there is no product of a sku asked for.
    """
    every = _pool(options)
    if options.only:
        known = {product.sku: product for product in every}
        unknown = [sku for sku in options.only if sku.upper() not in known]
        if unknown:
            raise ValueError(
                f"--only must name a product, but seed {options.seed} has no {unknown[0]!r}; see packshots.csv."
            )
        return [known[sku.upper()] for sku in options.only]
    if options.limit:
        step = max(1, len(every) // options.limit)
        return list(every[::step][: options.limit])
    return list(every)


def _pool(options: argparse.Namespace) -> tuple[Product, ...]:
    """Return all products; for turntables, which networks learn from, only those that they may be trained on."""
    every = products(options.seed)
    return tuple(one for one in every if one.family.split == "train") if options.kind == "turntables" else every


def _chosen(options: argparse.Namespace) -> list[work.Picture]:
    """Return the pictures to render.

    Raises:
        ValueError: there is no product of a sku asked for, or there are fewer views.
    """
    if options.views > len(TURNTABLE):
        raise ValueError(f"--views must be at most {len(TURNTABLE)}, but it is {options.views}.")
    if options.kind == "turntables":
        return work.turntables(_wanted(options), options.views)
    wanted = work.pictures(_wanted(options))
    return [one for one in wanted if options.kind in ("all", "photos" if one.number else "packshots")]


def _render(options: argparse.Namespace, chosen: list[work.Picture]) -> int:
    """Render one process's share of what is missing, at most as much as a process may."""
    from demo_shop_renderer.pictures import Renderer

    if hasattr(os, "sched_setaffinity"):  # one core each: Blender's idle threads cost a fifth otherwise
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[options.part % len(cores)]})
    stopped: list[int] = []  # an interrupt inside Blender would leave a picture half-lit: the one at hand is finished
    signal.signal(signal.SIGINT, lambda number, frame: stopped.append(number))
    mine = work.share(chosen, options.part, options.jobs)
    todo = work.missing(options.out, mine)[:RESTART]
    with tempfile.TemporaryDirectory() as scratch:
        renderer = Renderer(options.seed, options.size, options.samples, Path(scratch) / "view.png")
        for one in work.carry_out(options.out, todo, renderer):
            sys.stdout.write(f"{one.path.name}\n")
            sys.stdout.flush()
            if stopped:
                break
    return 0


def _render_all(options: argparse.Namespace, chosen: list[work.Picture]) -> int:
    """Keep processes going until nothing is missing; return 1 when they get nowhere."""
    begun, start = time.monotonic(), len(work.missing(options.out, chosen))
    while left := len(work.missing(options.out, chosen)):
        jobs = min(options.jobs, left)
        running = [_start(options, part, jobs) for part in range(jobs)]
        try:
            while any(job.poll() is None for job in running):
                time.sleep(1)
                _progress(start, len(work.missing(options.out, chosen)), begun)
        except KeyboardInterrupt:
            for job in running:
                job.send_signal(signal.SIGINT)
            for job in running:
                job.wait()
            raise
        if any(job.returncode for job in running) and len(work.missing(options.out, chosen)) == left:
            sys.stderr.write("\na process failed, and no picture was made; what it said stands above\n")
            return 1
    sys.stderr.write("\n")
    return 0


def _start(options: argparse.Namespace, part: int, jobs: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "demo_shop_renderer", "--out", str(options.out), "--seed", str(options.seed)]
    command += [
        "--jobs",
        str(jobs),
        "--part",
        str(part),
        "--samples",
        str(options.samples),
        "--size",
        str(options.size),
    ]
    command += ["--kind", options.kind, "--views", str(options.views)]
    for sku in options.only or ():
        command += ["--only", sku]
    if options.limit:
        command += ["--limit", str(options.limit)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


def _progress(start: int, left: int, begun: float) -> None:
    done, spent = start - left, time.monotonic() - begun
    rest = f"{spent / done * left / 60:.0f} min left" if done else "measuring"
    sys.stderr.write(f"\r{done} of {start} pictures, {rest}   ")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
