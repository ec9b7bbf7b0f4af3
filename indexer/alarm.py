"""Somebody is told that a job failed: by the shop's own command, which knows whom to wake and how."""

import logging
import shlex
import subprocess

from vsearch.settings import Settings

SECONDS = 60
"""How long the command may take."""

SHELL_SIGNS = frozenset(("|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1"))
"""Words that only a shell understands: a program would take them as its arguments, and may succeed."""

log = logging.getLogger(__name__)


def raise_alarm(settings: Settings, text: str) -> bool:
    """Give the text to the command of the setting `alarm`, on its standard input; nothing where there is none.

    The command is a program and its arguments, split and quoted as a shell does, but no shell runs it. A command that
    fails is logged: the job has failed already, and nothing else shall.

    Returns:
        Whether it was given, as far as the command says.
    """
    if not settings.alarm.strip():
        return False
    try:
        command = shlex.split(settings.alarm)
        if SHELL_SIGNS.intersection(command):
            raise ValueError("it is no shell command line; write sh -c 'COMMAND LINE' for pipes and redirections")
        subprocess.run(command, input=f"{text}\n", text=True, timeout=SECONDS, check=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        log.error("the alarm was not given (%s): %s", error, text)
        return False
    return True
