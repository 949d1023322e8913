# %% [markdown]
# # 15. The performance ladder
#
# **Question.** One convolution, computed in five ways, from loops in Python to Winograd's algorithm: how fast is each
# of them on your machine, what makes it so, and do all give the same answer?
#
# **What you need to know.** What a convolution computes (lesson 1), with channels and a batch (lesson 4). That a
# processor works on numbers in registers, and fetches them from memory.
#
# **Your time.** 75 minutes, both exercises included.
#
# **Machine time.** `10` s on two cores.
#
# **Numbers in this text** are from one recorded run of `minicnn lesson run 15`;
# `lessons/recorded/15_performance_ladder.json` names its machine and versions. Yours are printed beside the bands in
# which they are expected.
#
# minicnn has four implementations of convolution, and tests hold them equal. Each is a rung of a ladder:
#
# - `reference`: seven loops that anyone can follow, compiled by Numba. As uncompiled Python they are our lowest rung.
# - `im2col`: the patches under the kernel are copied side by side into a matrix, and a library for linear algebra
#   (BLAS) multiplies it.
# - `direct`: the same product without building the matrix, its sums held in vector registers.
# - `winograd`: another algorithm, with a quarter of the multiplications.
#
# Speed is given in GFLOP/s: billions of floating-point operations a second, where a multiply-add counts as two. On
# every rung we count the operations of the *plain* algorithm, also where the rung does fewer. So a comparison of
# GFLOP/s is a comparison of times.
#
# [//]: # (seconds:.0f)

# %%
import time
from functools import partial

import numba
import numpy as np
from threadpoolctl import threadpool_info

from minicnn import teach
from minicnn.bench import peak
from minicnn.bench.cases import FORWARD, Convolution
from minicnn.bench.counts import count_work
from minicnn.bench.libraries.with_minicnn import prepare
from minicnn.bench.timing import OPENBLAS_SPINS, Plan, interleave, refuse_uncompiled, spread, turn
from minicnn.figures.bench import rungs_figure
from minicnn.kernels.convolution import direct, im2col, reference
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.winograd import winograd
from minicnn.kernels.convolution.winograd.transforms import outputs_of_products, transform_pixels, transform_weights
from minicnn.kernels.normalization import channel_sum
from minicnn.kernels.registers.microkernel import Lines, products
from minicnn.kernels.registers.vector import ROWS, VECTOR_BYTES, narrow_columns, narrow_tile
from minicnn.teach.race import again_and_again, racy_sums, racy_sums_compiled, watch

lesson = teach.begin("15_performance_ladder", budget=120)
case = Convolution(batch=64, c_in=64, c_out=64, side=32, kernel=3, stride=1)
threads = numba.get_num_threads()

# %% [markdown]
# ## Predict
#
# The convolution has 64 pictures of 32x32 with 64 channels, 64 kernels of 3x3, and a rim of one pixel of padding. The
# peak is what a loop reaches on your processor that does nothing but multiply and add in registers, on all threads.
#
# Before you run on, write down your answers: `minicnn lesson predict 15` asks for them, and keeps them in
# `answers/predictions.json`, a file of your own.

# %%
lesson.predict("compiled", "How many times as fast as Python's are the same loops, compiled?")
lesson.predict("highest", "How many times as fast as the compiled loops is the fastest rung?")
lesson.predict("past_the_peak", "Can a rung have more GFLOP/s than the peak?", choices=("yes", "no"))
lesson.predict(
    "race",
    "All threads of your machine add ones to the same 16 sums. How many of the additions get lost?",
    choices=("none", "fewer than one in a thousand", "more than one in a thousand"),
)

# %% [markdown]
# ## Read
#
# **The reference** takes one multiply-add after the other. Look at the innermost line: what does it fetch for one
# multiply-add, and how often does it fetch the same number again?

# %%
lesson.read("minicnn/kernels/convolution/reference.py:forward_loops")

# %% [markdown]
# **im2col** copies, and nothing else. Here are the four patches of a picture of 3x3 pixels under a kernel of 2x2, made
# by its plain Python body; the pixel in the middle is in all of them. A product with the weights, one kernel a column,
# then makes all outputs. To walk through it, choose "Lesson 15: a picture becomes patches" in VS Code, or set
# `MINICNN_STOP=15_performance_ladder:patches`.

# %%
lesson.read("minicnn/kernels/convolution/im2col.py:gather_patches")
picture = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)  # (N, H, W, C)
patches = np.empty((1, 4, 4), np.float32)  # (groups, OH*OW, KH*KW*C)
if lesson.stop("patches"):
    breakpoint()  # step into gather_patches
