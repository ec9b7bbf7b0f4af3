"""What a run found: proofs, figures, and what was not run. One line of JSON each, so that a killed part loses none."""

import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Record = dict[str, Any]
"""`part`, `name` and one of `holds` with `detail`, `value` with `unit`, and `why` (not run)."""


@dataclass
class Budget:
    """The seconds that a run may take; what a part leaves unused is left to later ones."""

    total: float
    now: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.now()

    def left(self, limit: float) -> float:
        """Return the seconds for a part that may take `limit`."""
        return max(0.0, min(limit, self.total - (self.now() - self.started)))


class Report:
    """Appends the findings of one part to a file."""

    def __init__(self, file: Path, part: str) -> None:
        self._file, self._part = file, part

    def proof(self, name: str, holds: bool, detail: str = "") -> None:
        """Write whether something that must hold does."""
        self._write(name, holds=bool(holds), detail=detail)

    def figure(self, name: str, value: float, unit: str) -> None:
        """Write a measurement."""
        self._write(name, value=round(float(value), 4), unit=unit)

    def not_run(self, name: str, why: str) -> None:
        """Write what could not be run."""
        self._write(name, why=why)

    def _write(self, name: str, **finding: Any) -> None:
        record = {"part": self._part, "name": name, **finding}
        print(line(record), flush=True)
        with self._file.open("a") as lines:
            lines.write(json.dumps(record) + "\n")


def read(file: Path) -> list[Record]:
    """Return the findings written so far."""
    return [json.loads(text) for text in file.read_text().splitlines()] if file.is_file() else []


def line(record: Record) -> str:
    """Return a finding as a line of text."""
    if "holds" in record:
        finding = f"{'holds' if record['holds'] else 'FAILED'}  {record['detail']}"
    elif "value" in record:
        finding = f"{record['value']:,.2f} {record['unit']}"
    else:
        finding = f"not run: {record['why']}"
    return f"{record['part']:<13} {record['name']:<48} {finding}".rstrip()


def failed(records: Iterable[Record]) -> bool:
    """Return whether a proof failed."""
    return any(not record.get("holds", True) for record in records)


def milliseconds(run: Callable[[], Any], seconds: float = 2.0) -> float:
    """Return the median duration in ms of the calls that begin within some seconds, after one to warm up."""
    run()
    durations: list[float] = []
    while sum(durations) < seconds:
        started = time.perf_counter()
        run()
        durations.append(time.perf_counter() - started)
    return 1000 * statistics.median(durations)
