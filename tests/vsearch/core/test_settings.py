"""Sources of settings, and invalid settings."""

from pathlib import Path

import pytest

from vsearch.core import settings
from vsearch.core.errors import SettingsError

NO_FILE = Path("no-such-file.toml")


def test_arguments_override_the_environment_the_file_and_the_defaults(tmp_path):
    file = tmp_path / "vsearch.toml"
    file.write_text("port = 1111\nthreads = 2\nhost = '0.0.0.0'\n")
    environ = {"VSEARCH_PORT": "2222", "VSEARCH_THREADS": "3", "VSEARCH_EXAMPLES": "", "HOME": "/"}
    made, sources = settings.load(environ, file, port=3333, threads=None)
    assert (made.port, made.threads, made.host, made.currency) == (3333, 3, "0.0.0.0", "EUR")
    found = [sources[name] for name in ("port", "threads", "host", "currency")]
    assert found == ["argument", "environment", str(file), "default"]
    assert made.examples is None, "an empty path is not the working folder"


@pytest.mark.parametrize(
    ("environ", "text", "words"),
    [
        ({"VSEARCH_PROT": "1"}, "", ["VSEARCH_PROT", "environment"]),
        ({"VSEARCH_SERVICE_HOTS": "10.0.0.1"}, "", ["VSEARCH_SERVICE_HOTS"]),  # not set by Kubernetes or Docker
        ({"VSEARCH_PORT": "http://10.0.0.1:8000"}, "", ["port", "'http://10.0.0.1:8000'"]),
        ({"VSEARCH_NAME": "shop"}, "", ["VSEARCH_NAME"]),
        ({}, "prot = 1", ["prot", "vsearch.toml"]),
        ({"VSEARCH_PORT": "many"}, "", ["port", "'many'", "environment"]),
        ({"VSEARCH_PORT": "70000"}, "", ["port", "'70000'", "65535"]),
        ({}, "route_mass = 2", ["route_mass", "'2'", "vsearch.toml"]),
        ({}, "port = ", ["vsearch.toml", "TOML"]),
        ({"VSEARCH_PORT": "postgresql://u:s3cret@h/x"}, "", ["port", "***@h"]),
    ],
)
def test_an_invalid_setting_is_one_sentence_with_its_name_value_and_source(tmp_path, environ, text, words):
    file = tmp_path / "vsearch.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        settings.load(environ, file)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "environ",
    [
        {"VSEARCH_PORT": "tcp://10.0.0.1:8000"},
        {"VSEARCH_SERVICE_HOST": "10.0.0.1", "VSEARCH_SERVICE_PORT": "8000", "VSEARCH_SERVICE_PORT_HTTP": "8000"},
        {"VSEARCH_PORT_8000_TCP": "tcp://10.0.0.1:8000", "VSEARCH_PORT_8000_TCP_PROTO": "tcp"},
        {"VSEARCH_PORT_8000_TCP_ADDR": "fd00::1", "VSEARCH_PORT_8000_TCP_PORT": "8000"},
        {"VSEARCH_WEB_PORT": "udp://10.0.0.1:53", "VSEARCH_WEB_PORT_53_UDP": "", "VSEARCH_WEB_SERVICE_HOST": "x"},
        {"VSEARCH_NAME": "/web/vsearch", "VSEARCH_ENV_POSTGRES_PASSWORD": "x", "VSEARCH_PORT": "tcp://172.17.0.5:5432"},
        {"VSEARCHER_PORT": "tcp://10.0.0.1:80", "OTHER_SERVICE_HOST": "10.0.0.1"},
    ],
    ids=["port", "service", "port of a service", "address", "another service", "docker link", "another prefix"],
)
def test_variables_of_kubernetes_and_docker_are_ignored(tmp_path, environ):
    """They come from a Service called vsearch or vsearch-web, or a container linked under that name."""
    (file := tmp_path / "vsearch.toml").write_text("port = 9000\n")
    made, sources = settings.load(environ, file)
    assert (made.port, sources["port"]) == (9000, str(file))


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
def test_passwords_are_not_shown(name, value, shown):
    made, sources = settings.load({}, NO_FILE, **{name: value})
    assert {row[0]: row[1] for row in settings.rows(made, sources)}[name] == shown


def test_the_reference_in_docs_is_up_to_date():
    """Write it with `vsearch settings --markdown > docs/settings.md`."""
    page = Path(__file__).parents[3] / "docs" / "settings.md"
    assert page.read_text(encoding="utf8") == settings.reference()
