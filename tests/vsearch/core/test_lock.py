import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.fakes import FrozenClock
from vsearch.core.errors import RunInProgress
from vsearch.core.lock import exclusive_lock, held, run_lock, shared_lock

NOW = FrozenClock().now

HOLDER = """
import signal, sys
from datetime import UTC, datetime
from pathlib import Path
from vsearch.core.lock import run_lock
with run_lock(Path(sys.argv[1]), datetime.now(UTC)):
    print("held", flush=True)
    signal.pause()
"""


def test_a_lock_is_held_until_its_block_ends_or_fails(tmp_path):
    file = tmp_path / "data" / "index.lock"
    assert not held(file)
    with suppress(KeyError), run_lock(file, NOW):
        assert held(file)
        holder = f"training.* process {os.getpid()} .since 2026-11-21 01:30:00 UTC"
        with pytest.raises(RunInProgress, match=holder), run_lock(file, NOW, "training"):
            pass
        raise KeyError
    assert not held(file)


def test_a_killed_process_leaves_no_lock_behind(tmp_path):
    file = tmp_path / "index.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, file], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RunInProgress, match=f"process {holder.pid} "), run_lock(file, NOW):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with run_lock(file, NOW):
        pass


def test_a_shared_lock_excludes_only_an_exclusive_one(tmp_path):
    file = tmp_path / "data" / "import.lock"
    with shared_lock(file), shared_lock(file), exclusive_lock(file) as acquired:
        assert not acquired
    with exclusive_lock(file) as first, exclusive_lock(file) as second:
        assert (first, second) == (True, False)
    with shared_lock(file), exclusive_lock(file) as acquired:
        assert not acquired
