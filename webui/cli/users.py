"""`vsearch users`: the accounts of the admin pages."""

import json
import secrets
import sys

import click

from catalog import accounts
from catalog.audit import COMMAND_LINE
from catalog.database import open_catalog
from catalog.models import Account
from vsearch.cli import json_option, pass_settings
from vsearch.cli.console import table
from vsearch.core.settings import Settings

password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input; by default it is asked for."
)


@click.group()
def users() -> None:
    """Manage the accounts of the admin pages, which are off until there is one."""


@users.command("add", epilog="Example: vsearch users add ann --role admin")
@click.argument("name")
@click.option("--role", type=click.Choice(accounts.ROLES), required=True, help="What the account may do.")
@password_option
@pass_settings
def add(settings: Settings, name: str, role: accounts.Role, password_stdin: bool) -> None:
    """Add an account.

    \b
    viewer    sees everything
    editor    also labels photos, edits products, trains and compares models
    admin     also imports, publishes, promotes, rolls back, and manages accounts
    """
    password = _read_password(password_stdin)
    with open_catalog(settings.catalog_url, write=True) as sessions, sessions.begin() as session:
        account = accounts.add(session, name, password, role, by=COMMAND_LINE)
        click.echo(f"Account {account.name} ({role}) can sign in to the admin pages at {admin_url(settings)}.")


@users.command("list")
@json_option
@pass_settings
def list_(settings: Settings, as_json: bool) -> None:
    """List all accounts."""
    with open_catalog(settings.catalog_url) as sessions, sessions() as session:
        found = accounts.all_accounts(session)
    if as_json:
        click.echo(json.dumps([_as_json(account) for account in found], indent=2))
    elif found:
        lines = [(each.name, each.role, _state(each), _moment(each)) for each in found]
        table("Accounts", ("name", "role", "state", "last sign-in (UTC)"), lines)
    else:
        click.echo("There are no accounts, so the admin pages are off. Add one with `vsearch users add`.")


@users.command("disable")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Enable the account again.")
@pass_settings
def disable(settings: Settings, name: str, undo: bool) -> None:
    """Disable an account and end its sessions."""
    with open_catalog(settings.catalog_url) as sessions, sessions.begin() as session:
        accounts.set_disabled(session, accounts.find(session, name), not undo, by=COMMAND_LINE)
    click.echo(f"Account {name} is {'enabled' if undo else 'disabled'}.")


@users.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(accounts.ROLES))
@pass_settings
def change_role(settings: Settings, name: str, role: accounts.Role) -> None:
    """Change the role of an account."""
    with open_catalog(settings.catalog_url) as sessions, sessions.begin() as session:
        accounts.set_role(session, accounts.find(session, name), role, by=COMMAND_LINE)
    click.echo(f"Account {name} is now {role}.")


@users.command("reset")
@click.argument("name")
@password_option
@pass_settings
def reset(settings: Settings, name: str, password_stdin: bool) -> None:
    """Change the password of an account, end its sessions, and let it sign in at once after wrong passwords."""
    password = _read_password(password_stdin)
    with open_catalog(settings.catalog_url) as sessions, sessions.begin() as session:
        accounts.set_password(session, accounts.find(session, name), password, by=COMMAND_LINE)
    click.echo(f"Account {name} has a new password.")


def admin_url(settings: Settings) -> str:
    """Return where this machine serves the admin pages."""
    return f"http://{settings.admin_bind or f'{settings.host}:{settings.port}'}/admin/"


def _read_password(from_stdin: bool) -> str:
    """Read a new password; an empty answer chooses a random one, which is printed."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    asked: str = click.prompt(
        "Password (empty for a random one)", default="", hide_input=True, confirmation_prompt=True, show_default=False
    )
    if asked:
        return asked
    password = secrets.token_urlsafe(15)
    click.echo(f"The password is {password}")
    return password


def _state(account: Account) -> str:
    if account.disabled_at:
        return "disabled"
    return f"locked until {account.locked_until:%H:%M:%S} UTC" if account.locked_until else "active"


def _moment(account: Account) -> str:
    return f"{account.last_login_at:%Y-%m-%d %H:%M}" if account.last_login_at else ""


def _as_json(account: Account) -> dict[str, object]:
    return {
        "name": account.name,
        "role": account.role,
        "state": _state(account),
        "last_login_at": account.last_login_at and account.last_login_at.isoformat(),
    }
