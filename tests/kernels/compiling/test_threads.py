"""The number of threads changes how long a kernel takes and nothing else, and any Python thread may call one."""

import os
import threading

import numba
import numpy as np
import pytest

from minicnn.kernels import normalization
from minicnn.kernels.compiling.compile import set_num_threads
from minicnn.kernels.convolution import dispatch, im2col
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.pooling import windows


def results():
    """One result of every parallel kernel, as bytes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 13, 11, 6)).astype(np.float32)
    rows = x.reshape(-1, 6)
    gradient = rng.normal(size=x.shape).astype(np.float32)
    scale = rng.normal(size=6).astype(np.float32)
    arrays = []
    for module, channels, groups in ((dispatch, 6, 1), (im2col, 6, 1), (im2col, 3, 2), (im2col, 1, 6)):
        weight = rng.normal(size=(6, channels, 3, 3)).astype(np.float32)
        geometry = Geometry(padding=(1, 1), groups=groups)
        arrays.append(module.conv2d(x, weight, scale, (13, 11), geometry))
        arrays.append(module.conv2d_input_gradient(gradient, weight, (13, 11), geometry))
        arrays.append(module.conv2d_weight_gradient(x, gradient, (3, 3), geometry))
    window = (3, 2), (2, 1), (1, 1)
    y, indices = windows.max_pool2d(x, *window, (1, 1), (7, 12))
    arrays += [y, indices, windows.max_pool2d_backward(y, indices, (13, 11))]
    arrays += [windows.avg_pool2d(x, *window, (7, 12), False, None)]
    arrays += [windows.avg_pool2d_backward(y, *window, False, None, (13, 11))]
    arrays += [windows.adaptive_avg_pool2d(x, (4, 3)), *windows.adaptive_max_pool2d(x, (4, 3))]
    arrays += [windows.adaptive_avg_pool2d_backward(y, (13, 11))]
    arrays += [normalization.channel_sum(rows), *normalization.channel_mean_and_variance(rows)]
    arrays += [normalization.scale_and_shift(rows, scale, scale)]
    for training in (True, False):
        arrays += normalization.batch_norm_backward(gradient.reshape(-1, 6), rows, scale, scale, scale, training)
    return [array.tobytes() for array in arrays]


@pytest.fixture
def threads():
    """Gives the number of threads back after the test."""
    before = numba.get_num_threads()
    yield numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(before)


def test_results_do_not_depend_on_the_number_of_threads(threads):
    several = results()
    assert results() == several
    set_num_threads(1)
    assert results() == several


def test_python_threads_may_call_parallel_kernels_at_the_same_time():
    expected = results()
    differing = []

    def work():
        for _ in range(5):
            if results() != expected:
                differing.append(threading.current_thread().name)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert differing == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_may_call_parallel_kernels_or_is_told_what_to_do():
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3))
    expected = windows.adaptive_avg_pool2d(x, (3, 3))
    omp = numba.threading_layer() == "omp"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if np.array_equal(windows.adaptive_avg_pool2d(x, (3, 3)), expected) and not omp else 2
        except RuntimeError as error:
            status = 0 if omp and "get_context('spawn')" in str(error) else 3
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_number_of_threads_that_the_machine_does_not_have_is_refused(threads):
    for wrong in (0, -1, threads + 1):
        with pytest.raises(ValueError, match=f"1 to {threads}.*got {wrong}"):
            set_num_threads(wrong)
