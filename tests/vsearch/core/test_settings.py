"""Settings: where they come from, and what is refused."""

from pathlib import Path

import pytest

from vsearch.core import settings
from vsearch.core.errors import SettingsError

NOWHERE = Path("no-such-file.toml")


def test_an_argument_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    """Each value comes from the strongest place that has one, and that place is known."""
    file = tmp_path / "vsearch.toml"
    file.write_text("port = 1111\nthreads = 2\nhost = '0.0.0.0'\n")

    made, sources = settings.load({"VSEARCH_PORT": "2222", "VSEARCH_THREADS": "3", "HOME": "/"}, file, port=3333)

    assert (made.port, made.threads, made.host, made.currency) == (3333, 3, "0.0.0.0", "EUR")
    assert [sources[name] for name in ("port", "threads", "host", "currency")] == [
        "argument",
        "environment",
        str(file),
        "default",
    ]


def test_an_argument_that_is_none_is_not_given() -> None:
    """A command-line option left out changes nothing."""
    made, sources = settings.load({}, NOWHERE, port=None)

    assert made.port == 8000
    assert sources["port"] == "default"


def test_an_empty_folder_name_is_no_folder() -> None:
    """It does not mean the working folder."""
    made, _ = settings.load({"VSEARCH_EXAMPLES": "", "VSEARCH_WEIGHTS": ""}, NOWHERE)

    assert (made.examples, made.weights) == (None, None)


@pytest.mark.parametrize(
    ("environ", "text", "said"),
    [
        ({"VSEARCH_PROT": "1"}, "", r"VSEARCH_PROT in the environment.*vsearch settings"),
        ({}, "prot = 1", r"prot in .*vsearch\.toml"),
        ({"VSEARCH_PORT": "many"}, "", r"port does not take 'many' \(from environment\)"),
        ({"VSEARCH_PORT": "70000"}, "", "port"),
        ({}, "route_mass = 2", "route_mass"),
        ({}, "currency = 'euro'", "currency"),
        ({}, "port = ", "TOML"),
    ],
)
def test_a_bad_setting_is_one_clear_sentence(tmp_path: Path, environ: dict[str, str], text: str, said: str) -> None:
    """Unknown names, values out of range and files that are no TOML are refused with name, place and remedy."""
    file = tmp_path / "vsearch.toml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=said) as caught:
        settings.load(environ, file)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "environ",
    [
        {"VSEARCH_PORT": "tcp://10.0.0.1:8000"},
        {"VSEARCH_SERVICE_HOST": "10.0.0.1", "VSEARCH_SERVICE_PORT": "8000", "VSEARCH_SERVICE_PORT_HTTP": "8000"},
        {
            "VSEARCH_PORT_8000_TCP": "tcp://10.0.0.1:8000",
            "VSEARCH_PORT_8000_TCP_PROTO": "tcp",
            "VSEARCH_PORT_8000_TCP_ADDR": "fd00::1",
            "VSEARCH_PORT_8000_TCP_PORT": "8000",
        },
        {
            "VSEARCH_WEB_PORT": "udp://10.0.0.1:53",
            "VSEARCH_WEB_SERVICE_HOST": "10.0.0.1",
            "VSEARCH_WEB_PORT_53_UDP": "",
        },
        {"VSEARCH_NAME": "/web/vsearch", "VSEARCH_ENV_POSTGRES_PASSWORD": "x", "VSEARCH_PORT": "tcp://172.17.0.5:5432"},
        {"VSEARCHER_PORT": "tcp://10.0.0.1:80", "OTHER_SERVICE_HOST": "10.0.0.1"},
    ],
    ids=["port", "service", "port of a service", "another service", "docker link", "another prefix"],
)
def test_variables_of_kubernetes_and_docker_are_left_alone(environ: dict[str, str]) -> None:
    """A Service called vsearch, or vsearch-web, or a container linked under that name."""
    made, sources = settings.load(environ, NOWHERE)

    assert (made.port, sources["port"]) == (8000, "default")


@pytest.mark.parametrize(
    "environ",
    [
        {"VSEARCH_SERVICE_HOTS": "10.0.0.1"},
        {"VSEARCH_SERVICE_PORT": "many"},
        {"VSEARCH_PORTS": "tcp://10.0.0.1:8000"},
        {"VSEARCH_PORT": "http://10.0.0.1:8000"},
        {"VSEARCH_NAME": "shop"},
        {"VSEARCH_ENV_HOST": "x"},
    ],
)
def test_what_only_resembles_them_is_an_error(environ: dict[str, str]) -> None:
    """A typing error must not pass in silence."""
    with pytest.raises(SettingsError):
        settings.load(environ, NOWHERE)


def test_a_port_of_ones_own_wins_over_that_of_kubernetes(tmp_path: Path) -> None:
    """One in the file, as nobody else can set the variable."""
    (file := tmp_path / "vsearch.toml").write_text("port = 9000\n")

    assert settings.load({"VSEARCH_PORT": "tcp://10.0.0.1:8000"}, file)[0].port == 9000


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("database_url", "postgresql://u:p4ss/w@ord@db/x?sslmode=require", "postgresql://***@db/x?sslmode=require"),
        ("database_url", "postgresql://h/x?user=u&password=p4ssw", "postgresql://h/x?user=u&password=***"),
        ("feed", "https://u:p4ssw@h/f.csv?token=p4ssw", "https://***@h/f.csv?token=***"),
        ("feed_images", "s3://KEY:p4ssw@bucket", "s3://***@bucket"),
        ("alarm", "curl --data @- https://u:p4ssw@alerts/x?key=p4ssw", "curl --data @- https://***@alerts/x?key=***"),
    ],
)
def test_passwords_are_not_shown(name: str, value: str, shown: str) -> None:
    """Of no setting."""
    made, sources = settings.load({}, NOWHERE, **{name: value})

    assert {row.name: row.value for row in settings.rows(made, sources)}[name] == shown


def test_every_setting_says_what_it_means() -> None:
    """The table has a row with a meaning for each field, and hides a password."""
    made, sources = settings.load({}, NOWHERE, database_url="postgresql+psycopg://shop:secret@db/shop")
    table = settings.rows(made, sources)

    assert [row.name for row in table] == list(settings.Settings.model_fields)
    assert all(len(row.meaning) > 10 for row in table)
    assert "secret" not in str(table)


def test_everything_lies_in_the_data_folder() -> None:
    """One folder holds catalogue, pictures, checkpoints, generations and uploads."""
    made, _ = settings.load({}, NOWHERE, data=Path("shop"))

    assert made.catalogue_url == Path("shop/catalogue.sqlite")
    for folder in (made.pictures, made.checkpoints, made.generations, made.uploads):
        assert folder.parent == Path("shop")


def test_settings_cannot_be_changed() -> None:
    """They are read once and passed down."""
    made, _ = settings.load({}, NOWHERE)

    with pytest.raises(ValueError, match="frozen"):
        made.port = 1  # type: ignore[misc]
