"""A write leaves the old file or the new one, whatever happens in between."""

import builtins
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minicnn.files.atomic import check_writable, write_atomically
from minicnn.weights import load, save


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.safetensors"
    save({"a": np.arange(3.0)}, path)
    return path


def only_the_old_file_is_there(path):
    return os.listdir(path.parent) == [path.name] and load(path)["a"].tolist() == [0.0, 1.0, 2.0]


class FailingFile:
    """A file that fails half-way through a write, or when it is forced to the disk."""

    def __init__(self, file, error):
        self.file, self.error = file, error

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        raise self.error

    def fileno(self):
        return self.file.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def fail_half_way(monkeypatch, error):
    real_open = builtins.open

    def failing_open(file, mode="r", *rest, **options):
        opened = real_open(file, mode, *rest, **options)
        return FailingFile(opened, error) if "x" in mode else opened

    monkeypatch.setattr(builtins, "open", failing_open)


def test_a_full_disk_says_path_and_sizes_and_leaves_the_old_file(path, monkeypatch):
    fail_half_way(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match=r"disk is full.*needed: [0-9,]+ bytes, free: [0-9,]+ bytes") as caught:
        save({"a": np.zeros(1000)}, path)
    assert caught.value.errno == errno.ENOSPC
    assert path.name in str(caught.value)
    monkeypatch.undo()
    assert only_the_old_file_is_there(path)


def test_a_disk_that_is_full_only_at_the_last_step_leaves_the_old_file(path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk is full"):
        save({"a": np.zeros(1000)}, path)
    assert only_the_old_file_is_there(path)


def test_a_rename_that_fails_leaves_the_old_file(path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError, match="cannot be written"):
        save({"a": np.zeros(1000)}, path)
    assert only_the_old_file_is_there(path)


def test_ctrl_c_during_a_write_leaves_the_old_file(path, monkeypatch):
    fail_half_way(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        save({"a": np.zeros(1000)}, path)
    monkeypatch.undo()
    assert only_the_old_file_is_there(path)


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")
def test_a_real_limit_on_the_size_of_files_leaves_the_old_file(path):
    program = """if True:
        import resource, sys
        import numpy as np
        from minicnn.weights import save
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            save({"a": np.zeros(100_000)}, sys.argv[1])
        except OSError as error:
            print(error)
        """
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert "larger than this system or process may write" in done.stdout
    assert only_the_old_file_is_there(path)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_a_process_killed_half_way_leaves_the_old_file(path):
    program = """if True:
        import os, signal, sys
        import numpy as np
        from minicnn.weights import save
        os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
        save({"a": np.zeros(100_000)}, sys.argv[1])
        """
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert load(path)["a"].tolist() == [0.0, 1.0, 2.0]
    assert len(os.listdir(path.parent)) == 2
    save({"b": np.arange(2.0)}, path.with_name("another.safetensors"))
    assert len(os.listdir(path.parent)) == 3  # what was left belongs to another file
    save({"b": np.arange(2.0)}, path)
    assert sorted(os.listdir(path.parent)) == ["another.safetensors", path.name]


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX")
def test_only_the_own_files_of_ended_processes_are_removed(path):
    import fcntl

    living = path.with_name(f".{path.name}.minicnn-00000001.tmp")
    ended = path.with_name(f".{path.name}.minicnn-00000002.tmp")
    others = [f".{path.name}.tmp", f".{path.name}.minicnn-1.tmp", f"{path.name}.tmp", ".other.minicnn-00000003.tmp"]
    for name in (living, ended, *(path.with_name(name) for name in others)):
        name.write_bytes(b"x")
    (path.parent / f".{path.name}.minicnn-00000004.tmp").mkdir()
    path.with_name(f".{path.name}.minicnn-00000005.tmp").symlink_to(path)
    with open(living, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_atomically(path, b"new")
        assert living.exists()
    assert not ended.exists()
    assert len(os.listdir(path.parent)) == 2 + len(others) + 2
    write_atomically(path, b"new")
    assert not living.exists()


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX")
def test_two_processes_that_write_the_same_file_leave_each_other_alone(tmp_path):
    program = """if True:
        import sys
        from pathlib import Path
        from minicnn.files.atomic import write_atomically
        for count in range(300):
            write_atomically(Path(sys.argv[1]), sys.argv[2].encode() * 1000)
        """
    command = [sys.executable, "-c", program, str(tmp_path / "file")]
    running = [subprocess.Popen([*command, letter], stderr=subprocess.PIPE, text=True) for letter in "ab"]
    assert [process.communicate()[1] for process in running] == ["", ""]
    assert (tmp_path / "file").read_bytes() in (b"a" * 1000, b"b" * 1000)
    assert os.listdir(tmp_path) == ["file"]


def test_folders_that_cannot_take_a_file_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder does not exist.*absent"):
        save({}, tmp_path / "absent" / "a.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        save({}, tmp_path / "file" / "a.safetensors")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(IsADirectoryError, match="add a file name"):
        save({}, tmp_path / "folder.npz")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot be written"):
        save({}, tmp_path / "a.safetensors")
    tmp_path.chmod(0o700)


def test_a_new_file_has_the_usual_permissions_and_a_link_stays_a_link(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    write_atomically(tmp_path / "real", b"old")
    assert (tmp_path / "real").stat().st_mode == plain.stat().st_mode
    os.symlink(tmp_path / "real", tmp_path / "link")
    write_atomically(tmp_path / "link", b"new")
    assert Path(tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_to_check_a_place_changes_nothing_there(path):
    before = path.stat()
    check_writable(path)
    assert path.stat() == before  # not even written anew: it may be large
    check_writable(path.with_name("new.safetensors"))
    assert only_the_old_file_is_there(path)


def test_to_check_a_place_that_cannot_be_written_raises_as_the_write_would(path):
    with pytest.raises(FileNotFoundError, match="create it first"):
        check_writable(path.parent / "absent" / "x.json")
    with pytest.raises(IsADirectoryError, match="this is a folder"):
        check_writable(path.parent)
