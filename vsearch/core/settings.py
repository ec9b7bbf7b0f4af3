"""One frozen `Settings`, read once by the entry point and passed down.

Precedence: an argument, a `VSEARCH_*` variable, `vsearch.toml` in the working folder, the default. Unknown names are
errors, but variables that Kubernetes and Docker set for a service called vsearch are ignored.
"""

import os
import re
import tomllib
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from vsearch.core.errors import SettingsError
from vsearch.core.redaction import redact, redact_url

PREFIX = "VSEARCH_"
FILE = Path("vsearch.toml")

Metric = Literal["cosine", "euclidean"]
Share = Annotated[float, Field(ge=0, le=1)]

SERVICE_VARIABLES = (
    (r"(\w+_)?SERVICE_HOST", r"\S+"),
    (r"(\w+_)?SERVICE_PORT(_\w+)?", r"\d+"),
    (r"(\w+_)?PORT", r"(tcp|udp|sctp)://.*"),
    (r"(\w+_)?PORT_\d+_(TCP|UDP|SCTP)(_\w+)?", r".*"),
    (r"(\w+_)?NAME", r"/\S+/\S+"),
)
"""Names (without the prefix) and values of the variables that Kubernetes sets for services, and Docker for links."""


class Settings(BaseModel):
    """All settings, with their meanings and units."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    data: Path = Path("data")
    """Folder of the catalog, images, checkpoints, generations and uploads."""
    database_url: str = ""
    """SQLAlchemy URL of the catalog; empty means SQLite in the data folder."""
    auto_upgrade: bool = False
    """Let nightly jobs and workers run `vsearch catalog upgrade` after vsearch is updated."""
    weights: Path | None = None
    """Folder of pretrained backbone weights (NAME.weights.h5), searched first."""
    checkpoint: str = ""
    """Checkpoint to index with, by ID or folder; empty means the one in use, initially the bundled one."""
    feed: str = ""
    """Path or URL of the feed that the nightly job imports; empty means no import."""
    feed_images: str = ""
    """Folder, archive or object storage with the images that the feed names."""
    feed_mapping: Path | None = None
    """TOML file that maps the columns of the feed."""
    max_shrink_share: Share = 0.2
    """Largest share of the products that may be missing from a feed; a feed that omits more is rejected."""
    max_bad_rows_share: Share = 0.01
    """Largest share of bad rows in a feed; up to three bad rows are always allowed, unless this is 0."""
    allow_private_addresses: bool = False
    """Allow image URLs in the feed, and redirects of the feed URL, to point to private networks."""
    canaries: Path | None = None
    """CSV file (photo,sku) of photos whose products must be found before an index is published."""
    schedule: str = "30 1 * * *"
    """When workers start the nightly job: a crontab line in local time; empty means never."""
    alarm: str = ""
    """Command, run without a shell, that receives the message of a failed job on standard input; test it with
    `vsearch jobs alarm`."""
    webhook_urls: str = ""
    """Addresses that get a message when a job has ended, separated by commas; see docs/api.md."""
    webhook_secret: str = ""
    """Key that signs these messages: `whsec_` and 24 to 64 bytes in Base64; `vsearch jobs webhooks --new-secret` makes
    one."""
    currency: str = Field("EUR", pattern="^[A-Z]{3}$")
    """Currency of feed prices that do not specify one, and of price filters while no product has a price."""
    host: str = "127.0.0.1"
    """Address that the web server listens on."""
    port: int = Field(8000, ge=1, le=65535)
    """Port that the web server listens on."""
    threads: int = Field(16, ge=1, le=256)
    """Threads that handle requests."""
    admin_bind: str = Field("127.0.0.1:8001", pattern=r"^(.+:\d{1,5})?$")
    """HOST:PORT that serves the admin pages, /metrics and the details of /readyz; empty serves only the admin pages,
    on the shoppers' address."""
    trusted_proxies: int = Field(0, ge=0, le=10)
    """Number of proxies whose X-Forwarded-* headers are trusted."""
    trusted_hosts: str = ""
    """Host names that the web server accepts, separated by commas (.shop.example: all subdomains); empty means all."""
    rate_limit: str = "120/minute"
    """Searches allowed per client address, such as 60/minute; empty means no limit."""
    search_without_key: bool = True
    """Let programs use the API's operations for shoppers (searches, single products, feedback) without a key."""
    key_rate_limit: str = "600/minute"
    """Requests allowed per API key, which are not counted per client address; empty means no limit."""
    searches_in_flight: int = Field(0, ge=0)
    """Maximum number of concurrent searches; others get a 503 response. 0 means three quarters of `threads`."""
    read_seconds: int = Field(60, ge=1)
    """Time limit for receiving a request and for sending its response, in seconds."""
    drain_seconds: int = Field(0, ge=0, le=600)
    """Seconds between SIGTERM and the end of the web server, in which /readyz answers 503 so that a load balancer sends
    no more requests. 0 with a socket unit of systemd, or without a load balancer."""
    max_upload_mb: int = Field(20, ge=1, le=200)
    """Maximum size of an image file, in MB."""
    max_pixels_mp: int = Field(64, ge=1, le=400)
    """Maximum size of an image, in megapixels."""
    search_by_address: bool = True
    """Let shoppers search with the web address of an image; the server downloads it, never from a private network."""
    upload_days: int = Field(30, ge=1)
    """Days to keep uploaded photos."""
    upload_gb: float = Field(2.0, gt=0)
    """Disk space for uploads, in GB; the oldest are deleted to make room."""
    review_sample_share: Share = 0.0
    """Share of the searches without a close match, or with an uncertain class, whose photos are kept for review."""
    feedback: bool = True
    """Let shoppers say whether a result is right."""
    review_days: int = Field(180, ge=1)
    """Days to keep photos for review, and the labels given to them."""
    query_log_days: int = Field(0, ge=0)
    """Days to keep a log of what was searched for, without photos and without who searched; 0 keeps none."""
    session_minutes: int = Field(60, ge=1)
    """Minutes without a request after which an admin has to sign in again."""
    text_languages: str = Field("en", pattern="^(en|de|fr)(, ?(en|de|fr))*$")
    """Languages of the products' texts (en, de, fr), separated by commas; words are searched for by their stems."""
    synonyms: Path | None = None
    """TOML file with further words that a word in a search stands for: `green = ["moss", "sky blue"]`."""
    results_per_page: int = Field(24, ge=1, le=200)
    """Products per result page."""
    route_mass: float = Field(0.95, gt=0, le=1)
    """Search the fewest classes whose probabilities add up to at least this."""
    route_floor: Share = 0.35
    """Search all classes if the probability of the most likely one is below this."""
    batch_size: int = Field(32, ge=1, le=1024)
    """Number of images encoded at a time."""
    precision: Literal["auto", "f32", "bf16"] = "auto"
    """Precision in which networks compute: bf16 is faster, and auto uses it on CPUs that have it. A different precision
    encodes the catalog again, so set f32 if the index is built and searched on machines with different CPUs."""
    embedding_size: int = Field(384, ge=8, le=512)
    """Maximum number of dimensions of an embedding."""
    whitening_products: int = Field(2000, ge=0)
    """Products whose augmented views are used to fit the whitening; 0 disables fitting."""
    whitening_views: int = Field(2, ge=1, le=16)
    """Augmented views per product for fitting the whitening."""
    min_class_size: int = Field(5, ge=1)
    """Categories with fewer images are merged into their parent category."""
    keep_generations: int = Field(3, ge=2)
    """Published generations kept on disk for rollback."""
    prune: bool = True
    """Delete unused data at the end of each nightly job."""
    keep_unused_days: int = Field(14, ge=0)
    """Days to keep unused models and images of withdrawn products."""
    keep_record_days: int = Field(90, ge=1)
    """Days to keep finished jobs with their logs, and records of runs and imports."""
    thumbnail_days: int = Field(90, ge=1)
    """Days to keep a thumbnail; it is recreated on demand."""
    max_failed_share: Share = 0.05
    """Largest share of new images that may fail; beyond it, an import or index run stops."""
    shop_name: str = Field("Search by photo", min_length=1, max_length=60)
    """Name in the header and the titles of the shoppers' pages."""
    widget_origins: str = ""
    """Origins of the shop's pages that may show the widget (docs/theme.md), such as https://shop.example, separated by
    commas."""
    api_origins: str = ""
    """Origins of pages that may use the API from a browser (CORS), such as https://shop.example, separated by
    commas."""
    product_page: Literal["own", "shop"] = "own"
    """Page that results link to: vsearch's own, or directly the product's address in the feed."""
    languages: str = Field("en, de, fr", pattern="^(en|de|fr)(, ?(en|de|fr))*$")
    """Languages of the shoppers' pages (en, de, fr), separated by commas; the first one if a browser asks for none."""
    theme: Path | None = None
    """Folder with the shop's own templates, style sheet and logo; see docs/theme.md."""
    examples: Path | None = None
    """Folder of example photos for the start page, captioned with their file names."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    """Minimum severity of log messages; with INFO, web servers log every request."""
    log_format: Literal["text", "json"] = "text"
    """Format of log messages; json is one object per line, with the ids of requests and jobs."""
    log_addresses: bool = False
    """Write the addresses of clients, which are personal data, to the log of requests."""
    traces_url: str = ""
    """OTLP/HTTP address that gets OpenTelemetry traces of requests and jobs, such as http://127.0.0.1:4318/v1/traces;
    needs the extra otel. Empty means none."""
    traces_share: Share = 1.0
    """Share of the requests and jobs that are traced."""

    @field_validator("weights", "examples", "theme", "feed_mapping", "canaries", "synonyms", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def catalog_url(self) -> str | Path:
        """SQLAlchemy URL of the catalog, or the path of its SQLite file."""
        return self.database_url or self.data / "catalog.sqlite"

    @property
    def search_languages(self) -> tuple[str, ...]:
        """The setting `text_languages` as a list, each once."""
        return tuple(dict.fromkeys(name.strip() for name in self.text_languages.split(",")))

    @property
    def shop_languages(self) -> tuple[str, ...]:
        """The setting `languages` as a list, each once."""
        return tuple(dict.fromkeys(name.strip() for name in self.languages.split(",")))

    @property
    def pictures(self) -> Path:
        """Folder of the catalog's images, named by their SHA-256."""
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
        """Folder of thumbnails."""
        return self.data / "thumbnails"

    @property
    def jobs(self) -> Path:
        """Folder of the logs of background jobs, <job_id>.log."""
        return self.data / "jobs"

    @property
    def uploads(self) -> Path:
        """Folder of shoppers' photos."""
        return self.data / "uploads"

    @property
    def feeds(self) -> Path:
        """Folder of the feeds that admins uploaded."""
        return self.data / "feeds"