im2col.gather_patches(picture, patches, 0, 2, (2, 2), (2, 2), Geometry())
print(picture[0, :, :, 0], "has the patches", patches[0], sep="\n")

# %% [markdown]
# **direct** walks through the same matrix without building it. Its heart is a tile of sums that stays in registers
# (*register blocking*): 8 places times one or two vectors of output channels. A step loads 8 numbers of the picture and
# the vectors, and makes 8 times as many multiply-adds as the vectors hold numbers. In plain Python a tile is a small
# array. Choose "Lesson 15: a tile of sums in registers", or set `MINICNN_STOP=15_performance_ladder:tile`.

# %%
lesson.read("minicnn/kernels/registers/plain.py:products")
lesson.read("minicnn/kernels/registers/microkernel.py:products")
lesson.read("minicnn/kernels/registers/vector.py:multiply_add")
lanes, depth = narrow_columns(np.float32), 3  # numbers in a vector; products in a sum
pixels = np.arange(ROWS * depth, dtype=np.float32)  # (ROWS, depth), flat: what follows is pixels @ weights
weights = np.linspace(-1, 1, depth * lanes, dtype=np.float32)  # (depth, lanes), flat
outputs = np.empty(ROWS * lanes, np.float32)
windows, target = Lines(pixels, 0, np.arange(ROWS) * depth), Lines(outputs, 0, np.arange(ROWS) * lanes)
if lesson.stop("tile"):
    breakpoint()  # step into products; `tile` is ROWS x lanes numbers, and grows by one step at a time
products(narrow_tile, np.zeros(lanes, np.float32), windows, np.arange(depth), weights, lanes, target)
by_numpy = pixels.reshape(ROWS, depth) @ weights.reshape(depth, lanes)
print("a tile of", (ROWS, lanes), "differs from NumPy's product by", abs(outputs - by_numpy.ravel()).max())

# %% [markdown]
# **winograd** makes fewer multiplications. In one dimension, 4 outputs of a kernel of 3 weights take 12 products.
# Transform the 6 pixels that they see, and the weights, and 6 products are enough; the transforms need additions, and
# products with constants, but all channels on the other side share them. In two dimensions it is 36 products in place
# of 144. The first lines of `transforms.py` derive it.

# %%
lesson.read("minicnn/kernels/convolution/winograd/plain.py:conv2d")
lesson.read("minicnn/kernels/convolution/winograd/transforms.py:transform_pixels")
lesson.read("minicnn/kernels/convolution/winograd/transforms.py:outputs_of_products")
line, kernel = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0], [2.0, 7.0, 1.0]
six_products = np.multiply(transform_pixels(*line), transform_weights(*kernel))
print("four outputs by 6 products ", np.array(outputs_of_products(*six_products)))
print("four outputs by 12 products", np.correlate(line, kernel))

# %% [markdown]
# ## Run
#
# **The same answer?** The truth is computed in float64, by the reference loops. The error of a rung is its largest
# difference from that, as a share of the largest output. The Python loops get a cut-out of the first picture and 4 of
# the 64 kernels, with all 64 channels: 144 outputs take long enough. (Where kernels are not compiled, as after the two
# stops above, the lesson ends here: there would be nothing to measure.)

# %%
refuse_uncompiled()
x, weight, _ = case.arrays(lesson.either(8, 2))  # x (N, H, W, C), weight (C_out, C_in, KH, KW)
geometry, out_size = Geometry(padding=(case.padding, case.padding)), (case.out_side, case.out_side)
rungs = {"reference": reference, "im2col": im2col, "direct": direct, "winograd": winograd}
truth = reference.conv2d(x.astype(np.float64), weight.astype(np.float64), None, out_size, geometry)
answers = {name: rung.conv2d(x, weight, None, out_size, geometry) for name, rung in rungs.items()}


def python_loops(kernels):
    """The outputs (1, 6, 6, kernels) of the uncompiled loops for a corner of 8 x 8 pixels, without padding."""
    y = np.empty((1, 6, 6, kernels), np.float32)
    bias = np.zeros(kernels, np.float32)
    reference.forward_loops(x[:1, :8, :8], weight[:kernels], bias, y, Geometry())
    return y


by_python = python_loops(4)
part = np.s_[:1, 1:7, 1:7, :4]  # where these outputs lie among all


