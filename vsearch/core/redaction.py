"""Hides passwords and keys in URLs before text is shown, logged or stored."""

import re
from collections.abc import Callable
from urllib.parse import unquote

HIDDEN = "***"

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://")
_WHOLE_URL = re.compile(r"\s*['\"]?([A-Za-z][A-Za-z0-9+.-]*)://(.+)", re.DOTALL)
_SERVER = re.compile(r"(postgres|mysql|mariadb|mssql|oracle|mongo|redis|valkey|amqp)", re.IGNORECASE)
"""Schemes whose passwords are often pasted with unescaped "/" and "@", and whose paths contain no "@"."""

_PARAMETER = re.compile(r"(?<=[?&;#])([\w.%~+\[\]-]+)=")
_KEYWORD = re.compile(r"\b(password|passwd|pwd|sslpassword)=(?!=)", re.IGNORECASE)
"""Passwords outside URLs, as in connection strings and driver messages."""

_AUTHORITY = re.compile(r"\S{,4096}")
_VALUE = re.compile(r"[^&#\s]*")
_PUNCTUATION = "'\"`),.;:]"
"""Characters after a value that are punctuation of the surrounding sentence."""

_SECRET_WORDS = re.compile(
    "token|secret|passw|passphrase|signature|credential|apikey|api_key|accesskey|privatekey|authorization|jwt|x-amz-",
    re.IGNORECASE,
)
_SECRET_NAMES = re.compile("(^|[^a-z])(key|sig|pwd|pass|pw|auth|sas|hmac|hash|code|session|sessionid)([^a-z]|$)")

_PLACEHOLDER = "USER:PASSWORD"
"""Placeholder for credentials in the example URLs of vsearch's own messages."""

_MIN_LENGTH = 3
"""Minimum length of a secret to search for in other text; a shorter one would match anything."""


def redact(text: str, *urls: str) -> str:
    """Return the text with the secrets of all URLs in it hidden.

    The secrets of `urls` are hidden wherever they occur, because drivers quote parts of a URL.
    """
    for url in urls:
        for secret in sorted(_secrets(url), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
    text = _hide(text, _URL, lambda match: _credentials(match[1], _following(match, _AUTHORITY)))
    text = _hide(text, _PARAMETER, _secret_value)
    return _hide(text, _KEYWORD, _value)


def redact_url(value: str) -> str:
    """Return a URL with its secrets hidden; unlike in `redact`, a password may contain spaces."""
    match = _WHOLE_URL.match(value)
    if match is None:
        return redact(value)
    credentials, start = _credentials(match[1], match[2]), match.start(2)
    return redact(value[:start] + (HIDDEN if credentials else "") + value[start + len(credentials) :])


def _hide(text: str, pattern: re.Pattern[str], secret_after: Callable[[re.Match[str]], str]) -> str:
    """Replace the secret that follows each match of a pattern; text that is not secret is searched again."""
    parts, position = [], 0
    while match := pattern.search(text, position):
        secret = secret_after(match)
        parts.append(text[position : match.end()] + (HIDDEN if secret else ""))
        position = match.end() + len(secret)
    return "".join([*parts, text[position:]])


def _following(match: re.Match[str], pattern: re.Pattern[str]) -> str:
    following = pattern.match(match.string, match.end())
    return following[0] if following else ""


def _credentials(scheme: str, rest: str) -> str:
    """Return the user name and password at the start of a URL after its scheme, or ""."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if re.fullmatch(r"[^\[\]:@]*:[^@]*\D[^@]*", authority):
        end = rest.rfind("@")  # the apparent port is not a number but part of a password with "/", "?" or "#"
    elif _SERVER.match(scheme):
        end = rest.partition("?")[0].rfind("@")
    else:
        end = authority.rfind("@")
    credentials = rest[: max(0, end)]
    return "" if credentials == _PLACEHOLDER else credentials


def _value(parameter: re.Match[str]) -> str:
    return _following(parameter, _VALUE).rstrip(_PUNCTUATION)


def _secret_value(parameter: re.Match[str]) -> str:
    name = unquote(parameter[1]).lower()
    return _value(parameter) if _SECRET_WORDS.search(name) or _SECRET_NAMES.search(name) else ""


def _secrets(url: str) -> set[str]:
    """Return the secrets of a URL, as written and decoded."""
    found: set[str] = set()
    if match := _WHOLE_URL.match(url):
        credentials = _credentials(match[1], match[2])
        start = re.split("[/?#]", credentials)[0]  # clients mistake this for the host and quote it in errors
        found |= {credentials, credentials.partition(":")[2], start, start.partition(":")[2]}
    found |= {_secret_value(parameter) for parameter in _PARAMETER.finditer(url)}
    found |= {unquote(secret) for secret in found}
    return {secret for secret in found if len(secret) >= _MIN_LENGTH}
