"""Archives fill one folder and nothing else, whole or not at all."""

import io
import os
import signal
import subprocess
import sys
import tarfile

import pytest

from minicnn.files.archive import extract


def make(path, members, mode="w:gz"):
    """A tarball of members (name, content); content may be a TarInfo changer instead of bytes."""
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                content(info)
                tar.addfile(info)
    return path


def names_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_files_of_the_folder_are_unpacked_and_others_left(tmp_path):
    archive = make(
        tmp_path / "a.tgz", [("set/one", b"1"), ("set/deep/two", b"22"), ("other/three", b"3"), ("readme", b"4")]
    )
    folder = extract(archive, tmp_path / "out", "set")
    assert folder == tmp_path / "out" / "set"
    assert names_below(tmp_path / "out") == ["set", "set/deep", "set/deep/two", "set/one"]
    assert (folder / "deep" / "two").read_bytes() == b"22"


def test_files_that_were_there_stay_and_missing_ones_are_added(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_bytes(b"kept")
    extract(make(tmp_path / "a.tgz", [("set/one", b"1"), ("set/deep/two", b"2")]), tmp_path, "set")
    assert names_below(tmp_path / "set") == ["deep", "deep/two", "mine", "one"]
    assert (tmp_path / "set" / "mine").read_bytes() == b"kept"


def test_a_file_that_was_there_is_not_overwritten(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "one").write_bytes(b"mine")
    extract(make(tmp_path / "a.tgz", [("set/one", b"1"), ("set/two", b"2")]), tmp_path, "set")
    assert [(tmp_path / "set" / name).read_bytes() for name in ("one", "two")] == [b"mine", b"2"]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_what_a_killed_process_unpacked_is_removed_by_the_next_one(tmp_path):
    archive = make(tmp_path / "a.tgz", [("set/one", b"1")])
    program = """if True:
        import os, signal, sys
        from pathlib import Path
        from minicnn.files import archive
        archive._move = lambda source, target: os.kill(os.getpid(), signal.SIGKILL)
        archive.extract(Path(sys.argv[1]), Path(sys.argv[2]), "set")
        """
    died = subprocess.run([sys.executable, "-c", program, str(archive), str(tmp_path / "out")], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    (tmp_path / "out" / ".minicnn-0000000a.unpacking").mkdir()  # without the mark inside: not ours
    assert len(os.listdir(tmp_path / "out")) == 2
    extract(archive, tmp_path / "out", "set")
    assert sorted(os.listdir(tmp_path / "out")) == [".minicnn-0000000a.unpacking", "set"]


def symbolic_link(info):
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"


def hard_link(info):
    info.type, info.linkname = tarfile.LNKTYPE, "set/one"


def device(info):
    info.type = tarfile.CHRTYPE


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (("../evil", b"x"), "points outside"),
        (("set/../../evil", b"x"), "points outside"),
        (("/tmp/evil", b"x"), "points outside"),
        (("C:/evil", b"x"), "points outside"),
        (("set\\..\\..\\evil", b"x"), "points outside"),
        (("set/link", symbolic_link), "link or a device"),
        (("set/link", hard_link), "link or a device"),
        (("set/device", device), "link or a device"),
    ],
)
def test_a_member_that_would_leave_the_folder_is_refused_and_nothing_unpacked(tmp_path, member, reason):
    archive = make(tmp_path / "a.tgz", [("set/one", b"1"), member])
    with pytest.raises(ValueError, match=reason) as caught:
        extract(archive, tmp_path / "out" / "deep", "set")
    assert repr(member[0]) in str(caught.value)
    assert names_below(tmp_path / "out") == ["deep"]
    assert names_below(tmp_path) == ["a.tgz", "out", "out/deep"]


def test_permissions_and_owners_are_not_taken_over(tmp_path):
    def executable(info):
        info.mode = 0o4777

    archive = tmp_path / "a.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("set/one")
        executable(info)
        tar.addfile(info, io.BytesIO(b""))
    assert (extract(archive, tmp_path, "set") / "one").stat().st_mode & 0o5111 == 0


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_truncated_archive_unpacks_nothing(tmp_path, keep):
    noise = bytes(hash((place, 7)) % 251 for place in range(60_000))
    archive = make(tmp_path / "a.tgz", [("set/one", noise), ("set/two", noise)])
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ValueError, match=r"a\.tgz is damaged or cut short"):
        extract(archive, tmp_path / "out", "set")
    assert names_below(tmp_path / "out") == []


def test_what_is_no_archive_or_another_one_is_refused(tmp_path):
    (tmp_path / "a.tgz").write_bytes(b"<html>404</html>" * 50)
    with pytest.raises(ValueError, match="damaged"):
        extract(tmp_path / "a.tgz", tmp_path / "out", "set")
    with pytest.raises(ValueError, match="holds nothing under set/"):
        extract(make(tmp_path / "b.tgz", [("sets/one", b"1")]), tmp_path / "out", "set")


def test_a_name_that_is_both_a_file_and_a_folder_is_an_archive_s_fault(tmp_path):
    archive = make(tmp_path / "a.tgz", [("set/a", b"1"), ("set/a/b", b"2")])
    with pytest.raises(ValueError, match="is damaged"):
        extract(archive, tmp_path / "out", "set")
    assert names_below(tmp_path / "out") == []