def error(answer, right):
    return abs(answer - right).max() / abs(right).max()


errors = {"python": error(by_python, truth[part])}
errors |= {name: error(answer, truth) for name, answer in answers.items()}
for name, one in errors.items():
    print(f"{name:10s} largest error {one:.1e} of the largest output")
    lesson.number(f"error_{name}", one, band=(1e-8, 2e-5))
lesson.number("python_differs", abs(by_python - answers["reference"][part]).max(), band=(0, 1e-5))
spread_of_winograd, spread_of_direct = (np.std(answers[name] - truth) for name in ("winograd", "direct"))
lesson.number("winograd_error_over_direct", spread_of_winograd / spread_of_direct, band=(1.2, 10), unit="times")

# %% [markdown]
# All rungs agree to about one part in a million, and none is exact: a float32 keeps 24 bits, and each of the 576
# additions for one output rounds. Compiling changes nothing here: Python's loops and the compiled ones do the same
# operations in the same order, and differ by `0`. The other rungs add in another order, or round a product and a sum
# together, so their last digits differ. Winograd's typical error is `2.0` times that of direct: its transforms subtract
# numbers that are larger than their difference.
#
# **How fast?** Rungs are timed in turns, so that all meet the same conditions, and each turn begins with runs that do
# not count. Of a rung's runs we keep the fastest: other programs can only make a run slower. Slow loops get fewer
# pictures, as many as take a fraction of a second. Such a comparison is fair only if time grows in proportion to the
# work; for Python, which gets the smallest part, we measure that too, with twice as many kernels.
#
# [//]: # (python_differs:g winograd_error_over_direct:.1f)

# %%
plan = Plan(rounds=lesson.either(30, 3))
# Threads of BLAS spin for a while, waiting for work: slow rungs, im2col among them, begin when these have settled.
slow_plan = Plan(calls=lesson.either(12, 3), settle=OPENBLAS_SPINS, turn=lesson.either(1.5, 0.2))
runs = {name: prepare(case, f"minicnn {name}")[FORWARD] for name in rungs}
runs |= {"peak": prepare(case, "peak")[FORWARD], "python": partial(python_loops, 4)}
runs["python, twice the work"] = partial(python_loops, 8)
slow = ("python", "python, twice the work", "reference", "im2col")
turns = {name: partial(turn, run, slow_plan if name in slow else plan) for name, run in runs.items()}
seconds = {name: spread(each) for name, each in interleave(turns, plan.rounds, once=slow).items()}

flop = {name: case.flop * case.batch_for(name) / case.batch for name in rungs}  # of what was run
flop |= {"peak": peak.flop(threads), "python": 2 * by_python.size * 9 * case.c_in}
flop["python, twice the work"] = 2 * flop["python"]
rates = {  # GFLOP/s in the slowest run, the median and the fastest
    name: tuple(flop[name] / seconds[name][which] / 1e9 for which in ("max", "median", "min"))
    for name in ("python", "python, twice the work", *rungs, "peak")
}
best = {name: fastest for name, (_, _, fastest) in rates.items()}
for name, (slowest, median, fastest) in rates.items():
    print(f"{name:22s} {slowest:8.4g} to {fastest:8.4g} GFLOP/s, median {median:8.4g}")

# %% [markdown]
# The bands of these numbers are wide on purpose. They hold for processors with narrow vectors and wide ones, two cores
# or many, and beside other programs; they break where something is really wrong. A rung's own GFLOP/s have no band.

# %%
for name in ("python", *rungs, "peak"):
    lesson.number(f"gflops_{name}", best[name], band=None, unit="GFLOP/s")
lesson.number("vector_bits", 8 * VECTOR_BYTES, band=(128, 512), unit="bits")
lesson.number("python_minutes", case.flop / best["python"] / 60e9, band=None, unit="minutes")
lesson.number("direct_milliseconds", case.flop / best["direct"] / 1e6, band=None, unit="ms")
lesson.number("python_scales", best["python, twice the work"] / best["python"], band=(0.5, 2), unit="times")
lesson.number("compiled_over_python", best["reference"] / best["python"], band=(20, 5000), unit="times")
lesson.number("direct_over_reference", best["direct"] / best["reference"], band=(3, 300 * threads), unit="times")
lesson.number("direct_over_im2col", best["direct"] / best["im2col"], band=(0.5, 300 * threads), unit="times")
lesson.number("winograd_over_direct", best["winograd"] / best["direct"], band=(0.6, 4), unit="times")
lesson.number("direct_share_of_peak", best["direct"] / best["peak"], band=(0.1, 1.2))
lesson.number("winograd_over_peak", best["winograd"] / best["peak"], band=(0.1, 4.5), unit="times")
highest = max(best[name] for name in rungs)
too_few = lesson.either("", "three rounds are too few to compare times by")
lesson.outcome("compiled", best["reference"] / best["python"], within=0.5, undecided=too_few)
lesson.outcome("highest", highest / best["reference"], within=0.5, undecided=too_few)
lesson.outcome("past_the_peak", "yes" if highest > best["peak"] else "no", undecided=too_few)