def load(
    environ: Mapping[str, str] | None = None, file: Path = FILE, **arguments: Any
) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and the source of each value: argument, environment, file or default.

    The TOML file need not exist; arguments of None are ignored.

    Raises:
        SettingsError: unknown name, invalid value, or the file is not TOML.
    """
    layers = {
        "argument": {name: value for name, value in arguments.items() if value is not None},
        "environment": _read_environment(os.environ if environ is None else environ),
        str(file): _read_file(file),
    }
    found = {name: source for source, layer in reversed(layers.items()) for name in layer}
    sources = dict.fromkeys(Settings.model_fields, "default") | found
    try:
        return Settings(**ChainMap(*layers.values())), sources
    except ValidationError as error:
        raise SettingsError(_explain(error, sources)) from None


def rows(settings: Settings, sources: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return the name, value, source and meaning of each setting, with passwords hidden."""
    return [
        (name, _shown(name, getattr(settings, name)), sources[name], _meaning(field))
        for name, field in Settings.model_fields.items()
    ]


def reference() -> str:
    """Return the settings reference as Markdown, docs/settings.md."""
    lines = [
        f"| `{name}` | {f'`{field.default}`' if field.default not in ('', None) else ''} | {_meaning(field)} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            f"Set them in the file `{FILE}` in the working folder (`port = 9000`), or as environment variables",
            f"(`{PREFIX}PORT=9000`). Command-line options override variables, which override the file.",
            "`vsearch settings` prints the values in use and their sources, `vsearch settings --markdown` this page.",
            "",
            "| name | default | meaning |",
            "|---|---|---|",
            *lines,
            "",
        ]
    )


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _read_file(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}. Correct or remove it.") from None


