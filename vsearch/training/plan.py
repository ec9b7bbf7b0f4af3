"""The schema of a training plan: one TOML file is one experiment. docs/training.md describes every key."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vsearch.core.errors import PlanError
from vsearch.models.backbones import BACKBONES

START_FROM_PLAN: Final = "plan:"
"""Prefix of a `start` that names a different plan, which is trained first."""

Name = Annotated[str, Field(pattern="^[a-z0-9_]+$")]
Seed = Annotated[int, Field(ge=0, lt=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Columns = tuple[str, str, str, str]
Side = Annotated[int, Field(ge=16, le=512)]
Size = Side | tuple[Side, Side]
"""The side of a square, or (height, width), in pixels."""


class Table(BaseModel):
    """A table of a plan. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BaseSource(Table):
    """The keys common to all sources."""

    terms: str
    repeat: float = Field(1, gt=0)
    background: int = Field(0, ge=0, le=10_000)
    validate_on: bool = True
    synthetic_views: int = Field(0, ge=0, le=64)
    only_differences: bool = False
    hold_out: tuple[dict[str, str], ...] = ()


class _RenamingSource(BaseSource):
    """A source whose values can be renamed."""

    values: dict[str, str] = Field(default_factory=dict)


class CsvSource(_RenamingSource):
    """A CSV manifest with a column of file names, and a folder, tar or zip of images."""

    kind: Literal["csv"]
    manifest: Path
    images: Path
    labels: dict[str, str] = Field(default_factory=dict)
    where: dict[str, str] = Field(default_factory=dict)
    split: str = "split"
    val: str = "val"
    image: str = "image"
    box: Columns | None = None
    boxes: Columns | None = None
    group: str = ""
    val_share: Share = 0.2

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if self.box and self.boxes:
            raise ValueError("box and boxes are mutually exclusive: box crops an image, boxes lists its objects")
        if not self.labels and not self.boxes:
            raise ValueError("a csv source needs labels or boxes")
        return self


class FolderSource(_RenamingSource):
    """A folder, tar or zip with one folder of images per class, or with train/CLASS and val/CLASS."""

    kind: Literal["folder"]
    folder: Path
    label: Name = "class"
    val_share: Share = 0.2


class TfrecordSource(BaseSource):
    """A folder of TFRecord shards written by `vsearch dataset pack`, with their labels and splits."""

    kind: Literal["tfrecord"]
    folder: Path


class TagsSource(BaseSource):
    """Synthetic shelf tags, drawn once and kept as TFRecord shards.

    A tag has the labels `number` (its digits) and `readable` ("yes"); the share `blanks` has only `readable` ("no").
    """

    kind: Literal["tags"]
    digits: Literal[4, 8]
    train: int = Field(ge=1)
    val: int = Field(ge=1)
    blanks: Share = 0.1
    seed: Seed = 0


class CatalogSource(BaseSource):
    """The images of the shop's catalog, at most about `max_images` of them.

    They have the labels `product` (SKU), `category`, and each attribute under its name, with "|" between its values.
    """

    kind: Literal["catalog"]
    max_images: int = Field(6000, ge=1)
    val_share: Share = 0.15


Source = Annotated[CsvSource | FolderSource | TfrecordSource | TagsSource | CatalogSource, Field(discriminator="kind")]


class HeadPlan(Table):
    """One output of the network. Images without its label do not contribute to its loss."""

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
    middle: bool = False
    size: int = Field(128, ge=8, le=1024)
    temperature: float = Field(0.1, gt=0)

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        _check_unique(f"class of head {self.name!r}", self.classes)
        if self.middle and (self.grid > 1 or self.kind in ("digits", "boxes")):
            raise ValueError(f"head {self.name!r}: middle needs a softmax, sigmoid or metric head with grid = 1")
        return self

    @property
    def column(self) -> str:
        """Name of the label in the sources."""
        return self.label or self.name


class Augment(Table):
    """Random augmentation of training images, determined by seed, epoch and step."""

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
    recolor: Share = 0.0
    recolor_hides: tuple[str, ...] = ()
    scramble: Share = 0.0
    scramble_hides: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_crop_area(self) -> Self:
        if self.crop_area[0] > self.crop_area[1]:
            raise ValueError(f"crop_area must be [minimum, maximum], not {list(self.crop_area)}")
        return self