# %% [markdown]
# On the machine of the record, two cores with registers of `512` bits, measured by `minicnn lesson run 15`, Python's
# loops reach `0.010` GFLOP/s. They would need `8` minutes for the whole batch, for which direct takes `10`
# milliseconds. With twice the work Python's rate is `1.01` times that, so time does grow in proportion. Compiling makes
# the loops `432` times as fast, and direct is `118` times as fast again.
#
# **What makes it so?** `count_work` counts, from the source of the loops, how many multiply-adds a rung makes and how
# many numbers it moves between arrays and registers. Their ratio, operations for each byte moved, is the *arithmetic
# intensity*. (The inside of BLAS' matrix product can't be read here; its moves are counted as if direct's tile made
# them.)
#
# [//]: # (vector_bits:.0f gflops_python:.3f python_minutes:.0f direct_milliseconds:.0f python_scales:.2f)
# [//]: # (compiled_over_python:.0f direct_over_reference:.0f)

# %%
lesson.read("minicnn/bench/counts.py:_direct")
outputs = case.batch * case.out_side**2 * case.c_out
work = {name: count_work(case, name) for name in rungs}
work = {"python": work["reference"], **work}
counts = {name: (one.multiply_adds / outputs, one.moved / outputs) for name, one in work.items()}
for name, one in work.items():
    multiplied, moved = counts[name]
    print(f"{name:10s} {multiplied:4.0f} multiply-adds and {moved:6.1f} numbers moved for one output; "
          f"{one.intensity:.2f} operations a byte")  # fmt: skip
terms = case.kernel**2 * case.c_in  # that an output is the sum of
lesson.number("multiply_adds_reference", counts["reference"][0], band=(terms, terms))
lesson.number("multiply_adds_winograd", counts["winograd"][0], band=(terms / 4, terms))
for name in rungs:
    lesson.number(f"moved_{name}", counts[name][1], band=(0, 2 * terms + 1))
    lesson.number(f"intensity_{name}", work[name].intensity, band=(0.2, 10), unit="op/byte")

# %% [markdown]
# Counted, im2col moves hardly more than direct, and yet it takes `2.1` times as long. So we time its two parts alone,
# copying and multiplying, for as many pictures as before. The second part is not ours: which of its own kernels BLAS
# takes depends on the processor, and on the environment.
#
# [//]: # (direct_over_im2col:.1f)

# %%
images = case.batch_for("im2col")
patches = np.empty((1, images * case.side**2, terms), np.float32)  # (groups, N*OH*OW, KH*KW*C)
matrix = weight.transpose(0, 2, 3, 1).reshape(case.c_out, terms).T.copy()  # (C_out, C, KH, KW) -> (KH*KW*C, C_out)
sizes = (case.side, case.side), (case.kernel, case.kernel)
copying = partial(im2col.gather_patches_compiled, x[:images], patches, 0, images * case.side, *sizes, geometry)
parts = {"copying": copying, "multiplying": partial(np.matmul, patches[0], matrix)}
for library in threadpool_info():
    if library["user_api"] == "blas":
        print(f"BLAS: {library['internal_api']}, for {library.get('architecture')}, {library['num_threads']} threads")
part_plan = Plan(calls=40, settle=OPENBLAS_SPINS)  # until the threads of the matrix products before have gone to sleep
alone = {name: spread(turn(run, part_plan))["median"] for name, run in parts.items()}
together = seconds["im2col"]["median"]
print(
    "milliseconds, medians:",
    *(f"{name} {1e3 * one:.2f}," for name, one in alone.items()),
    f"im2col {1e3 * together:.2f}",
)
lesson.number("im2col_over_its_parts", together / sum(alone.values()), band=(0.3, 200), unit="times")

