"""A check in a process of its own: whatever an answer does, the check ends, says so, and leaves all as it was."""

import os
import sys
import time

import pytest

from minicnn.teach import checker_process
from minicnn.teach.checker_process import Verdict, check_file, check_here

HEAD = "import numpy as np\n\n\ndef rising_kernel():\n"
RIGHT = "    return [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]]\n"


@pytest.fixture
def verdict_on(tmp_path):
    def check(body, head=HEAD, **options):
        path = tmp_path / "01b_rising_kernel.py"
        path.write_text(head + body)
        return check_file("01b", path, **options)

    return check


@pytest.fixture
def short_limit(monkeypatch):
    """The answer's process with another time limit: 1 s, and 1 s to the end."""
    start = "from minicnn.teach import answers, checker_process, limits; limits._GRACE = 1.0; "
    start += "answers.call.__kwdefaults__['seconds'] = 1.0; checker_process.main()"
    original = checker_process.subprocess.Popen

    def popen(command, **options):
        return original([command[0], "-c", start, *command[3:]], **options)

    monkeypatch.setattr(checker_process.subprocess, "Popen", popen)


def test_a_right_answer_is_right_and_prints_what_it_prints(verdict_on, capsys):
    assert verdict_on("    print('looked at: \u00e9')\n" + RIGHT) == Verdict(True)
    assert capsys.readouterr().out == "looked at: \u00e9\n" * 2


def test_a_wrong_answer_comes_back_with_its_hint(verdict_on):
    verdict = verdict_on("    return np.zeros((3, 3))\n")
    assert not verdict.right
    assert verdict.message == "rising_kernel(): its weights\n  yours     all zero\n  expected  some that are not"
    assert "compare the upper left corner" in verdict.hint


def test_the_file_is_read_again_each_time(verdict_on):
    assert not verdict_on("    return 1\n").right
    assert verdict_on(RIGHT).right


def test_megabytes_of_output_are_cut_off(verdict_on, capsys):
    assert verdict_on("    for _ in range(60_000):\n        print('x' * 99)\n" + RIGHT).right
    printed = capsys.readouterr().out
    assert len(printed) < 11_000
    assert printed.endswith("(your answer printed 11,990,000 characters more, which are left out)\n")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    while True:\n        pass\n", "was still running after 1 s\n  at line"),
        ("    while True:\n        print('again')\n", "was still running after 1 s\n  at line"),
        (
            "    while True:\n        try:\n            while True:\n                pass\n"
            "        except BaseException:\n            pass\n",
            "when its time was over, and could not be interrupted",
        ),
        ("    return 10 ** 10 ** 9\n", "still running at line 5 when its time was over"),
    ],
    ids=["a loop", "a loop that prints", "a loop that catches all", "one long operation"],
)
def test_an_answer_that_does_not_end_is_ended(body, said, verdict_on, short_limit, capsys):
    begun = time.perf_counter()
    verdict = verdict_on(body)
    assert time.perf_counter() - begun < 60
    assert not verdict.right
    assert said in verdict.message


def test_a_check_that_hangs_is_ended_from_outside(verdict_on):
    verdict = verdict_on("    while True:\n        pass\n", seconds=2.5)
    assert verdict == Verdict(False, "the check was not finished after 2.5 s, and was ended")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    import sys\n    sys.exit()\n", "ended Python (exit)\n  at line 6: sys.exit()"),
        ("    import os\n    os._exit(7)\n", "your code ended Python (exit code 7) before the check was finished"),
        ("    raise BaseException('no')\n", "raised BaseException: no\n  at line 5"),
        ("    return rising_kernel()\n", "raised RecursionError"),
        ("    breakpoint()\n" + RIGHT, "BdbQuit"),
        ("    return input()\n", "raised EOFError"),
    ],
)
def test_an_answer_that_ends_python_is_explained(body, said, verdict_on):
    verdict = verdict_on(body)
    assert not verdict.right
    assert said in verdict.message


@pytest.mark.parametrize(
    ("body", "deed"),
    [
        ("    import os\n    os.remove({path!r})\n", "delete a file"),
        ("    open({path!r}, 'w').write('gone')\n", "write a file"),
        ("    from pathlib import Path\n    Path({path!r}).unlink()\n", "delete a file"),
        ("    import shutil\n    shutil.rmtree({folder!r})\n", "delete a "),
        ("    import subprocess\n    subprocess.run(['echo'])\n", "start a process"),
        ("    import os\n    os.system('echo')\n", "start a process"),
        ("    import multiprocessing\n    multiprocessing.Process(target=print).start()\n", "start a process"),
        ("    open({path!r}.replace('kept', 'solutions/01b_rising_kernel'))\n", "read a solution"),
    ],
)
def test_an_answer_only_computes(body, deed, verdict_on, tmp_path):
    kept = tmp_path / "folder" / "kept.txt"
    kept.parent.mkdir()
    kept.write_text("kept")
    verdict = verdict_on(body.format(path=str(kept), folder=str(kept.parent)) + RIGHT)
    assert "PermissionError: an answer only computes: here it must not " + deed in verdict.message
    assert kept.read_text() == "kept"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_an_answer_does_not_fork(verdict_on):
    assert "must not start a process" in verdict_on("    import os\n    os.fork()\n" + RIGHT).message


def test_files_written_while_the_answer_is_loaded_do_not_land_beside_the_reader(verdict_on, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "must not write a file" in verdict_on(RIGHT, head="open('here.txt', 'w')\n" + HEAD).message
    assert [path.name for path in tmp_path.iterdir()] == ["01b_rising_kernel.py"]


def test_this_process_is_as_it_was(verdict_on):
    body = "    import os, sys\n    os.environ['MINE'] = '1'\n    sys.path.clear()\n    np.sum = None\n"
    path = list(sys.path)
    verdict_on(body + RIGHT)
    assert "MINE" not in os.environ
    assert sys.path == path
    assert "numpy" in sys.modules


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_memory_is_limited(verdict_on):
    assert "raised MemoryError" in verdict_on("    return bytearray(9 << 30)\n").message


def test_a_check_here_is_the_same_without_another_process(tmp_path):
    path = tmp_path / "01b_rising_kernel.py"
    path.write_text(HEAD + RIGHT)
    assert check_here("01b", path) == Verdict(True)
    path.write_text(HEAD + "    return 1\n")
    verdict = check_here("01b", path)
    assert (verdict.right, verdict.message.splitlines()[0]) == (False, "rising_kernel(): its shape")
    assert verdict.hint
