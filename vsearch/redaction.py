"""Passwords and keys of addresses hidden before anything is shown, logged or written down for people to read."""

import re
from urllib.parse import unquote

HIDDEN = "***"

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\S+)")
_WHOLE_ADDRESS = re.compile(r"\s*['\"]?([A-Za-z][A-Za-z0-9+.-]*)://(.+)", re.DOTALL)
_SERVER = re.compile(r"(postgres|mysql|mariadb|mssql|oracle|mongo|redis|valkey|amqp)", re.IGNORECASE)
"""Schemes whose passwords are often pasted as they are, with "/" and "@" in them, and whose paths have no "@"."""

_VALUE = r"([^&#\s]*?)(?=['\"`),.;:\]]*(?:[&#\s]|$))"
_PARAMETER = re.compile(rf"(?<=[?&;#])([\w.%~+\[\]-]+)={_VALUE}")
_LOOSE = re.compile(rf"\b(password|passwd|pwd|sslpassword)=(?!=){_VALUE}", re.IGNORECASE)
"""As connection strings and drivers write it, outside of any address."""

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
    text = _ADDRESS.sub(lambda found: f"{found[1]}://{_without_user(found[1], found[2])}", text)
    return _LOOSE.sub(rf"\1={HIDDEN}", _PARAMETER.sub(_parameter, text))


def redact_address(value: str) -> str:
    """Return an address with its secrets hidden; blanks in a password do not end it, as they would in a text."""
    found = _WHOLE_ADDRESS.match(value)
    if found is None:
        return redact(value)
    return redact(f"{value[: found.start(2)]}{_without_user(found[1], found[2])}")


def _without_user(scheme: str, rest: str) -> str:
    end = _user_end(scheme, rest)
    return rest if end < 0 or rest[:end] == _PLACEHOLDER else f"{HIDDEN}{rest[end:]}"


def _user_end(scheme: str, rest: str) -> int:
    """Return where the user's name and password end, at an "@"; -1 where there are none."""
    host = re.match("[^/?#]*", rest)
    assert host is not None  # it may be empty
    if re.fullmatch(r"[^\[\]:@]*:[^@]*\D[^@]*", host[0]):
        return rest.rfind("@")  # what looks like a port is no number: it is a password with "/", "?" or "#" in it
    if _SERVER.match(scheme):
        return rest.partition("?")[0].rfind("@")
    return host[0].rfind("@")


def _parameter(found: re.Match[str]) -> str:
    """Return a parameter with its value hidden if it is a secret; another one may be an address, or several by ";"."""
    if not found[2]:
        return found[0]
    return f"{found[1]}={HIDDEN if _is_secret(found[1]) else redact(found[2])}"


def _is_secret(name: str) -> bool:
    plain = unquote(name).lower()
    return bool(_SECRET_WORDS.search(plain) or _SECRET_NAMES.search(plain))


def _secrets(address: str) -> set[str]:
    """Return what is to be hidden of an address, as it is written and as it is meant."""
    found: set[str] = set()
    if match := _WHOLE_ADDRESS.match(address):
        end = _user_end(match[1], match[2])
        if end > 0:
            user = match[2][:end]
            found |= {user, user.partition(":")[2]}
            start = re.split("[/?#]", user)[0]  # what a client takes for the host, and complains of
            found |= {start, start.partition(":")[2]}
    found |= {value for name, value in _PARAMETER.findall(address) if _is_secret(name)}
    found |= {unquote(secret) for secret in found}
    return {secret for secret in found if len(secret) >= _SHORTEST}
