import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import FrozenClock
from vsearch.core.errors import RunInProgress
from vsearch.core.lock import held, lock_if_free, run_lock, shared_lock

NOW = FrozenClock().now

HOLDER = """
import signal, sys
from datetime import UTC, datetime
from pathlib import Path
from vsearch.lock import held, lock_if_free, run_lock, shared_lock
with run_lock(Path(sys.argv[1]), datetime.now(UTC)):
    print("held", flush=True)
    signal.pause()
"""


def test_the_sentence_says_who_holds_it_and_since_when(tmp_path: Path) -> None:
    """So that a person can look, wait, or stop that process."""
    file = tmp_path / "data" / "index.lock"
    with run_lock(file, NOW), pytest.raises(RunInProgress) as caught, run_lock(file, NOW):
        pass
    assert f"process {os.getpid()} (since 2026-11-21 01:30:00 UTC) still does" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_sentence_says_what_goes_one_at_a_time(tmp_path: Path) -> None:
    """A training is no index run."""
    file = tmp_path / "lock"
    with (
        run_lock(file, NOW),
        pytest.raises(RunInProgress, match="Only one training goes"),
        run_lock(file, NOW, "training"),
    ):
        pass


def test_it_is_free_again_after_the_block(tmp_path: Path) -> None:
    """Also when the block fails."""
    with pytest.raises(KeyError), run_lock(tmp_path / "index.lock", NOW):
        raise KeyError
    with run_lock(tmp_path / "index.lock", NOW):
        pass


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    """The file stays and means nothing."""
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


def test_several_share_what_nobody_has_alone(tmp_path: Path) -> None:
    """Who wants it alone does not wait, but is told."""
    file = tmp_path / "data" / "import.lock"
    with shared_lock(file), shared_lock(file):
        assert not held(file)
        with lock_if_free(file) as alone:
            assert not alone
    with lock_if_free(file) as alone, lock_if_free(file) as second:
        assert (alone, second, held(file)) == (True, False, True)
