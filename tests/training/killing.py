"""Kills a training run at random moments, again and again: `python -m tests.training.killing KILLS FOLDER`.

The run is a forked child, so that a kill costs no start of Python; this process itself never calls a kernel. Each child
resumes from the checkpoint that the one before has left. Prints one line of JSON:

    kills, runs     children killed, and runs that came to their end
    lost            checkpoints that could not be read or were of an earlier place than before the kill
    other_bits      runs that ended in other bits than an uninterrupted one
    left_behind     files in the folders of finished runs that do not belong there
"""

import hashlib
import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from minicnn.weights import load_with_metadata
from tests.training.dying import train

EXPECTED_FILES = ["checkpoint.safetensors", "history.jsonl"]


def start(folder, result):
    """The number of a child that trains in `folder`, resuming, and writes a digest of the end to `result`."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        seed = 9 if (folder / EXPECTED_FILES[0]).exists() else 0
        end = train(folder, seed, resume=True, checkpoint_every=1, progress=False)
        result.write_text(hashlib.sha256(repr(end).encode()).hexdigest())
        status = 0
    finally:
        os._exit(status)


def place(folder):
    """(epoch, batch) of the checkpoint in `folder`; (0, 0) if there is none, (-1, -1) if it cannot be read."""
    try:
        _, metadata = load_with_metadata(folder / EXPECTED_FILES[0])
    except FileNotFoundError:
        return 0, 0
    except ValueError:
        return -1, -1
    return metadata["epoch"], metadata["batch"]


def uninterrupted(folder, result):
    """(seconds, digest) of a run that nobody kills."""
    folder.mkdir()
    began = time.monotonic()
    assert os.waitpid(start(folder, result), 0)[1] == 0, "a run that nobody killed failed"
    return time.monotonic() - began, result.read_text()


def wait(child, seconds):
    """The status of `child` as soon as it ends, None if it still runs after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.002)
    return None


def kill_again_and_again(kills, root):
    draw = random.Random(0)
    result = root / "result"
    counts = {"kills": 0, "runs": 0, "lost": 0, "other_bits": 0, "left_behind": 0}
    # The first run may have to compile the kernels, and would have the others killed long after their end.
    uninterrupted(root / "first", result)
    longest, expected = uninterrupted(root / "second", result)
    while counts["kills"] < kills:
        folder = root / f"run{counts['runs']}"
        folder.mkdir()
        reached = (0, 0)
        for attempt in itertools.count(10):
            child = start(folder, result)
            # Later with each attempt: on a machine that has become slow, no child would get beyond its start for ever.
            status = wait(child, draw.uniform(0, longest * attempt / 10))
            if status is None:
                os.kill(child, signal.SIGKILL)
                status = os.waitpid(child, 0)[1]
            now = place(folder)
            counts["lost"] += now < reached
            reached = now
            if os.WIFEXITED(status):
                break
            counts["kills"] += 1
        assert status == 0, "a child failed by itself"
        counts["runs"] += 1
        counts["other_bits"] += result.read_text() != expected
        counts["left_behind"] += len(set(os.listdir(folder)) ^ set(EXPECTED_FILES))
    return counts


if __name__ == "__main__":
    print(json.dumps(kill_again_and_again(int(sys.argv[1]), Path(sys.argv[2]))))
