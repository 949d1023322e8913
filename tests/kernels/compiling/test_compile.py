"""Compiled kernels are cached, noticed to be stale when any kernel file changes, and not needed at all."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn.kernels.compiling import compile as compile_module
from minicnn.kernels.compiling.compile import compile, kernel_array

CALLED = "from minicnn.kernels.compiling.compile import compile\n\n\n@compile\ndef term(i):\n    return i * {factor}\n"
CALLER = """\
from numba import prange

from minicnn.kernels.called import term
from minicnn.kernels.compiling.compile import compile


def total(x):
    result = 0
    for i in prange(x.shape[0]):
        result += term(x[i])
    return result


total_compiled = compile(total, parallel={parallel})
"""
AT_ONCE = "from minicnn.kernels.compiling import compile as c; c._PATIENCE = 0; "
RUN = "import numpy as np; from minicnn.kernels.caller import total_compiled; print(total_compiled(np.arange(5)))"


def run(code, folder=None, **environment):
    """Run `code` in a process of its own, which finds `folder`/minicnn first."""
    variables = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    variables.update({name: str(value) for name, value in environment.items()})
    if folder is not None:
        variables["PYTHONPATH"] = str(folder)
    process = subprocess.run(
        [sys.executable, "-c", code], env=variables, cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr
    return process


@pytest.fixture
def package(tmp_path):
    """A copy of the package with two kernels, of which one calls the other in the other file."""
    kernels = tmp_path / "minicnn" / "kernels"
    kernels.mkdir(parents=True)
    (tmp_path / "minicnn" / "__init__.py").touch()
    (kernels / "__init__.py").touch()
    shutil.copytree(Path(compile_module.__file__).parent, kernels / "compiling")
    (kernels / "called.py").write_text(CALLED.format(factor=2))
    (kernels / "caller.py").write_text(CALLER.format(parallel=False))
    return tmp_path


@pytest.mark.slow
def test_an_edit_of_another_kernel_file_recompiles_the_kernels_that_call_it(package):
    cache = package / "cache"
    first = run(AT_ONCE + RUN, package, NUMBA_CACHE_DIR=cache)
    assert first.stdout == "20\n"
    assert first.stderr.count("compiling kernels") == first.stderr.count("\n") == 1
    assert str(cache) in first.stderr
    second = run(AT_ONCE + RUN, package, NUMBA_CACHE_DIR=cache)
    assert (second.stdout, second.stderr) == ("20\n", "")
    (package / "minicnn" / "kernels" / "called.py").write_text(CALLED.format(factor=3))
    third = run(AT_ONCE + RUN, package, NUMBA_CACHE_DIR=cache)
    assert third.stdout == "30\n"
    assert third.stderr.count("compiling kernels") == 1


def test_a_cache_folder_that_cannot_be_written_costs_time_and_nothing_else(package):
    (package / "file").touch()
    process = run(AT_ONCE + RUN, package, NUMBA_CACHE_DIR=package / "file" / "below")
    assert process.stdout == "20\n"
    assert process.stderr.count("no cache folder") == process.stderr.count("\n") == 1


SLOW = """
import time
import minicnn.kernels.compiling.compile as c

seconds = {seconds}
c._PATIENCE = 0.4
# Numba's own order of calls, with a pause for the compiler: outer() compiles inner(), and each is asked for once.
outer, inner = ("outer",), ("inner",)
for _ in range({times}):
    c._stopwatch.start(outer)
    c._stopwatch.start(inner)
    c._stopwatch.stop(inner)
    time.sleep(seconds)
    c._stopwatch.stop(outer)
time.sleep(0.6)
print("end")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "times", "lines"),
    [(0.1, 1, 0), (0.1, 2, 0), (0.8, 1, 1), (0.8, 3, 1), (0.15, 6, 1)],
    ids=["short", "short twice", "long", "long three times", "long in all"],
)
def test_one_line_says_that_kernels_are_compiled_if_it_takes_long(package, seconds, times, lines):
    process = run(SLOW.format(seconds=seconds, times=times), package, NUMBA_CACHE_DIR=package / "cache")
    assert process.stdout == "end\n"
    assert process.stderr.count("compiling kernels") == process.stderr.count("\n") == lines


