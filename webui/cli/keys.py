"""`vsearch keys`: the keys of the API."""

import json
from datetime import timedelta

import click

from catalog import api_keys
from catalog.api_tables import ApiKey
from catalog.audit import COMMAND_LINE
from catalog.database import open_catalog
from catalog.models import utc_now
from vsearch.cli import json_option, pass_settings
from vsearch.cli.console import table
from vsearch.core.settings import Settings


@click.group()
def keys() -> None:
    """Manage the keys of the API (docs/api.md)."""


@keys.command("create", epilog="Example: vsearch keys create 'Mobile app' --scope search --scope feedback")
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(api_keys.SCOPES), multiple=True, required=True, help="Repeatable.")
@click.option("--days", type=click.IntRange(1, 3650), help="Days after which the key expires; by default never.")
@pass_settings
def create(settings: Settings, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Create a key and print it; only a hash of it is stored, so it cannot be shown again."""
    expires_at = utc_now() + timedelta(days=days) if days else None
    with open_catalog(settings.catalog_url, write=True) as sessions, sessions.begin() as session:
        _, key = api_keys.create(session, name, scopes, expires_at=expires_at, by=COMMAND_LINE)
    click.echo(key)


@keys.command("list")
@json_option
@pass_settings
def list_(settings: Settings, as_json: bool) -> None:
    """List all keys without their secrets."""
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        found = api_keys.all_keys(session)
    if as_json:
        click.echo(json.dumps([_as_json(key) for key in found], indent=2))
    elif found:
        lines = [
            (
                str(key.key_id),
                key.name,
                " ".join(key.scopes),
                _state(key),
                f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "",
            )
            for key in found
        ]
        table("API keys", ("key", "name", "scopes", "state", "last used (UTC)"), lines, right=("key",))
    else:
        click.echo("There are no API keys. Create one with `vsearch keys create`.")


@keys.command("revoke")
@click.argument("key_id", type=int)
@pass_settings
def revoke(settings: Settings, key_id: int) -> None:
    """Make a key invalid at once and forever."""
    with open_catalog(settings.catalog_url) as sessions, sessions.begin() as session:
        row = api_keys.revoke(session, key_id, by=COMMAND_LINE)
        click.echo(f"API key {key_id} ({row.name}) is revoked.")


def _state(key: ApiKey) -> str:
    if key.revoked_at:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    return f"{'expired' if key.expires_at <= utc_now() else 'expires'} {key.expires_at:%Y-%m-%d}"


def _as_json(key: ApiKey) -> dict[str, object]:
    times = ("created_at", "expires_at", "revoked_at", "last_used_at")
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": key.scopes,
        **{name: (moment := getattr(key, name)) and moment.isoformat() for name in times},
    }
