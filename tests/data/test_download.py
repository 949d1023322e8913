"""Downloads arrive whole or not at all, from the first source that serves them; one error says what went wrong."""

import hashlib
import os
import time

import pytest

from minicnn.data.download import RemoteFile, cache_folder, data_folders, obtain

CONTENT = bytes(range(256)) * 4000  # about a megabyte: more than one chunk
PURPOSE = "MNIST (split 'train') needs digits.gz"


@pytest.fixture
def remote(server):
    server.files["digits.gz"] = CONTENT

    def make(*behaviours):
        sources = tuple(server.source(behaviour) for behaviour in behaviours)
        return RemoteFile("digits.gz", hashlib.md5(CONTENT).hexdigest(), sources, "mnist")

    return make


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_downloaded_once_and_kept_under_its_name(remote, server, tmp_path):
    path = obtain(remote("well"), [tmp_path], PURPOSE)
    assert path == tmp_path / "mnist" / "digits.gz"
    assert path.read_bytes() == CONTENT
    assert obtain(remote("well"), [tmp_path], PURPOSE) == path
    assert server.requests == [("well", "digits.gz")]
    assert files_below(tmp_path) == [os.path.join("mnist", "digits.gz")]


def test_a_progress_bar_is_shown(remote, tmp_path, capsys):
    obtain(remote("well"), [tmp_path], PURPOSE)
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("behaviour", ["corrupt", "short", "cut", "403", "500", "404", "stall"])
def test_the_next_source_is_tried_when_one_fails(remote, server, tmp_path, behaviour):
    path = obtain(remote(behaviour, "well"), [tmp_path], PURPOSE, timeout=(5, 0.7))
    assert path.read_bytes() == CONTENT
    assert [request[0] for request in server.requests] == [behaviour, "well"]
    assert files_below(tmp_path) == [os.path.join("mnist", "digits.gz")]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("corrupt", "another md5"),
        ("short", "IncompleteRead|another md5"),
        ("cut", "another md5"),
        ("403", "403"),
        ("500", "500"),
        ("stall", "timed out"),
    ],
)
def test_when_all_fail_the_error_says_why_and_what_to_do_and_nothing_is_left(remote, tmp_path, behaviour, reason):
    began = time.monotonic()
    with pytest.raises(FileNotFoundError, match=reason) as caught:
        obtain(remote(behaviour), [tmp_path / "data", tmp_path / "cache"], PURPOSE, timeout=(5, 0.7))
    assert time.monotonic() - began < 10
    message = str(caught.value)
    assert message.startswith(PURPOSE)
    for part in (
        f"/{behaviour}/digits.gz",
        hashlib.md5(CONTENT).hexdigest(),
        str(tmp_path / "data" / "mnist" / "digits.gz"),
        f"put it at {tmp_path / 'cache' / 'mnist' / 'digits.gz'}",
        "MINICNN_DATA",
    ):
        assert part in message
    assert files_below(tmp_path) == []


def test_no_network_is_a_file_not_found(tmp_path):
    file = RemoteFile("digits.gz", "0" * 32, ("http://127.0.0.1:9/",), "mnist")  # nothing listens on the discard port
    with pytest.raises(FileNotFoundError, match="ConnectionError") as caught:
        obtain(file, [tmp_path], PURPOSE)
    assert "http://127.0.0.1:9/digits.gz" in str(caught.value)


def test_download_false_never_asks(remote, server, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"not tried \(download=False\)"):
        obtain(remote("well"), [tmp_path], PURPOSE, download=False)
    assert server.requests == []


def test_an_interrupted_download_leaves_nothing(remote, server, tmp_path, monkeypatch):
    import pooch

    class Interrupted(pooch.HTTPDownloader):
        def __call__(self, url, output_file, pooch):
            super().__call__(url, output_file, pooch)
            raise KeyboardInterrupt

    monkeypatch.setattr(pooch, "HTTPDownloader", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        obtain(remote("well"), [tmp_path], PURPOSE)
    assert len(server.requests) == 1
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("code", ["EACCES", "ENOSPC", "EROFS"])
def test_a_folder_that_cannot_be_written_is_named_and_no_other_source_tried(
    remote, server, tmp_path, monkeypatch, code
):
    import errno

    def refuse(*arguments, **named):
        raise OSError(getattr(errno, code), "cannot")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="give another folder as root=") as caught:
        obtain(remote("well", "well"), [tmp_path], PURPOSE)
    assert caught.value.errno == getattr(errno, code)
    assert str(tmp_path / "mnist") in str(caught.value)
    assert len(server.requests) == 1
    assert files_below(tmp_path) == []


def test_a_file_where_the_folder_should_be_is_reported(remote, tmp_path):
    (tmp_path / "blocked").write_bytes(b"")
    with pytest.raises(OSError, match="give another folder as root="):
        obtain(remote("well"), [tmp_path / "blocked"], PURPOSE)


def test_folders_are_searched_in_order_and_the_last_one_written(remote, server, tmp_path):
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    folders = [tmp_path / "data", tmp_path / "cache"]
    assert obtain(remote("well"), folders, PURPOSE).parent == tmp_path / "cache" / "mnist"
    (tmp_path / "data" / "mnist" / "digits.gz").write_bytes(b"mine")
    assert obtain(remote("well"), folders, PURPOSE).read_bytes() == b"mine"


def test_minicnn_data_comes_before_the_cache_and_root_before_both(unplugged, monkeypatch, tmp_path):
    assert data_folders() == [unplugged] == [cache_folder()]
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    assert data_folders() == [tmp_path, unplugged]
    assert data_folders(tmp_path / "own") == [tmp_path / "own"]


@pytest.mark.parametrize("digits", [8, 64])
def test_a_sha256_may_be_known_by_its_first_digits_only(server, tmp_path, digits):
    server.files["weights.pth"] = CONTENT
    true = hashlib.sha256(CONTENT).hexdigest()[:digits]
    file = RemoteFile("weights.pth", f"sha256:{true}", (server.source("well"),))
    assert obtain(file, [tmp_path], PURPOSE).read_bytes() == CONTENT
    other = RemoteFile("weights.pth", f"sha256:{true}", (server.source("corrupt"),))
    with pytest.raises(FileNotFoundError, match=f"another sha256 than {true}"):
        obtain(other, [tmp_path / "other"], PURPOSE)
    assert files_below(tmp_path) == ["weights.pth"]
