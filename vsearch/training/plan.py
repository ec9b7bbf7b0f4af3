"""The schema of a training plan: one TOML file is one experiment. docs/training.md describes every key."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from vsearch.core.errors import PlanError
from vsearch.models.backbones import BACKBONES
from vsearch.training.plan_sources import Name, Seed, Share, Source, Table

START_FROM_PLAN: Final = "plan:"
"""Prefix of a `start` that names another plan, which is trained first."""

Side = Annotated[int, Field(ge=16, le=512)]
Size = Side | tuple[Side, Side]
"""A side, or (height, width), in pixels."""


class HeadPlan(Table):
    """One output of the network. Images without its label do not contribute to its loss.

    Attributes:
        kind: "softmax" (one of several values), "sigmoid" (any number of values), "digits" (a softmax over ten digits
            for each position), "metric" (an embedding that is close for images of one product; no classes), or "boxes"
            (object detection; no label, but sources with boxes).
        label: label in the sources; the name of the head by default. Without a label, a metric head takes each image
            for a product of its own.
        classes: values in order; by default those of the training split, sorted.
        separator: between the values of a sigmoid label.
        length: positions of a digits head.
        class_weights: "balanced" weights classes by inverse frequency.
        grid: average the feature map over grid x grid regions instead of globally. A digits head uses the whole map.
        hidden: width of a hidden layer; 0 for none.
        loss: of a metric head: NT-Xent (Chen et al., ICML 2020) or SupCon (Khosla et al., NeurIPS 2020).
        size, temperature: embedding size and loss temperature of a metric head.
    """

    name: Name
    kind: Literal["softmax", "sigmoid", "digits", "metric", "boxes"]
    label: str = ""
    classes: tuple[str, ...] = ()
    separator: str = Field("|", min_length=1)
    length: int = Field(1, ge=1, le=16)
    weight: float = Field(1.0, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = "none"
    grid: int = Field(1, ge=1, le=7)
    hidden: int = Field(0, ge=0, le=4096)
    loss: Literal["supcon", "nt_xent"] = "supcon"
    size: int = Field(128, ge=8, le=1024)
    temperature: float = Field(0.1, gt=0)

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        _check_unique(f"class of head {self.name!r}", self.classes)
        return self

    @property
    def column(self) -> str:
        """Name of the label in the sources."""
        return self.label or self.name


class Augment(Table):
    """Random augmentation of training images, a function of seed, epoch and step.

    Attributes:
        crop_area: minimum and maximum share of the image's area.
        crop_shape: the aspect ratio changes by a factor of at most exp(2 * crop_shape).
        mirror: flip half of the images horizontally.
        brightness, contrast, saturation, color_cast: factors of 1 +- this; the cast differs by channel.
        rotation: maximum angle in degrees.
        perspective: maximum shift of the corners, as a share of the side.
        lighting: linear light gradient, factors of 1 +- this at the edges.
        gamma: exponents of exp(+- this).
        occlusion: share of images with a plain rectangle over a part of them.
        blur, noise: maximum sigma, in pixels and in 0..255.
        mix: share of images that are blended with another, as are their labels (mixup: Zhang et al., ICLR 2018).
        recolor: share of images with random colors; hides the labels of the heads `recolor_hides`.
        scramble: share of images cut into shuffled tiles, never those recolored; hides those of `scramble_hides`.
    """

    crop_area: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (0.35, 1.0)
    crop_shape: float = Field(0.22, ge=0, le=1)
    mirror: bool = True
    brightness: Share = 0.3
    contrast: Share = 0.3
    saturation: Share = 0.4
    color_cast: Share = 0.08
    rotation: float = Field(0.0, ge=0, le=180)
    perspective: float = Field(0.0, ge=0, le=0.4)
    lighting: Share = 0.0
    gamma: Share = 0.0
    occlusion: Share = 0.0
    blur: float = Field(0.0, ge=0, le=8)
    noise: float = Field(0.0, ge=0, le=64)
    mix: Share = 0.0
    recolor: Share = 0.0
    recolor_hides: tuple[str, ...] = ()
    scramble: Share = 0.0
    scramble_hides: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_crop_area(self) -> Self:
        if self.crop_area[0] > self.crop_area[1]:
            raise ValueError(f"crop_area is [minimum, maximum], not {list(self.crop_area)}")
        return self


class Phase(Table):
    """A stretch of training with its own optimizer (AdamW).

    Attributes:
        size: side in pixels, or (height, width).
        unfreeze: the layers that learn: "all"; "none" (the frozen trunk's features are computed once and cached);
            a stage's name or a layer's number, from which on layers learn. Frozen batch norm stays frozen.
        views: of a frozen trunk: number of augmented views of each training image to cache beside the image.
        schedule: learning rate after the warm-up: "constant", "cosine" to zero, or "step", which multiplies it by
            `factor` every `every_epochs` epochs or `every_steps` steps.
        patience: stop after this many epochs without a lower validation loss and restore the best; 0 never stops.
        ema: momentum of an exponential moving average of the weights, which replaces them at the end; 0 for none.
        augment: replaces that of the plan.
    """

    name: Name
    size: Size
    epochs: int = Field(ge=1)
    batch: int = Field(ge=2)
    learning_rate: float = Field(gt=0)
    unfreeze: str | int = "all"
    views: int = Field(0, ge=0, le=64)
    schedule: Literal["constant", "cosine", "step"] = "cosine"
    every_epochs: float = Field(0.0, ge=0)
    every_steps: int = Field(0, ge=0)
    factor: float = Field(1 / 3, gt=0, lt=1)
    warm_up_epochs: float = Field(0.0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    patience: int = Field(0, ge=0)
    ema: float = Field(0.0, ge=0, lt=1)
    augment: Augment | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return _height_and_width(self.size)

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.schedule == "step" and bool(self.every_epochs) == bool(self.every_steps):
            raise ValueError("a step schedule needs exactly one of every_epochs and every_steps")
        return self


class Assemble(Table):
    """How to fit the retrieval parts: PCA, heads and whitening. Sizes are dimensions kept of each block.

    Attributes:
        keep_heads: false drops the trained heads from the checkpoint, which can then only be searched with.
        differences: number of directions of variation between photos of a product, used for a catalog's whitening.
    """

    keep_heads: bool = True
    grid: int = Field(3, ge=1, le=7)
    network_block: int = Field(384, ge=1)
    shape_block: int = Field(256, ge=1)
    color_block: int = Field(128, ge=1)
    network_weight: float = Field(1.0, gt=0)
    shape_weight: float = Field(1.0, gt=0)
    color_weight: float = Field(1.0, gt=0)
    fit_pictures: int = Field(6000, ge=1)
    fit_views: int = Field(2, ge=1)
    shrink: float = Field(0.3, ge=0)
    embedding_size: int = Field(256, ge=8, le=512)
    differences: int = Field(256, ge=0, le=4096)


class Plan(Table):
    """A whole experiment. Without phases the backbones keep the weights they start from.

    Attributes:
        start: initial weights: "random"; "pretrained" (ImageNet); "bundled"; "plan:" and the name or file of a plan,
            which is trained first; or the folder of a checkpoint.
        framing: "product" trims a uniform border and limits distortion; "stretch" resizes to the exact shape.
        cache_size: decoded images are cached at this size; crops are taken from it.
        precision: "auto" is mixed bfloat16 if the hardware supports it, otherwise float32.
        mirrored: average the predictions for an image and its mirror image.
        assemble: produces a checkpoint to search with; without it, the checkpoint only classifies.
    """

    name: Name
    backbones: tuple[str, ...] = Field(min_length=1)
    seed: Seed
    start: str = "random"
    framing: Literal["product", "stretch"] = "product"
    cache_size: Size = 72
    dropout: float = Field(0.2, ge=0, lt=1)
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    mirrored: bool = False
    source: tuple[Source, ...] = Field(min_length=1)
    head: tuple[HeadPlan, ...] = ()
    augment: Augment = Augment()
    phase: tuple[Phase, ...] = ()
    assemble: Assemble | None = None

    @property
    def cache_shape(self) -> tuple[int, int]:
        """(height, width) of cached images in pixels."""
        return _height_and_width(self.cache_size)

    @property
    def keeps_heads(self) -> bool:
        """Whether the checkpoint keeps the trained heads."""
        return self.assemble is None or self.assemble.keep_heads

    @property
    def detects(self) -> bool:
        """Whether there is a boxes head."""
        return any(head.kind == "boxes" for head in self.head)

    @model_validator(mode="after")
    def _check(self) -> Self:
        heads = [head.name for head in self.head]
        _check_unique("head", heads)
        _check_unique("phase", [phase.name for phase in self.phase])
        _check_unique("backbone", self.backbones)
        if unknown := [name for name in self.backbones if name not in BACKBONES]:
            raise ValueError(f"unknown backbone {unknown[0]!r}; choose from {', '.join(BACKBONES)}")
        if self.phase and not self.head:
            raise ValueError("a plan with phases needs at least one [[head]]")
        if not self.phase and self.assemble is None:
            raise ValueError("a plan without phases needs [assemble]")
        augments = [self.augment, *(phase.augment for phase in self.phase if phase.augment)]
        hidden = {name for augment in augments for name in (*augment.recolor_hides, *augment.scramble_hides)}
        if missing := sorted(hidden - set(heads)):
            raise ValueError(f"there is no head {missing[0]!r} to hide; the heads are {', '.join(heads)}")
        labels = {label for source in self.source for combination in source.hold_out for label in combination}
        if missing := sorted(labels - {head.column for head in self.head if head.kind in ("softmax", "sigmoid")}):
            raise ValueError(f"hold_out: no softmax or sigmoid head has the label {missing[0]!r}")
        if self.detects:
            self._check_detection(augments)
        return self

    def _check_detection(self, augments: list[Augment]) -> None:
        boxed = {head.name for head in self.head if head.kind == "boxes"}
        rules = (
            (self.framing != "stretch", 'framing = "stretch"'),
            (len(self.backbones) > 1, "a single backbone"),
            (any(head.kind == "metric" for head in self.head), "a plan without metric heads"),
            (self.mirrored, "mirrored = false"),
            (any(phase.unfreeze == "none" for phase in self.phase), 'no phase with unfreeze = "none"'),
            (any(augment.mix for augment in augments), "mix = 0"),
            (any(a.scramble and not boxed <= set(a.scramble_hides) for a in augments), "its name in scramble_hides"),
        )
        for broken, rule in rules:
            if broken:
                raise ValueError(f"a boxes head needs {rule}")


def list_shipped() -> list[str]:
    """Return the names of the plans that ship with the package."""
    return sorted(file.stem for file in _plans_folder().glob("*.toml"))


def read(name_or_file: str) -> Plan:
    """Read a shipped plan by its name, or a plan from a file.

    Raises:
        PlanError: there is no such plan, or it is invalid.
    """
    path = Path(name_or_file)
    if not path.suffix and name_or_file in list_shipped():
        path = _plans_folder() / f"{name_or_file}.toml"
    try:
        return parse(path.read_text(encoding="utf8"), name_or_file)
    except UnicodeDecodeError as error:
        raise PlanError(f"Plan {name_or_file} is not UTF-8 ({error.reason}). Save it as UTF-8.") from None
    except OSError as error:
        raise PlanError(
            f"Plan {name_or_file} cannot be read: {error.strerror}. "
            f"Give a .toml file or one of {', '.join(list_shipped())}."
        ) from None


def parse(text: str, origin: str) -> Plan:
    """Parse and validate a plan.

    Args:
        text: TOML.
        origin: where it comes from, for error messages.

    Raises:
        PlanError: the first error, with the key and the offending value.
    """
    try:
        return Plan.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"Plan {origin} is not valid TOML: {error}.") from None
    except ValidationError as error:
        # A misspelled required key is reported twice, as missing and as unknown; the unknown one says more.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        # For a value of several possible types, pydantic also names the type.
        parts = [str(part) for part in first["loc"] if not str(part).startswith(("constrained-", "tuple["))]
        where, received = f"{'.'.join(parts)}: " if parts else "", f" (got {str(first['input'])[:200]!r})"
        if first["type"] == "extra_forbidden":
            message = f"unknown key{received}"
        elif first["type"] == "missing":
            message = "this key is required"
        else:
            message = first["msg"].removeprefix("Value error, ") + (received if first["type"] != "value_error" else "")
        raise PlanError(f"Plan {origin}: {where}{message}.") from None


def _check_unique(what: str, names: tuple[str, ...] | list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{what} {twice[0]!r} is given twice")


def _height_and_width(size: Size) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def _plans_folder() -> Path:
    return Path(str(resources.files("vsearch.training"))) / "plans"
