"""Pairs of values that no training picture shows: each pair is left out in turn, and then judged.

FOLDER/unseen/<value>-<value>/judged.json       when the pair is judged; it is not trained again
                             /<backbone>/       its training while it lasts, see `vsearch.training.loop.fit`
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.core.files import replace_text
from vsearch.core.progress import Progress, no_stages
from vsearch.models.classifier import compiled, run_in_batches
from vsearch.models.trained_heads import HeadPredictions, HeadSpec, predictions_from_logits
from vsearch.training.data.dataset import Dataset, Split, showing
from vsearch.training.loop import fit
from vsearch.training.loop.resume import whole
from vsearch.training.outcome import Run, described
from vsearch.training.plan import Plan
from vsearch.training.results import scoring

Pair = Mapping[str, str]
"""Head -> value, of two heads."""


@dataclass(frozen=True)
class Fold:
    """A data set without a pair, and the pictures of the pair.

    Attributes:
        data: nothing in either split shows the pair, so nothing is chosen by looking at it.
        held: the pictures of the pair from sources to be judged on, those of the training split first.
    """

    data: Dataset
    held: Split


def pairs(data: Dataset, heads: tuple[str, str]) -> Iterator[dict[str, str]]:
    """Yield the pairs of values that a training picture to be judged on shows, in the heads' order."""
    first, second = (_spec(data, name) for name in heads)
    for one in first.classes:
        for other in second.classes:
            pair = {first.name: one, second.name: other}
            if (showing(data.train, data.heads, pair) & data.train.judged).any():
                yield pair


def fold(data: Dataset, pair: Pair) -> Fold:
    """Take the pictures of a pair out of both splits."""
    train, val = (showing(split, data.heads, pair) for split in (data.train, data.val))
    held = _joined(data.train.where(train & data.train.judged), data.val.where(val))
    return Fold(replace(data, train=data.train.where(~train), val=data.val.where(~val)), held)


def unlearnable(data: Dataset, pair: Pair) -> str:
    """Say why a pair cannot be judged: without it, no training picture shows one of its values. Empty when it can."""
    left = data.train.where(~showing(data.train, data.heads, pair))
    for head, value in pair.items():
        if not showing(left, data.heads, {head: value}).any():
            return f"no other {value} in training"
    return ""


def judge_pairs(run: Run, data: Dataset, progress: Progress = no_stages) -> dict[str, Any]:
    """Train without each pair in turn and judge it; what an earlier run judged is taken from its files.

    Returns:
        heads: the two; pairs: one entry for each, {values, n, judges or reason}, judges holding for each judge how
        many pictures have the first, the second, and both values right; pooled: judge -> share with both right over
        the pictures of all pairs, {n, mean, low, high}.

    Raises:
        OSError: the disk is full; finished pairs stay.
    """
    assert run.plan.leave_out is not None, "the plan names the two heads"
    found = []
    every = list(pairs(data, run.plan.leave_out))
    for number, pair in enumerate(every, start=1):
        reason = unlearnable(data, pair)
        if reason:
            found.append({"values": dict(pair), "n": len(fold(data, pair).held), "reason": reason})
        else:
            found.append(
                _judge_pair(run, data, pair, f"without {' '.join(pair.values())} ({number}/{len(every)})", progress)
            )
    return {"heads": list(run.plan.leave_out), "pairs": found, "pooled": _pooled(found)}


def table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return columns and lines of the table of unseen pairs, in percent, by the vote where there is one."""
    first, second = found["heads"]
    columns = ["unseen pair", "pictures", f"{first} right", f"{second} right", "both right"]
    lines = []
    for entry in found["pairs"]:
        name, count = " ".join(entry["values"].values()), entry["n"]
        if "reason" in entry:
            lines.append([name, str(count), f"cannot be judged: {entry['reason']}", "", ""])
        else:
            counts = list(entry["judges"].values())[-1]
            lines.append(
                [name, str(count), *(f"{100 * counts[key] / count:.1f}" for key in ("first", "second", "both"))]
            )
    if found["pooled"]:
        pooled = scoring.Share(**list(found["pooled"].values())[-1])
        lines.append(["all together", str(pooled.n), "", "", str(pooled)])
    return columns, lines


def _judge_pair(run: Run, data: Dataset, pair: Pair, label: str, progress: Progress) -> dict[str, Any]:
    folder = run.folder / "unseen" / "-".join(re.sub(r"[^a-z0-9]+", "_", value.lower()) for value in pair.values())
    done = folder / "judged.json"
    if done.is_file():
        with whole(done):
            said: dict[str, Any] = json.loads(done.read_text(encoding="utf8"))
            return said
    folder.mkdir(parents=True, exist_ok=True)
    part, plan = fold(data, pair), _shortened(run.plan)
    trained = described(run, data.heads)
    logits = {}
    for name in run.plan.backbones:
        with progress(f"{label}: {name}") as advance:
            fit.run(plan, name, part.data, folder, work=run.folder, advance=advance, runs=run.runs, weights=run.weights)
        _, network = fit.load_network(plan, name, data.heads, folder)
        logits[name] = run_in_batches(compiled(network, trained), part.held.pictures, data.heads)
    judgement = predictions_from_logits(data.heads, dict.fromkeys(logits, data.heads), logits)
    said = {"values": dict(pair), "n": len(part.held), "judges": _counts(judgement, part.held, pair)}
    replace_text(done, json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    for name in run.plan.backbones:
        shutil.rmtree(folder / name, ignore_errors=True)
    return said


def _shortened(plan: Plan) -> Plan:
    """Return the plan with the epochs that a training without a pair has."""
    share = plan.leave_out_share
    phases = tuple(phase.model_copy(update={"epochs": max(1, round(share * phase.epochs))}) for phase in plan.phase)
    return plan.model_copy(update={"phase": phases})


def _counts(judgement: HeadPredictions, held: Split, pair: Pair) -> dict[str, dict[str, int]]:
    found = {}
    for judge in judgement.predictors:
        first, second = (scoring.right(judgement, judge, head, held.targets[head]) for head in pair)
        found[judge] = {"first": int(first.sum()), "second": int(second.sum()), "both": int((first & second).sum())}
    return found


def _pooled(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    judged_pairs = [entry for entry in found if "judges" in entry]
    total = sum(entry["n"] for entry in judged_pairs)
    judges = judged_pairs[0]["judges"] if judged_pairs else ()
    both = {judge: sum(entry["judges"][judge]["both"] for entry in judged_pairs) for judge in judges}
    return {judge: asdict(scoring.share(np.arange(total) < count)) for judge, count in both.items()}


def _joined(one: Split, other: Split) -> Split:
    def rows(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([first, second])

    return Split(
        rows(one.pictures, other.pictures),
        {name: rows(target, other.targets[name]) for name, target in one.targets.items()},
        one.groups + other.groups,
        one.names + other.names,
        rows(one.repeat, other.repeat),
        rows(one.judged, other.judged),
    )


def _spec(data: Dataset, name: str) -> HeadSpec:
    return next(spec for spec in data.heads if spec.name == name)
