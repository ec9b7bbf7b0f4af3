"""A training plan: one TOML file is one experiment. Unknown keys are errors; docs/training.md lists every key."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from vsearch.core.errors import PlanError
from vsearch.models.backbones import BACKBONES
from vsearch.training.plan_parts import Assemble, Augment, HeadPlan, Name, Part, Phase, Seed, Side
from vsearch.training.plan_sources import Source


class Plan(Part):
    """A whole experiment: sources, heads, backbones and phases. Without phases the backbones stay as they start.

    Attributes:
        start: weights to start from: "random"; "pretrained" (ImageNet, see `vsearch models pull`); "bundled" (the
            ensemble that ships); "plan:" and a name or file (the networks of that plan, which is trained first); or the
            folder of a checkpoint, relative to the working folder.
        framing: "product" trims a uniform border and squashes by half; "stretch" fits the picture into the size.
        cache_size: decoded pictures are kept at this size, a side or (height, width), and crops are cut from it.
        precision: "auto" takes mixed bfloat16 where the processor has it, and float32 elsewhere.
        mirrored: judge a picture together with its mirror image.
        leave_out: two heads; every pair of their values is left out of the training in turn, and judged unseen.
        leave_out_share: share of every phase's epochs that a training without a pair has.
        assemble: given, the run ends in a checkpoint that can be searched with; left out, in one that only judges.
    """

    name: Name
    backbones: tuple[str, ...] = Field(min_length=1)
    seed: Seed
    start: str = "random"
    framing: Literal["product", "stretch"] = "product"
    cache_size: Side | tuple[Side, Side] = 72
    dropout: float = Field(0.2, ge=0, lt=1)
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    mirrored: bool = False
    source: tuple[Source, ...] = Field(min_length=1)
    head: tuple[HeadPlan, ...] = ()
    augment: Augment = Augment()
    phase: tuple[Phase, ...] = ()
    leave_out: tuple[str, str] | None = None
    leave_out_share: float = Field(1.0, gt=0, le=1)
    assemble: Assemble | None = None

    @property
    def cache_shape(self) -> tuple[int, int]:
        """(height, width) in pixels of the pictures kept."""
        return self.cache_size if isinstance(self.cache_size, tuple) else (self.cache_size, self.cache_size)

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        names = [head.name for head in self.head]
        _unique("head", names)
        _unique("phase", [phase.name for phase in self.phase])
        _unique("backbone", list(self.backbones))
        if self.phase and not self.head:
            raise ValueError("a plan with phases needs at least one [[head]]")
        if not self.phase and self.assemble is None:
            raise ValueError("a plan without phases needs [assemble]")
        augments = [self.augment, *(phase.augment for phase in self.phase if phase.augment)]
        hidden = [name for augment in augments for name in (*augment.recolour_hides, *augment.scramble_hides)]
        for name in (*hidden, *(self.leave_out or ())):
            if name not in names:
                raise ValueError(f"there is no head {name!r}; the heads are {', '.join(names)}")
        _can_be_left_out(self.leave_out, self.head)
        if self.finds_boxes:
            self._boxes_can_be_found(augments)
        return self

    @property
    def keeps_heads(self) -> bool:
        """Whether the checkpoint keeps the heads it was trained with."""
        return self.assemble is None or self.assemble.keep_heads

    @property
    def finds_boxes(self) -> bool:
        """Whether a head says where things stand."""
        return any(head.kind == "boxes" for head in self.head)

    def _boxes_can_be_found(self, augments: list[Augment]) -> None:
        """Refuse what would tear boxes from their pictures."""
        boxed = {head.name for head in self.head if head.kind == "boxes"}
        scrambling = [augment for augment in augments if augment.scramble]
        rules = (
            (self.framing != "stretch", 'framing = "stretch", since the other trims pictures'),
            (len(self.backbones) > 1, "one backbone: boxes of several are not joined"),
            (any(head.kind == "metric" for head in self.head), "no metric head beside it"),
            (self.mirrored, "mirrored = false"),
            (any(phase.unfreeze == "none" for phase in self.phase), 'no phase with unfreeze = "none"'),
            (any(augment.mix for augment in augments), "mix = 0"),
            (any(not boxed <= set(augment.scramble_hides) for augment in scrambling), "its name in scramble_hides"),
        )
        for broken, rule in rules:
            if broken:
                raise ValueError(f"a head of kind boxes needs {rule}")


def shipped() -> list[str]:
    """Return the names of the plans that come with the package."""
    return sorted(item.name.removesuffix(".toml") for item in _plans().iterdir() if item.name.endswith(".toml"))


def read(name_or_file: str) -> Plan:
    """Read a shipped plan by name, or a file.

    Raises:
        PlanError: there is none, it is not TOML, a key is unknown or a value cannot be.
    """
    path = Path(name_or_file)
    if not path.suffix:
        if name_or_file not in shipped():
            known = ", ".join(shipped())
            raise PlanError(f"A plan is a .toml file or one of {known}, but {name_or_file!r} was given.")
        return parse((_plans() / f"{name_or_file}.toml").read_text(encoding="utf8"), name_or_file)
    if not path.is_file():
        how = "is no file" if path.exists() else "does not exist"
        raise PlanError(f"The plan {path} {how}; give a .toml file or one of {', '.join(shipped())}.")
    try:
        text = path.read_text(encoding="utf8")
    except UnicodeDecodeError as error:
        raise PlanError(f"A plan must be TOML in UTF-8, but {path} is not: {error.reason}.") from None
    return parse(text, str(path))


def parse(text: str, where: str) -> Plan:
    """Turn TOML into a plan.

    Raises:
        PlanError: naming the key, what was received and the rule.
    """
    try:
        plan = Plan.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"A plan must be TOML, but {where} is not: {error}.") from None
    except ValidationError as error:
        raise PlanError(f"Plan {where}{_explain(error)}") from None
    unknown = [name for name in plan.backbones if name not in BACKBONES]
    if unknown:
        raise PlanError(f"Plan {where}, backbones: {unknown[0]!r} is none of {', '.join(BACKBONES)}.")
    return plan


def _explain(error: ValidationError) -> str:
    # A needed key with a wrong name is missing and unknown; its wrong name says more.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    # Of a value that may be of several types pydantic names the type too.
    key = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("constrained-", "tuple[")))
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f", {key}: there is no such key, but received {str(first['input'])[:200]!r}; fix its name or remove it."
    if first["type"] == "missing":
        return f", {key}: this key must be there, but is not; add it."
    if not key or first["type"] == "value_error":
        return f"{key and ', '}{key}: {said}."
    return f", {key}: {said}, but received {str(first['input'])[:200]!r}."


def _unique(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"every {what} needs a name of its own, but {twice[0]!r} stands twice")


def _can_be_left_out(names: tuple[str, str] | None, heads: tuple[HeadPlan, ...]) -> None:
    if names and (names[0] == names[1] or any(h.kind not in ("softmax", "sigmoid") for h in heads if h.name in names)):
        raise ValueError(f"leave_out names two different heads, each softmax or sigmoid, not {' and '.join(names)}")


def _plans() -> Path:
    return Path(str(resources.files("vsearch.training"))) / "plans"
