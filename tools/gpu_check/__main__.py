"""Check vsearch on a machine with a GPU, in at most eight minutes.

    python tools/gpu_check prepare wheels                       # where there is a package index
    python tools/gpu_check run wheels --json gpu_check.json     # on the machine with the GPU

`prepare` downloads what a machine with Python 3.12, PyTorch and JAX lacks. `run` proves that searches and features of
the GPU agree with those of the CPU, and measures both. Each part is a process with a time limit. Exits with 1 if a
proof failed. What could not be run is listed, and proves nothing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

TOOLS = Path(__file__).parents[1]
if not __package__:
    sys.path[:0] = [str(TOOLS), str(TOOLS.parent)]

from gpu_check import report, wheels  # noqa: E402  # found only now, if a folder was run

SECONDS = 480
MIN_SECONDS = 10
"""A part that has less left is not started."""


class Part(NamedTuple):
    """A part of a run: a module, its arguments, and its limit in seconds."""

    name: str
    module: str
    arguments: tuple[str, ...]
    seconds: int
    proves: bool = False  # whether a crash is a failed proof


PARTS = (  # the last ones get what the others leave
    Part("answers", "search", ("answers",), 60, proves=True),
    Part("search", "search", ("search",), 100),
    Part("encode GPU", "networks", ("encode", "--device=GPU"), 160),
    Part("train GPU", "networks", ("train", "--device=GPU"), 120),
    Part("encode CPU", "networks", ("encode", "--device=CPU"), 60),
    Part("train CPU", "networks", ("train", "--device=CPU"), 60),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if a proof failed."""
    options = _options().parse_args(arguments)
    if options.command == "prepare":
        from gpu_check.networks import write_features

        try:
            options.folder.mkdir(parents=True, exist_ok=True)
            write_features(options.folder)
            wheels.prepare(options.folder, options.card, options.limit)
        except (ValueError, OSError, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    with tempfile.TemporaryDirectory() as work:
        records = run(options.folder, Path(work), options.only, options.seconds, options.small)
    print("\n" + "\n".join(report.line(record) for record in records))
    failed = report.failed(records)
    print(f"\n{'A PROOF FAILED' if failed else 'No proof failed'}; {_not_run(records)}")
    if options.json:
        machine = {"platform": platform.platform(), "python": platform.python_version(), "cpus": os.cpu_count()}
        found = {"machine": machine | {"gpus": _cards()}, "findings": records}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return int(failed)


def run(folder: Path | None, work: Path, only: Sequence[str], seconds: float, small: bool) -> list[report.Record]:
    """Run the parts in processes, with the wheels of a folder, within a number of seconds; return what they found."""
    budget, records = report.Budget(seconds), []
    unpacked = work / "unpacked"
    if folder:
        wheels.unpack(folder, unpacked)
    paths = [str(unpacked), str(TOOLS), str(TOOLS.parent)]
    for part in PARTS:
        if only and part.name not in only:
            continue
        for number, environment in enumerate(_environments(part)):
            file = work / f"{part.name}-{number}.jsonl"
            command = [sys.executable, "-m", f"gpu_check.{part.module}", *part.arguments, str(file)]
            if part.module == "networks" and folder:
                command.append(f"--features={folder / 'features.npz'}")
            limit = budget.left(part.seconds)
            problem = f"only {limit:.0f} s are left"
            if limit >= MIN_SECONDS:
                variables = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment
                problem = _run(command + ["--small"] * small, variables, limit)
            found = report.read(file)
            if problem:
                crashed = part.proves and "exit" in problem
                finding = {"holds": False, "detail": problem} if crashed else {"why": problem}
                found.append({"part": part.name, "name": environment.get("KERAS_BACKEND", "this part"), **finding})
            records += found
            if any("value" in record for record in found):
                break  # else the next backend is tried
    return records


def _environments(part: Part) -> list[dict[str, str]]:
    """Return the variables to run a part with: for networks, one for each Keras backend to try."""
    if part.module == "search":
        return [{}]
    device = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"} if "--device=CPU" in part.arguments else {}
    shared = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # JAX takes three quarters of the card otherwise
    return [{"KERAS_BACKEND": name} | device | shared for name in ("jax", "torch") if find_spec(name)]


def _run(command: Sequence[str], variables: dict[str, str], limit: float) -> str:
    """Run a command; return what went wrong, or ""."""
    try:
        code = subprocess.run(command, env=variables, timeout=limit, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"stopped after {limit:.0f} s"
    return f"exit code {code}; its output is above" if code else ""


def _cards() -> list[str]:
    """Return what `nvidia-smi` says of each GPU."""
    try:
        query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def _not_run(records: Sequence[report.Record]) -> str:
    proofs, missing = (sum(key in record for record in records) for key in ("holds", "why"))
    return f"{proofs} proofs were run, {missing} things could not be."


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu_check", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="download wheels for a machine without a package index")
    prepare.add_argument("folder", type=Path)
    prepare.add_argument("--card", type=int, default=90, help="compute capability without its point (default 90)")
    prepare.add_argument("--limit", type=int, default=64, help="MiB that may be copied there (default 64)")
    running = commands.add_parser("run", help="run all parts")
    running.add_argument("folder", type=Path, nargs="?", help="made by `prepare`; none if all is installed")
    running.add_argument("--json", type=Path, metavar="FILE")
    running.add_argument("--seconds", type=float, default=SECONDS)
    running.add_argument("--only", action="append", default=[], choices=[part.name for part in PARTS], metavar="PART")
    running.add_argument("--small", action="store_true", help="few vectors and one network, to try the command")
    return parser


if __name__ == "__main__":
    sys.exit(main())