class Phase(Table):
    """A part of a training run with its own optimizer (AdamW)."""

    name: Name
    size: Size
    epochs: int = Field(ge=1)
    batch: int = Field(ge=2)
    learning_rate: float = Field(gt=0)
    unfreeze: str | int | dict[str, str | int] = "all"
    views: int = Field(0, ge=0, le=64)
    schedule: Literal["constant", "cosine", "step"] = "cosine"
    every_epochs: float = Field(0.0, ge=0)
    every_steps: int = Field(0, ge=0)
    factor: float = Field(1 / 3, gt=0, lt=1)
    warm_up_epochs: float = Field(0.0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    patience: int = Field(0, ge=0)
    ema: float = Field(0.0, ge=0, lt=1)
    freeze_batch_norm: bool = False
    average_with_start: float = Field(0.0, ge=0, lt=1)
    augment: Augment | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return _height_and_width(self.size)

    def first_layer(self, backbone: str) -> str | int:
        """Return where `unfreeze` starts in a backbone."""
        return self.unfreeze[backbone] if isinstance(self.unfreeze, dict) else self.unfreeze

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.schedule == "step" and bool(self.every_epochs) == bool(self.every_steps):
            raise ValueError("a step schedule needs exactly one of every_epochs and every_steps")
        if self.average_with_start and self.unfreeze == "none":
            raise ValueError("average_with_start needs a phase that unfreezes layers")
        return self


class Assemble(Table):
    """How to fit the retrieval parts: PCA, heads and whitening. Sizes are the dimensions kept per block.

    The defaults are those of the bundled ensemble, measured on several research sets.
    """

    keep_heads: bool = True
    network_block: int = Field(384, ge=1)
    middle_block: int = Field(256, ge=1)
    color_block: int = Field(192, ge=1)
    network_weight: float = Field(0.5, gt=0)
    middle_weight: float = Field(0.3, gt=0)
    color_weight: float = Field(0.7, gt=0)
    fit_pictures: int = Field(6000, ge=1)
    fit_views: int = Field(2, ge=1)
    shrink: float = Field(0.2, ge=0)
    embedding_size: int = Field(384, ge=8, le=512)
    differences: int = Field(256, ge=0, le=4096)


class Plan(Table):
    """A complete experiment. If there are no phases, the backbones keep their initial weights."""

    name: Name
    backbones: tuple[str, ...] = Field(min_length=1)
    seed: Seed
    start: str = "random"
    start_terms: str = ""
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
    def uses_catalog(self) -> bool:
        """Whether the shop's catalog is a source."""
        return any(source.kind == "catalog" for source in self.source)

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
        if self.start == "random" and any(phase.average_with_start for phase in self.phase):
            raise ValueError("average_with_start needs a start other than random weights")
        if not self.phase and self.assemble is None:
            raise ValueError("a plan without phases needs [assemble]")
        augments = [self.augment, *(phase.augment for phase in self.phase if phase.augment)]
        hidden = {name for augment in augments for name in (*augment.recolor_hides, *augment.scramble_hides)}
        if missing := sorted(hidden - set(heads)):
            raise ValueError(f"there is no head {missing[0]!r} to hide; the heads are {', '.join(heads)}")
        labels = {label for source in self.source for combination in source.hold_out for label in combination}
        if missing := sorted(labels - {head.column for head in self.head if head.kind in ("softmax", "sigmoid")}):
            raise ValueError(f"hold_out: no softmax or sigmoid head has the label {missing[0]!r}")
        if any(source.only_differences for source in self.source) and not (
            self.assemble and any(head.kind == "metric" for head in self.head)
        ):
            raise ValueError("only_differences needs [assemble] and a metric head, which names the label of products")
        if self.detects:
            self._check_detection(augments)
        self._check_layers()
        return self

    def _check_layers(self) -> None:
        if len({head.middle for head in self.head}) > 1:
            raise ValueError("middle must be equal for all heads")
        for phase in self.phase:
            if isinstance(phase.unfreeze, dict):
                if phase.unfreeze.keys() != set(self.backbones):
                    raise ValueError(f"phase {phase.name!r}: unfreeze must name each backbone")
                if "none" in phase.unfreeze.values():
                    raise ValueError(f'phase {phase.name!r}: unfreeze = "none" applies to all backbones')

    def _check_detection(self, augments: list[Augment]) -> None:
        boxed = {head.name for head in self.head if head.kind == "boxes"}
        detecting = [row.name for row in BACKBONES.values() if row.coarse]
        rules = (
            (self.framing != "stretch", 'framing = "stretch"'),
            (len(self.backbones) > 1, "a single backbone"),
            (not BACKBONES[self.backbones[0]].coarse, f"one of the backbones {', '.join(detecting)}"),
            (any(side % 32 for phase in self.phase for side in phase.shape), "sizes that are multiples of 32"),
            (any(head.kind == "metric" for head in self.head), "a plan without metric heads"),
            (self.mirrored, "mirrored = false"),
            (any(a.scramble and not boxed <= set(a.scramble_hides) for a in augments), "its name in scramble_hides"),
        )
        for broken, rule in rules:
            if broken:
                raise ValueError(f"a boxes head needs {rule}")


def list_shipped() -> list[str]:
    """Return the names of the plans included in the package."""
    return sorted(file.stem for file in _plans_folder().glob("*.toml"))


def read(name_or_file: str) -> Plan:
    """Read an included plan by name, or a plan from a file.

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
    """Parse and validate a plan in TOML; `origin` names it in error messages.

    Raises:
        PlanError: the first error, with the key and the offending value.
    """
    try:
        return Plan.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"Plan {origin} is not valid TOML: {error}.") from None
    except ValidationError as error:
        # A misspelled required key is reported twice, as missing and as unknown; the latter is more helpful.
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