def _read_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {key[len(PREFIX) :]: value for key, value in environ.items() if key.startswith(PREFIX)}
    foreign = {name for name, value in found.items() if _is_of_service(name, value)}
    linked = tuple(f"{name[:-4]}ENV_" for name in foreign if name.endswith("NAME"))
    foreign |= {name for name in found if linked and name.startswith(linked)}
    return {name.lower(): value for name, value in found.items() if name not in foreign}


def _is_of_service(name: str, value: str) -> bool:
    return any(re.fullmatch(names, name) and re.fullmatch(values, value) for names, values in SERVICE_VARIABLES)


def _explain(error: ValidationError, sources: Mapping[str, str]) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    source = sources[name]
    where = f"in {source}" if source.endswith(".toml") else f"in the {source}"
    if first["type"] == "extra_forbidden":
        spelled = f"{PREFIX}{name.upper()}" if source == "environment" else name
        return f"Unknown setting {spelled} {where}. `vsearch settings` lists all settings."
    value = redact_url(str(first["input"]))
    problem = first["msg"][0].lower() + first["msg"][1:]
    return f"Setting {name}: {value!r} {where} is not valid: {problem}. `vsearch settings` explains it."


def _shown(name: str, value: object) -> str:
    if value is None:
        return ""
    if name == "webhook_secret":
        return "***" if value else ""
    return redact(str(value)) if name == "alarm" else redact_url(str(value))  # a command may contain several URLs
