"""A training plan: one TOML file is one experiment. Unknown keys are errors."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vsearch.errors import PlanError
from vsearch.model.backbones import BACKBONES


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NpzSource(_Part):
    """Pictures as JPEG bytes in one .npz: arrays data, offsets, labels, split (0 train, 1 validation), names."""

    kind: Literal["npz"]
    file: Path
    terms: str
    repeat: int = Field(1, ge=1)


class CsvSource(_Part):
    """A CSV manifest (columns image, split and a label) beside a tar of pictures.

    `where` keeps the rows whose column starts with the given text; the class is the label's part after its last slash.
    """

    kind: Literal["csv"]
    manifest: Path
    images: Path
    label: str
    where: dict[str, str] = Field(default_factory=dict)
    terms: str
    repeat: int = Field(1, ge=1)


Source = Annotated[NpzSource | CsvSource, Field(discriminator="kind")]


class Phase(_Part):
    """One stretch of training: one input side, one learning-rate schedule (linear warm-up, then cosine to zero)."""

    name: str = Field(pattern="^[a-z0-9_]+$")
    side: int = Field(ge=32, le=512)
    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    warm_up_epochs: float = Field(0.0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    crop_area: tuple[float, float] = (0.35, 1.0)


class Assemble(_Part):
    """How the trained backbones become one checkpoint; sizes are numbers kept of each block."""

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


class Plan(_Part):
    """A whole experiment. Without phases the backbones keep their pretrained weights."""

    name: str = Field(pattern="^[a-z0-9_]+$")
    backbones: tuple[str, ...] = Field(min_length=1)
    seed: int
    cache_side: int = Field(72, ge=32, le=512)
    source: tuple[Source, ...] = Field(min_length=1)
    phase: tuple[Phase, ...] = ()
    assemble: Assemble = Assemble()


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
        raise PlanError(f"The plan {path} does not exist; give a .toml file or one of {', '.join(shipped())}.")
    return parse(path.read_text(encoding="utf8"), str(path))


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
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise PlanError(f"Plan {where}, {key}: {first['msg']}, but received {first['input']!r}.") from None
    unknown = [name for name in plan.backbones if name not in BACKBONES]
    if unknown:
        raise PlanError(f"Plan {where}, backbones: {unknown[0]!r} is none of {', '.join(BACKBONES)}.")
    return plan


def _plans() -> Path:
    return Path(str(resources.files("vsearch.training"))) / "plans"
