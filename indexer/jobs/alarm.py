"""Run the shop's alarm command when a job fails."""

import logging
import re
import shlex
import subprocess

from vsearch.core.errors import SettingsError
from vsearch.core.settings import Settings

TIMEOUT_SECONDS = 60

_QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""")
_SHELL_SYNTAX = re.compile(r"[|<>`]|\$[\w({]|(^|\s)[;&]|[;&](\s|$)")
"""Pipes, redirections, variables and lists, which would silently become arguments without a shell."""

log = logging.getLogger(__name__)


def raise_alarm(settings: Settings, text: str) -> None:
    """Pass the text to the alarm command (the `alarm` setting), if one is set; a failure is only logged."""
    if not settings.alarm.strip():
        return
    try:
        run_alarm(settings.alarm, text)
    except SettingsError as error:
        log.error("the alarm command failed: %s The message was: %s", error, text)


def run_alarm(alarm: str, text: str) -> None:
    """Run a command with the text on its standard input.

    The command is a program and its arguments, quoted as for a shell, but run without one.

    Raises:
        SettingsError: the command cannot be run, fails, or contains shell syntax.
    """
    try:
        if _SHELL_SYNTAX.search(_QUOTED.sub("", alarm)):
            raise ValueError("it runs without a shell; use sh -c 'COMMAND LINE' for pipes, redirections and variables")
        subprocess.run(shlex.split(alarm), input=f"{text}\n", text=True, timeout=TIMEOUT_SECONDS, check=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise SettingsError(f"Setting alarm: the command {alarm!r} failed: {str(error).rstrip('.')}.") from None