# %% [markdown]
# Each rung changes one thing.
#
# - From **Python** to the **reference** none of these counts changes. Only the interpreter goes away: for each
#   multiply-add Python looked up types, checked indices and made an object for each number.
# - The reference moves `1,153` numbers for one output, two for each multiply-add and one for the result: `0.25`
#   operations a byte. It runs on one thread, one number at a time, and each addition waits for the one before.
# - **im2col** hands the multiply-adds to a library that uses vectors, all threads, and tiles of sums. In the recorded
#   run the whole took `1.2` times as long as its parts, each timed alone; few numbers here change as much when the
#   lesson is started again. There are two pools of threads, Numba's that copy and BLAS' that multiply, and a thread
#   that has finished waits for its next job by asking for it again and again, on a core that the other pool needs. The
#   last two changes below try whether that is the reason: one leaves a single pool, the other makes Numba's threads ask
#   for longer.
# - **direct** moves `91` numbers, `3.2` operations a byte, with no matrix in between, and reaches `0.93` of the peak:
#   only an algorithm with fewer operations can be much faster.
# - **winograd** makes fewer: `144` multiply-adds in place of `576`. That is how its speed can be `1.9` times the peak,
#   if it is counted in the multiply-adds of the plain algorithm. The multiply-adds that it makes itself are a quarter
#   of that, and below the peak, as they must be. It is not four times as fast as direct but `2.0` times: its transforms
#   take time and move numbers, so that its intensity, `1.7` operations a byte, is lower than direct's.
#
# [//]: # (moved_reference:,.0f intensity_reference:.2f im2col_over_its_parts:.1f moved_direct:.0f)
# [//]: # (intensity_direct:.1f direct_share_of_peak:.2f multiply_adds_winograd:.0f multiply_adds_reference:.0f)
# [//]: # (winograd_over_peak:.1f winograd_over_direct:.1f intensity_winograd:.1f)

# %% [markdown]
# **A race.** im2col, direct and winograd divide their work among threads, by loops over `prange`. In such a loop a
# mistake called *race condition* (or *data race*) is easy to make. Here is a loop that adds up the rows of an array;
# when it is right, each sum of a column of ones is the number of rows.

# %%
lesson.read("minicnn/teach/race.py:racy_sums")
# One row of ones in memory, seen four million times.
ones = np.broadcast_to(np.ones(16, np.float32), (4_000_000, 16))
lost, took = {}, {}
for number in dict.fromkeys((threads, 1)):
    words = "1 thread" if number == 1 else f"{number} threads"
    begin = time.perf_counter()
    sums = again_and_again(racy_sums_compiled, ones, threads=number, times=8)
    took[words] = (time.perf_counter() - begin) / 8
    lost[words] = [1 - one.mean(dtype=np.float64) / len(ones) for one in sums]
    print(f"shares lost in 8 runs on {words}:", *(f"{share:.4f}" for share in lost[words]))
most = max(max(shares) for shares in lost.values())
lesson.number("most_lost", most, band=None)
lesson.number("least_lost", min(next(iter(lost.values()))), band=None)
lesson.number("lost_on_one_thread", max(lost["1 thread"]), band=(0, 0))
lesson.number("seconds_over_one_thread", next(iter(took.values())) / took["1 thread"], band=None, unit="times")
lucky = "a run that lost little proves nothing on several threads" if threads > 1 and most < 0.001 else ""
of_race = "none" if most == 0 else f"{'fewer' if most < 0.001 else 'more'} than one in a thousand"
lesson.outcome("race", of_race, undecided=lucky)

uneven = np.random.default_rng(0).standard_normal((100_000, 16), dtype=np.float32)
by_library = [one for number in (1, threads) for one in again_and_again(channel_sum, uneven, threads=number, times=8)]
lesson.number("results_of_channel_sum", len({one.tobytes() for one in by_library}), band=(1, 1))

# %% [markdown]
# No error, no warning, and on several threads sums that are wrong, and not even the same each time: on the machine of
# the record `3%` to `28%` of the additions were lost. Nor was it quick: two threads took `1.8` times as long as one,
# because two cores can't write to the same cells at once, and their caches must exchange them. On a single thread
# nothing is lost: the mistake is still there, but a race needs a second thread, so a test on one thread finds nothing.
# Nor is a right run on many threads a proof.
#
# One fact does not depend on luck: which *turns* (iterations) of the prange loop touch the same cell. `watch` runs the
# loop's Python body, turn after turn, and writes that down. Which cells are shared, by which turns? And which line does
# it?
#
# [//]: # (least_lost:.0% most_lost:.0% seconds_over_one_thread:.1f)

