"""Passwords and keys of addresses hidden before anything is shown, logged or written down for people to read."""

import re
from collections.abc import Callable
from urllib.parse import unquote

HIDDEN = "***"

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://")
_WHOLE_ADDRESS = re.compile(r"\s*['\"]?([A-Za-z][A-Za-z0-9+.-]*)://(.+)", re.DOTALL)
_SERVER = re.compile(r"(postgres|mysql|mariadb|mssql|oracle|mongo|redis|valkey|amqp)", re.IGNORECASE)
"""Schemes whose passwords are often pasted as they are, with "/" and "@" in them, and whose paths have no "@"."""

_PARAMETER = re.compile(r"(?<=[?&;#])([\w.%~+\[\]-]+)=")
_LOOSE = re.compile(r"\b(password|passwd|pwd|sslpassword)=(?!=)", re.IGNORECASE)
"""As connection strings and drivers write it, outside of any address."""

_AUTHORITY = re.compile(r"\S{,4096}")
_VALUE = re.compile(r"[^&#\s]*")
_AFTER_VALUE = "'\"`),.;:]"
"""What belongs to the sentence, not to the value before it."""

_SECRET_WORDS = re.compile(
    "token|secret|passw|passphrase|signature|credential|apikey|api_key|accesskey|privatekey|authorization|jwt|x-amz-",
    re.IGNORECASE,
)
_SECRET_NAMES = re.compile("(^|[^a-z])(key|sig|pwd|pass|pw|auth|sas|hmac|hash|code|session|sessionid)([^a-z]|$)")

_PLACEHOLDER = "USER:PASSWORD"
"""What our own sentences say of how an address is written."""

_SHORTEST = 3
"""Characters of a secret that is searched for in a driver's words; a shorter one would hit anything."""


def redact(text: str, *addresses: str) -> str:
    """Return the text with the secrets of all addresses in it hidden.

    Args:
        text: of any kind, such as a sentence or a traceback.
        addresses: whose secrets are hidden wherever they occur: drivers quote parts of an address.
    """
    for address in addresses:
        for secret in sorted(_secrets(address), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
    text = _hide(text, _ADDRESS, lambda found: _user(found[1], _behind(found, _AUTHORITY)))
    text = _hide(text, _PARAMETER, _secret_value)
    return _hide(text, _LOOSE, _value)


def redact_address(value: str) -> str:
    """Return an address with its secrets hidden; blanks in a password do not end it, as they would in a text."""
    found = _WHOLE_ADDRESS.match(value)
    if found is None:
        return redact(value)
    user, start = _user(found[1], found[2]), found.start(2)
    return redact(value[:start] + (HIDDEN if user else "") + value[start + len(user) :])


def _hide(text: str, begins: re.Pattern[str], secret: Callable[[re.Match[str]], str]) -> str:
    """Return the text without the secrets that follow the matches of a pattern; others may lie in what is no secret."""
    shown, at = [], 0
    while found := begins.search(text, at):
        hidden = secret(found)
        shown.append(text[at : found.end()] + (HIDDEN if hidden else ""))
        at = found.end() + len(hidden)
    return "".join([*shown, text[at:]])


def _behind(found: re.Match[str], pattern: re.Pattern[str]) -> str:
    match = pattern.match(found.string, found.end())
    return match[0] if match else ""


def _user(scheme: str, rest: str) -> str:
    """Return the user's name and password at the beginning of an address behind its scheme, "" if there are none."""
    user = rest[: max(0, _user_end(scheme, rest))]
    return "" if user == _PLACEHOLDER else user


def _user_end(scheme: str, rest: str) -> int:
    """Return where the user's name and password end, at an "@"; -1 where there are none."""
    host = re.match("[^/?#]*", rest)
    assert host is not None  # it may be empty
    if re.fullmatch(r"[^\[\]:@]*:[^@]*\D[^@]*", host[0]):
        return rest.rfind("@")  # what looks like a port is no number: it is a password with "/", "?" or "#" in it
    if _SERVER.match(scheme):
        return rest.partition("?")[0].rfind("@")
    return host[0].rfind("@")


def _value(parameter: re.Match[str]) -> str:
    return _behind(parameter, _VALUE).rstrip(_AFTER_VALUE)


def _secret_value(parameter: re.Match[str]) -> str:
    return _value(parameter) if _is_secret(parameter[1]) else ""


def _is_secret(name: str) -> bool:
    plain = unquote(name).lower()
    return bool(_SECRET_WORDS.search(plain) or _SECRET_NAMES.search(plain))


def _secrets(address: str) -> set[str]:
    """Return what is to be hidden of an address, as it is written and as it is meant."""
    found: set[str] = set()
    if match := _WHOLE_ADDRESS.match(address):
        user = _user(match[1], match[2])
        start = re.split("[/?#]", user)[0]  # what a client takes for the host, and complains of
        found |= {user, user.partition(":")[2], start, start.partition(":")[2]}
    found |= {_secret_value(parameter) for parameter in _PARAMETER.finditer(address)}
    found |= {unquote(secret) for secret in found}
    return {secret for secret in found if len(secret) >= _SHORTEST}