@pytest.mark.slow
def test_the_line_comes_while_the_user_waits(package):
    code = SLOW.format(seconds=1.2, times=1).replace(
        "    c._stopwatch.stop(outer)", "    print('still waiting', flush=True)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(package), "NUMBA_CACHE_DIR": str(package / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    first, second, *_ = process.stdout.split("\n")
    assert "compiling kernels" in first
    assert second == "still waiting"


def test_a_cache_folder_that_vanishes_while_running_is_survived(package):
    imports = "import shutil; from minicnn.kernels import caller; from minicnn.kernels.compiling import compile as c; "
    code = imports + "shutil.rmtree(c.cache_folder()); " + RUN
    assert run(code, package, NUMBA_CACHE_DIR=package / "cache").stdout == "20\n"


def test_old_caches_are_removed_and_the_newest_kept(package):
    cache = package / "cache" / compile_module._PARENT
    for number in range(12):
        (cache / f"{number}").mkdir(parents=True)
        (cache / f"{number}" / compile_module._MARK).touch()
        (cache / f"{number}" / "kernel.nbi").touch()
        os.utime(cache / f"{number}", (number, number))
    run(
        "from minicnn.kernels.compiling.compile import cache_folder; cache_folder()",
        package,
        NUMBA_CACHE_DIR=package / "cache",
    )
    kept = {folder.name for folder in cache.iterdir() if len(folder.name) < 3}
    assert kept == {"4", "5", "6", "7", "8", "9", "10", "11"}


@pytest.mark.parametrize("name", ["minicnn", "minicnn-compiled-kernels"])
def test_the_clean_up_deletes_nothing_that_the_cache_did_not_write(package, name):
    """A clone called minicnn in NUMBA_CACHE_DIR once lost its oldest folders; a marked folder may hold more, too."""
    folders = [package / "cache" / name / f"{number}" for number in range(12)]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "homework.txt").write_text("mine")
        if number % 2:
            (folder / compile_module._MARK).touch()
        os.utime(folder, (number, number))
    code = "from minicnn.kernels.compiling.compile import cache_folder; cache_folder()"
    run("import minicnn.kernels.compiling.compile as c; c._KEPT_FOLDERS = 0; " + code, package,
        NUMBA_CACHE_DIR=package / "cache")  # fmt: skip
    assert [(folder / "homework.txt").read_text() for folder in folders] == ["mine"] * 12


@pytest.mark.parametrize("content", [b"", b"\0" * 500, b"\x80\x05cut short"], ids=["empty", "zeros", "cut short"])
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_file_of_the_cache_costs_one_compilation(package, ending, content):
    cache = package / "cache"
    run(RUN, package, NUMBA_CACHE_DIR=cache)
    (file,) = cache.rglob(f"*total*.{ending}")
    file.write_bytes(content)
    assert run(RUN, package, NUMBA_CACHE_DIR=cache).stdout == "20\n"
    later = run(AT_ONCE + RUN, package, NUMBA_CACHE_DIR=cache)
    assert (later.stdout, later.stderr) == ("20\n", "")


def test_a_signal_handler_may_call_a_kernel_while_its_thread_enters_one():
    code = """
import minicnn.kernels.compiling.compile as c
calls = []
inner = c._one_at_a_time(lambda: calls.append("inner"))
c._one_at_a_time(lambda: inner())()
print(calls)
"""
    assert run(code).stdout == "['inner']\n"


def test_the_cache_folder_is_the_users_and_follows_the_environment(package):
    code = "from minicnn.kernels.compiling.compile import cache_folder; print(cache_folder())"
    chosen = run(code, package, NUMBA_CACHE_DIR=package / "cache").stdout.strip()
    assert Path(chosen).is_relative_to(package / "cache")
    if sys.platform.startswith("linux"):
        default = run(code, package, NUMBA_CACHE_DIR="", XDG_CACHE_HOME=package / "home").stdout.strip()
        assert Path(default).is_relative_to(package / "home" / compile_module._PARENT)


def test_bounds_checked_kernels_are_not_taken_from_a_cache_of_unchecked_ones(package):
    code = "from minicnn.kernels.compiling.compile import cache_folder; print(cache_folder())"
    plain, checked = (
        run(code, package, NUMBA_CACHE_DIR=package / "cache", NUMBA_BOUNDSCHECK=flag).stdout for flag in ("0", "1")
    )
    assert plain != checked


BEYOND_THE_END = """
import numpy as np
from numba import prange
from minicnn.kernels.compiling.compile import compile

def copy(x, y):
    for i in prange(x.shape[0] + 1):
        y[i] = x[i]

for parallel in (False, True):
    try:
        compile(copy, parallel=parallel)(np.ones(5), np.ones(5))
    except IndexError as error:
        print(error)
"""


def test_bounds_are_checked_inside_parallel_loops_too(tmp_path):
    """Numba loses what is raised inside prange: a checked run of parallel kernels would find nothing."""
    file = tmp_path / "beyond.py"
    file.write_text(BEYOND_THE_END)
    code = f"import runpy; runpy.run_path({str(file)!r})"
    process = run(code, NUMBA_BOUNDSCHECK=1, NUMBA_CACHE_DIR=tmp_path / "cache")
    assert process.stdout == "index is out of bounds\n" * 2


