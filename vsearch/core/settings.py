"""One frozen `Settings`, read once by the entry point and passed down; nobody else looks at the environment.

Order of precedence: an argument, then `VSEARCH_*` variables, then `vsearch.toml` in the working folder, then the
default. Unknown names are errors in both places: a misspelt setting must not be silently ignored. Kubernetes and
Docker set variables of their own for a service called vsearch; these are known by their form and left alone.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from vsearch.core.errors import SettingsError
from vsearch.core.redaction import redact, redact_url

PREFIX = "VSEARCH_"
FILE = Path("vsearch.toml")

Metric = Literal["cosine", "euclidean"]

SERVICE_VARIABLES = (
    (r"(\w+_)?SERVICE_HOST", r"\S+"),
    (r"(\w+_)?SERVICE_PORT(_\w+)?", r"\d+"),
    (r"(\w+_)?PORT", r"(tcp|udp|sctp)://.*"),
    (r"(\w+_)?PORT_\d+_(TCP|UDP|SCTP)(_\w+)?", r".*"),
    (r"(\w+_)?NAME", r"/\S+/\S+"),
)
"""Names, without our prefix, and values of the variables that Kubernetes sets for a service, and Docker for a link."""


class Settings(BaseSettings):
    """All settings; each field says its meaning and unit."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data: Path = Field(
        Path("data"), description="folder that holds catalogue, pictures, checkpoints, generations, uploads"
    )
    database_url: str = Field(
        "", description="SQLAlchemy address of the catalogue; empty means SQLite in the data folder"
    )
    auto_upgrade: bool = Field(
        False, description="let nightly jobs and workers run `vsearch catalog upgrade` after an update"
    )
    weights: Path | None = Field(
        None, description="folder with pretrained backbone weights (NAME.weights.h5), searched first"
    )
    checkpoint: str = Field(
        "",
        description="checkpoint to index with; empty means the shop's own, or the bundled 'pocket' before that",
    )
    feed: str = Field("", description="path or address of the feed that the nightly job imports; empty means no import")
    feed_images: str = Field("", description="folder, archive or object storage with the pictures that the feed names")
    feed_mapping: Path | None = Field(None, description="TOML file with other names for the feed's columns")
    max_shrink_share: float = Field(
        0.2, ge=0, le=1, description="share of the products missing from a feed above which it is refused"
    )
    max_bad_rows_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of bad rows above which a feed is refused; a small one may have three, unless this is 0",
    )
    allow_private_addresses: bool = Field(
        False, description="let the feed's picture addresses, and redirects of the feed, lead into private networks"
    )
    canaries: Path | None = Field(
        None, description="CSV file (photo,sku) of photos that must find their product before an index is published"
    )
    schedule: str = Field(
        "30 1 * * *",
        description="when workers start the nightly job, as a crontab line in local time; empty means never",
    )
    alarm: str = Field(
        "",
        description="program and arguments, run without a shell, that gets the message of a failed job on its "
        "standard input; `vsearch jobs alarm` tries it",
    )
    currency: str = Field(
        "EUR",
        pattern="^[A-Z]{3}$",
        description="currency of feed prices that name none, and of price filters while no product has a price",
    )
    host: str = Field("127.0.0.1", description="address the page is served on")
    port: int = Field(8000, ge=1, le=65535, description="port the page is served on")
    threads: int = Field(8, ge=1, le=256, description="threads that answer requests")
    admin_bind: str = Field(
        "127.0.0.1:8001",
        pattern=r"^(.+:\d{1,5})?$",
        description="HOST:PORT that serves /metrics and the details of /readyz; empty means none",
    )
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="proxies before the page whose X-Forwarded-* headers are believed; 0 means none"
    )
    trusted_hosts: str = Field(
        "", description="host names the page answers to, with commas between (.shop.example: any below it); empty: all"
    )
    rate_limit: str = Field(
        "120/minute", description="searches one client address may ask for, such as 60/minute; empty means no limit"
    )
    searches_in_flight: int = Field(
        0, ge=0, description="searches computed at a time, the next is answered 503; 0 means three quarters of threads"
    )
    read_seconds: int = Field(
        60, ge=1, description="seconds within which a request must have arrived, and its answer been taken"
    )
    max_upload_mb: int = Field(20, ge=1, le=200, description="largest picture file taken, in megabytes")
    max_pixels_mp: int = Field(64, ge=1, le=400, description="largest picture taken, in million pixels")
    upload_days: int = Field(30, ge=1, description="days an uploaded photo is kept")
    upload_gb: float = Field(2.0, gt=0, description="disk space uploads may take; the oldest make room, in GB")
    results_per_page: int = Field(24, ge=1, le=200, description="products on one result page")
    route_mass: float = Field(
        0.95, gt=0, le=1, description="search the fewest classes whose probabilities add up to this"
    )
    route_floor: float = Field(
        0.35, ge=0, le=1, description="search all classes when the likeliest one is below this probability"
    )
    batch_size: int = Field(32, ge=1, le=1024, description="pictures encoded at a time")
    embedding_size: int = Field(256, ge=8, le=512, description="length of an embedding")
    whitening_products: int = Field(
        2000,
        ge=0,
        description="products whose augmented views the whitening is fitted on; 0 turns fitting off",
    )
    whitening_views: int = Field(3, ge=2, le=16, description="augmented views of each of these products")
    min_class_size: int = Field(5, ge=1, description="categories with fewer pictures join their parent category")
    keep_generations: int = Field(3, ge=2, description="published generations kept on disk for rollback")
    prune: bool = Field(True, description="delete unused data at the end of each nightly job")
    keep_unused_days: int = Field(
        14, ge=0, description="days that pictures of withdrawn products, and unused models, are kept"
    )
    keep_record_days: int = Field(
        90, ge=1, description="days that finished jobs with their logs, and records of runs and imports, are kept"
    )
    thumbnail_days: int = Field(
        90, ge=1, description="days after which a thumbnail is deleted; it is made again on demand"
    )
    max_failed_share: float = Field(
        0.05, ge=0, le=1, description="share of new pictures that fail above which an import or a run stops"
    )
    examples: Path | None = Field(
        None, description="folder of example photos that the start page offers; a file's name says what it shows"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("WARNING", description="how much is logged")

    @field_validator("weights", "examples", "feed_mapping", "canaries", mode="before")
    @classmethod
    def _none_is_named(cls, value: object) -> object:
        """Read an empty text as no folder, not as the working folder."""
        return None if value == "" else value

    @property
    def catalogue_url(self) -> str | Path:
        """SQLAlchemy address of the catalogue, or the path of its SQLite file."""
        return self.database_url or self.data / "catalogue.sqlite"

    @property
    def pictures(self) -> Path:
        """Folder of catalogue pictures, named by content."""
        return self.data / "pictures"

    @property
    def checkpoints(self) -> Path:
        """Folder of the shop's own checkpoints."""
        return self.data / "checkpoints"

    @property
    def generations(self) -> Path:
        """Folder of published generations."""
        return self.data / "generations"

    @property
    def thumbnails(self) -> Path:
        """Folder of small copies of catalogue pictures."""
        return self.data / "thumbnails"

    @property
    def jobs(self) -> Path:
        """Folder of the logs of background jobs, <job_id>.log."""
        return self.data / "jobs"

    @property
    def uploads(self) -> Path:
        """Folder of shoppers' photos, re-encoded and named by content."""
        return self.data / "uploads"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments only: `load` has already merged the environment and the file."""
        return (init_settings,)


@dataclass(frozen=True)
class SettingRow:
    """One line of `vsearch settings`."""

    name: str
    value: str
    source: str
    meaning: str


def load(
    environ: Mapping[str, str] | None = None, file: Path = FILE, **arguments: Any
) -> tuple[Settings, dict[str, str]]:
    """Return the settings and, for each name, where its value comes from.

    Args:
        environ: variables to read; the process's own when None.
        file: TOML file, skipped when it does not exist.
        arguments: values that win over both; None means "not given".

    Raises:
        SettingsError: an unknown name, a value out of range, or a file that is not TOML.
    """
    values: dict[str, Any] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    layers = (
        (str(file), _from_file(file)),
        ("environment", _from_environment(os.environ if environ is None else environ)),
        ("argument", {name: value for name, value in arguments.items() if value is not None}),
    )
    for source, layer in layers:
        for name, value in layer.items():
            values[name], sources[name] = value, source
    try:
        return Settings(**values), sources
    except ValidationError as error:
        raise SettingsError(_explain(error, sources)) from None


def rows(settings: Settings, sources: Mapping[str, str]) -> list[SettingRow]:
    """Return one row for each setting, in the order of the class."""
    return [
        SettingRow(name, _shown(name, getattr(settings, name)), sources[name], field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def _from_file(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} must be TOML, but {error}; correct that line or remove the file.") from None
    return _known(values, f"in {file}", str)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {key[len(PREFIX) :]: value for key, value in environ.items() if key.startswith(PREFIX)}
    linked = tuple(f"{name[:-4]}ENV_" for name in found if name.endswith("NAME") and _of_a_service(name, found[name]))
    ours = {
        name.lower(): value
        for name, value in found.items()
        if not _of_a_service(name, value) and not (linked and name.startswith(linked))
    }
    return _known(ours, "in the environment", lambda name: PREFIX + name.upper())


def _of_a_service(name: str, value: str) -> bool:
    """Whether Kubernetes or Docker set this variable: VSEARCH_PORT=tcp://10.0.0.1:8000 is no port to listen on."""
    return any(re.fullmatch(names, name) and re.fullmatch(values, value) for names, values in SERVICE_VARIABLES)


def _known(values: dict[str, Any], where: str, spell: Any) -> dict[str, Any]:
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        names = ", ".join(spell(name) for name in unknown)
        raise SettingsError(f"Settings must be known, but {names} {where} is not; `vsearch settings` lists the names.")
    return values


def _explain(error: ValidationError, sources: Mapping[str, str]) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    value = redact_url(str(first.get("input")))
    return (
        f"Setting {name} does not take {value!r} (from {sources.get(name, 'argument')}): "
        f"{first['msg'][0].lower()}{first['msg'][1:]}; `vsearch settings` shows its meaning."
    )


def _shown(name: str, value: object) -> str:
    if value is None:
        return ""
    return redact(str(value)) if name == "alarm" else redact_url(str(value))  # a command has addresses in it
