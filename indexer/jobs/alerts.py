"""Somebody is told that a job failed: by the shop's own command, which knows whom to wake and how."""

import logging
import re
import shlex
import subprocess

from vsearch.core.errors import SettingsError
from vsearch.core.settings import Settings

SECONDS = 60
"""How long the command may take."""

_QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""")
_SHELL_SYNTAX = re.compile(r"[|<>`]|\$[\w({]|(^|\s)[;&]|[;&](\s|$)")
"""Pipes, redirections, variables and lists: a program would take them as its arguments, and may succeed."""

log = logging.getLogger(__name__)


def raise_alarm(settings: Settings, text: str) -> None:
    """Give the text to the command of the setting `alarm`; do nothing if it is not set.

    A command that fails is only logged: the job itself has failed already.
    """
    if not settings.alarm.strip():
        return
    try:
        run_alarm(settings.alarm, text)
    except SettingsError as error:
        log.error("the alarm was not given: %s The message was: %s", error, text)


def run_alarm(alarm: str, text: str) -> None:
    """Run a command, and give it the text on its standard input.

    It is a program and its arguments, split and quoted as a shell does, but no shell runs it.

    Raises:
        SettingsError: it is not such a command, or it failed.
    """
    try:
        if _SHELL_SYNTAX.search(_QUOTED.sub("", alarm)):
            raise ValueError("no shell runs it; write sh -c 'COMMAND LINE' for pipes, redirections and variables")
        subprocess.run(shlex.split(alarm), input=f"{text}\n", text=True, timeout=SECONDS, check=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise SettingsError(
            f"The setting alarm must be a command that succeeds, but {alarm!r} does not: {error}."
        ) from None