FORWARD_AND_BACKWARD = """
import numpy as np
from minicnn.kernels import normalization
from minicnn.kernels.convolution import dispatch as convolution
from minicnn.kernels.convolution.algorithm import use_algorithm
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.compiling.compile import cache_folder
from minicnn.kernels.pooling import windows as pooling

rng = np.random.default_rng(0)
x = rng.normal(size=(2, 4, 3, 2))
for groups in (1, 2):
    weight = rng.normal(size=(4, 2 // groups, 3, 3))
    results = []
    for name in ("reference", "im2col", "direct"):
        with use_algorithm(name):
            geometry = Geometry(padding=(1, 1), groups=groups)
            y = convolution.conv2d(x, weight, np.ones(4), (4, 3), geometry)
            gx = convolution.conv2d_input_gradient(y, weight, (4, 3), geometry)
            results.append((y, gx, convolution.conv2d_weight_gradient(x, y, (3, 3), geometry)))
    for result in results[1:]:
        for ours, reference in zip(result, results[0]):
            np.testing.assert_allclose(ours, reference, atol=1e-12)
pooled, indices = pooling.max_pool2d(y, (2, 2), (2, 2), (0, 0), (1, 1), (2, 1))
pooling.max_pool2d_backward(pooled, indices, (4, 3))
pooling.avg_pool2d_backward(pooling.avg_pool2d(y, (2, 2), (2, 2), (0, 0), (2, 1), True, None), (2, 2), (2, 2), (0, 0),
                            True, None, (4, 3))
pooling.adaptive_avg_pool2d_backward(pooling.adaptive_avg_pool2d(y, (1, 1)), (4, 3))
pooling.adaptive_max_pool2d(y, (1, 1))
rows = y.reshape(-1, 4)
mean, variance = normalization.channel_mean_and_variance(rows)
np.testing.assert_allclose(mean, rows.mean(axis=0))
normalization.batch_norm_backward(rows, rows, mean, 1 / np.sqrt(variance), np.ones(4), True)
print("cache:", cache_folder())
"""


def test_everything_runs_in_plain_python_when_compilation_is_off():
    process = run(FORWARD_AND_BACKWARD, NUMBA_DISABLE_JIT=1)
    assert process.stdout == "cache: None\n"
    assert process.stderr == ""


def test_a_network_trains_a_step_in_plain_python_when_compilation_is_off():
    code = """
import numpy as np
from minicnn import Tensor, backbones, functional as F, optim
model = backbones.create("resnet8", width=2, seed=0)
optimizer = optim.SGD(model.parameters(), lr=0.1)
images = np.random.default_rng(0).random((2, 3, 4, 4), dtype=np.float32)
losses = []
for _ in range(3):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(Tensor(images)), np.array([0, 1]))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(losses[2] < losses[0])
"""
    process = run(code, NUMBA_DISABLE_JIT=1)
    assert (process.stdout, process.stderr) == ("True\n", "")


@pytest.mark.slow
def test_processes_that_fill_an_empty_cache_at_the_same_time_do_not_spoil_it(package):
    cache = package / "cache"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(package)}
    environment.pop("NUMBA_DISABLE_JIT", None)
    started = [
        subprocess.Popen([sys.executable, "-c", RUN], env=environment, cwd=package, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=300)[0] for process in started] == ["20\n", "20\n"]
    later = run(RUN, package, NUMBA_CACHE_DIR=cache)
    assert (later.stdout, later.stderr) == ("20\n", "")


def test_the_plain_function_stays_beside_the_compiled_one():
    def double(x):
        return x * 2

    assert compile(double)(3) == double(3) == 6
    assert compile(double, parallel=False) is not double or os.environ.get("NUMBA_DISABLE_JIT") == "1"


def test_a_kernel_gets_arrays_as_they_are_unless_they_would_compile_it_anew():
    plain = np.zeros((3, 4), np.float32)
    assert kernel_array(plain) is plain
    read_only = plain.copy()
    read_only.flags.writeable = False
    unaligned = np.zeros(49, np.uint8)[1:].view(np.float32).reshape(3, 4)
    for array in (read_only, plain.T, plain[:, ::2], unaligned, np.broadcast_to(plain[0], (3, 4))):
        result = kernel_array(array)
        assert result.flags.carray
        np.testing.assert_array_equal(result, array)


@pytest.mark.slow
def test_the_package_can_be_imported_from_an_archive(tmp_path):
    package = Path(minicnn.__file__).parent
    with zipfile.ZipFile(tmp_path / "minicnn.zip", "w") as archive:
        for file in package.rglob("*.py"):
            archive.write(file, Path("minicnn", file.relative_to(package)))
    line = "import minicnn; print(minicnn.__file__); print(minicnn.functional.relu([-1.0, 2.0]).tolist())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "minicnn.zip")}
    done = subprocess.run(
        [sys.executable, "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    where, values = done.stdout.split("\n", 1)
    assert "minicnn.zip" in where
    assert values.strip() == "[0.0, 2.0]"