# %%
seen = watch(racy_sums, ones[:5, :3])
print(f"{seen.turns} turns of the prange loop; the result is right this time: {seen.result}")
for cell in seen.shared:
    print(cell)
lesson.number("cells_shared", len(seen.shared), band=(3, 3))

# %% [markdown]
# All turns add to the same sums, and a sum is added to in three steps: read it, add, write it back. Where two threads
# read before either has written, one addition is lost. minicnn's own `channel_sum` has the same job, and gave `1`
# result, bit for bit, on all threads and on one. Exercise 15b asks how.
#
# [//]: # (results_of_channel_sum:.0f)

# %% [markdown]
# ## Control
#
# If the number of multiply-adds decided the time, the compiled loops would be as fast as direct, which makes exactly as
# many. And if Winograd's answer were the same as the others' in every respect, a window of nothing but zeros would get
# the answer 0: we show the rungs a picture that is black except for one pixel, and look at the answers of all windows
# that don't see this pixel. Two claims that should fail.

# %%
as_fast = best["reference"] / best["direct"]
lesson.control("as many multiply-adds take as long: the loops are as fast as direct", as_fast, fails_below=0.5)
black = np.zeros_like(x[:1])
black[0, 4, 4] = 1
unlit = np.ones(truth[:1].shape, bool)
unlit[0, 3:6, 3:6] = False  # the nine places from which a kernel of 3x3 sees the pixel
in_black = {}
for name, rung in rungs.items():
    answer = np.abs(rung.conv2d(black, weight, None, out_size, geometry))
    in_black[name] = answer[unlit].max() / answer.max()
    print(f"{name:10s} largest answer to a black window: {in_black[name]:.1e} of the largest answer")
lesson.number("black_direct", in_black["direct"], band=(0, 0))
lesson.number("black_winograd", in_black["winograd"], band=(0, 1e-4))
lesson.control("winograd answers 0 to a window of zeros", in_black["winograd"], fails_above=0)

# %% [markdown]
# A tile of Winograd's mixes its 36 pixels, and the bright one does not quite cancel where it does not belong: what is
# left is `7e-07` of the largest answer. So the answers are the same up to rounding, but the size of the rounding
# differs: on the other rungs it depends on the output's own nine pixels, with Winograd on all 36 pixels of the tile.
#
# [//]: # (black_winograd:.0e)

# %% [markdown]
# ## Figure
#
# Above, the speed of every rung. Below, their errors, what they multiply and what they move for one output, and the
# race: the share of additions lost in each of 8 runs.

# %%
rungs_of_figure = ("python", *rungs)
own_rate = best["winograd"] * counts["winograd"][0] / counts["direct"][0]
figure = rungs_figure({name: rates[name] for name in rungs_of_figure}, best["peak"], own_rate, errors, counts, lost)
lesson.figure(figure)

# %% [markdown]
# ## Exercise
#
# **15a** `lessons/exercises/15a_patch_matrix.py`: build the matrix of im2col for a small picture, with stride and
# padding, in NumPy.
#
# **15b** `lessons/exercises/15b_mended_sums.py`: mend the race, so that the sums have the same bits on any number of
# threads.
#
# `minicnn lesson start 15` copies them to `answers/`, where they are yours to edit. `minicnn lesson check 15` says
# whether your answers are right, and if not, what is wrong and where; with `--hint` it says how to go on.
#
# ## Change one line
#
# - Fewer channels, `c_in=3` in `case`. Expected: winograd becomes slower than direct, because few products share its
#   transforms; and its error is several times that of the others, whose sums are short now.
# - More channels, `c_in=512`. Expected: longer sums, and larger errors on every rung but im2col, whose library adds up
#   a sum in several parts.
# - Fewer rows for the race, `(40, 16)`. Expected: few runs or none lose anything, because one thread has finished
#   before the other begins. The race is still there; a test with small arrays would have called the loop right.
# - One thread for all kernels, by `NUMBA_NUM_THREADS=1` in the environment. Expected: direct, winograd and the peak
#   lose speed, half of it on two cores; the compiled loops lose none, and the race loses no addition.
# - One thread for BLAS, by `OPENBLAS_NUM_THREADS=1`. Expected: im2col's product alone takes longer, but the whole takes
#   little longer than its two parts.
# - On Linux, idle threads of Numba that ask for longer before they sleep, by `GOMP_SPINCOUNT=300000`. Expected: im2col
#   takes several times as long, and its parts, each alone, as long as before.

# %%
lesson.finish()
