"""kill -9 at random moments of a run costs no checkpoint, no bit, and leaves no file behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL and fork are POSIX")


def killed(kills, folder):
    command = [sys.executable, "-m", "tests.training.killing", str(kills), str(folder)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(counts, kills):
    assert counts["kills"] >= kills
    assert counts["runs"] >= 1
    assert (counts["lost"], counts["other_bits"], counts["left_behind"]) == (0, 0, 0)


@pytest.mark.slow
def test_a_few_kills_lose_nothing_and_leave_nothing(tmp_path):
    check(killed(8, tmp_path), 8)


@pytest.mark.long
def test_many_kills_lose_nothing_and_leave_nothing(tmp_path, request):
    """The number is that of `pytest -m long --kills`, 1,000 by default."""
    kills = request.config.getoption("--kills")
    check(killed(kills, tmp_path), kills)
