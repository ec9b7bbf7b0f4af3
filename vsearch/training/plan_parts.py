"""The tables of a training plan: heads, augmentation, phases, and how a checkpoint is assembled."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern="^[a-z0-9_]+$")]
Side = Annotated[int, Field(ge=16, le=512)]
Seed = Annotated[int, Field(ge=0, lt=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A table of a plan: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HeadPlan(Part):
    """One output of the network. A picture without the head's label costs this head nothing.

    Attributes:
        kind: "softmax" is one value of several; "sigmoid" any number of them; "digits" one softmax of ten for each
            position; "metric" an embedding that brings two views of one product together (no classes); "boxes" where
            products stand (no label: the boxes of the sources).
        label: name of the label in the sources; the head's own name when empty. A metric head without a label in its
            source takes every picture for a product of its own.
        classes: the values, in order; those found in the training split, sorted, when empty.
        separator: between the values of a sigmoid label.
        length: positions of a digits head.
        class_weights: "balanced" weighs classes by the inverse of their frequency.
        grid: the feature map is averaged over grid x grid cells, so that the head knows where something is; a digits
            head reads the whole map.
        hidden: width of a layer between features and logits; 0 is none.
        loss: of a metric head: NT-Xent (Chen et al., ICML 2020) or SupCon (Khosla et al., NeurIPS 2020).
        size, temperature: of a metric head.
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
    def _classes_differ(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"every class of head {self.name!r} stands once, not twice as in {list(self.classes)}")
        return self

    @property
    def column(self) -> str:
        """Name of its label in the sources."""
        return self.label or self.name


class Augment(Part):
    """How a training picture is changed each time it is shown; all drawn from a seed, epoch and step.

    Attributes:
        crop_area: least and most share of the picture's area that is cut out.
        crop_shape: the cut's sides differ by at most exp(2 * crop_shape).
        mirror: mirror half of them.
        brightness, contrast, saturation, cast: factors 1 +- this.
        turn: degrees either way.
        perspective: shift of the corners, as a share of the side.
        ramp: light falls from one side, factors 1 +- this at the edges.
        gamma: light to the power of exp(+- this).
        cover: share of pictures with something plain before a part of them.
        blur, noise: most sigma, in pixels and in 0..255.
        mix: share of pictures blended with another, their labels likewise (mixup: Zhang et al., ICLR 2018).
        recolour: share of pictures that get arbitrary colours; it hides the labels of the heads `recolour_hides`.
        scramble: share, none of them recoloured, cut into shuffled tiles; it hides those of `scramble_hides`.
    """

    crop_area: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (0.35, 1.0)
    crop_shape: float = Field(0.22, ge=0, le=1)
    mirror: bool = True
    brightness: Share = 0.3
    contrast: Share = 0.3
    saturation: Share = 0.4
    cast: Share = 0.08
    turn: float = Field(0.0, ge=0, le=180)
    perspective: float = Field(0.0, ge=0, le=0.4)
    ramp: Share = 0.0
    gamma: Share = 0.0
    cover: Share = 0.0
    blur: float = Field(0.0, ge=0, le=8)
    noise: float = Field(0.0, ge=0, le=64)
    mix: Share = 0.0
    recolour: Share = 0.0
    recolour_hides: tuple[str, ...] = ()
    scramble: Share = 0.0
    scramble_hides: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _least_comes_first(self) -> Self:
        if self.crop_area[0] > self.crop_area[1]:
            raise ValueError(f"crop_area is the least and the most share, in this order, not {list(self.crop_area)}")
        return self


class Phase(Part):
    """One stretch of training; the network is compiled anew for each.

    Attributes:
        size: side in pixels, or (height, width).
        unfreeze: "all"; "none" leaves the trunk still, its outputs are computed once and kept on disk; the name of a
            stage, or the number of a layer, from which on layers learn. Batch norm of still layers stays still.
        views: of a still trunk: outputs of so many changed views of each training picture are kept beside its own.
        schedule: of the learning rate after the warm-up: "constant"; "cosine" to zero; "step" multiplies by `factor`
            every `every_epochs` epochs or every `every_steps` steps.
        patience: stop after so many epochs without a better validation loss and keep the best; 0 never stops early.
        ema: momentum of the running mean of the weights that is kept in their place; 0 keeps the weights.
        augment: replaces the plan's.
    """

    name: Name
    size: Side | tuple[Side, Side]
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
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    @model_validator(mode="after")
    def _steps_are_given(self) -> Self:
        if self.schedule == "step" and bool(self.every_epochs) == bool(self.every_steps):
            raise ValueError("a step schedule needs exactly one of every_epochs and every_steps")
        return self


class Assemble(Part):
    """How the trained backbones become a checkpoint to search with; sizes are numbers kept of each block.

    Attributes:
        keep_heads: false leaves the trained heads out of the checkpoint, which then searches and no more.
        differences: so many directions are kept in which true photos of one product differ, for shops' own whitenings.
    """

    keep_heads: bool = True
    grid: int = Field(3, ge=1, le=7)
    network_block: int = Field(384, ge=1)
    shape_block: int = Field(256, ge=1)
    colour_block: int = Field(128, ge=1)
    network_weight: float = Field(1.0, gt=0)
    shape_weight: float = Field(1.0, gt=0)
    colour_weight: float = Field(1.0, gt=0)
    fit_pictures: int = Field(6000, ge=1)
    fit_views: int = Field(2, ge=1)
    shrink: float = Field(0.3, ge=0)
    embedding_size: int = Field(256, ge=8, le=512)
    differences: int = Field(256, ge=0, le=4096)
