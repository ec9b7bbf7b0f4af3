import errno
import os
import shutil
import time

import pytest

from vsearch.core.files import STALE_SECONDS, atomic_folder, atomic_write, remove_folder, replace_text, write_bytes


def test_a_file_is_written_completely(tmp_path):
    with atomic_write(tmp_path / "a") as file:
        file.write(b"1")
        assert not (tmp_path / "a").exists()
    write_bytes(tmp_path / "new folder" / "b", b"2", durable=True)
    replace_text(tmp_path / "a", "ä")
    assert (tmp_path / "a").read_text(encoding="utf8") == "ä"
    assert (tmp_path / "new folder" / "b").read_bytes() == b"2"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_a_failed_write_keeps_the_old_file_and_names_it(fails, tmp_path, monkeypatch):
    target = tmp_path / "report.json"
    target.write_text("old")

    def full(handle: int = 0) -> None:
        raise OSError(errno.ENOSPC, "full")

    def write_half() -> None:
        with atomic_write(target, durable=True) as file:
            file.write(b"half")
            if fails == "write":
                full()

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"full: .*report\.json"):
        write_half()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.json", "old")]


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    stale, target = tmp_path / ".new-stale", tmp_path / "checkpoint"
    stale.mkdir()
    os.utime(stale, (0, time.time() - STALE_SECONDS - 1))

    def fill(content: str, error: Exception | None = None) -> None:
        with atomic_folder(target) as folder:
            (folder / "a").write_text(content)
            assert content == "second" or not target.exists()
            if error:
                raise error

    with pytest.raises(OSError, match=r"full: .*checkpoint"):
        fill("half", OSError(errno.ENOSPC, "full"))
    assert list(tmp_path.iterdir()) == []
    fill("first")
    fill("second")
    assert [path.read_text() for path in tmp_path.glob("*/*")] == ["first"]
    shutil.copytree(target, tmp_path / ".removing-checkpoint")  # left behind by a killed removal
    remove_folder(target)
    assert list(tmp_path.iterdir()) == []
