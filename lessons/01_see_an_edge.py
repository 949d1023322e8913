# %% [markdown]
# # 1. See an edge
#
# **Question.** What does a 3x3 kernel respond to?
#
# **What you need to know.** That a picture is an array of numbers, and what a sum of products is. Nothing about
# networks: in this lesson nothing learns.
#
# **Your time.** 40 minutes, both exercises included.
#
# **Machine time.** `2` s on two cores.
#
# **Numbers in this text** are from one recorded run of `minicnn lesson run 1`; `lessons/recorded/01_see_an_edge.json`
# names its machine and versions. Yours are printed beside the bands in which they are expected.
#
# A *kernel* (or *filter*) is a small array of weights. The kernel is laid on a picture, each weight is multiplied by
# the pixel under it, and the nine products are added up: that sum is the kernel's *answer* at this place. Then the
# kernel moves on by one pixel (its *stride* is 1). The answers at all places form a new picture, the *feature map*. It
# is smaller by two rows and two columns, because the middle of a 3x3 kernel can't stand on the outermost pixels (there
# is no *padding*). With weights $w$ and pixels $x$, the answer in row $i$ and column $j$ is
#
# $y_{i,j} = \sum_{a=0}^{2} \sum_{b=0}^{2} w_{a,b} \; x_{i+a,j+b}$
#
# This is all that a *convolution* is in a neural network. (In mathematics a convolution turns the kernel by 180 degrees
# first; the sum above is called *cross-correlation* there.) The same weights are used at every place: *weight sharing*.
#
# Here is a kernel that Irwin Sobel and Gary Feldman proposed in 1968, and the same kernel on its side:
#
#     upright          lying
#     -1  0  1         -1 -2 -1
#     -2  0  2          0  0  0
#     -1  0  1          1  2  1
#
# [//]: # (seconds:.0f)

# %%
import numpy as np

from minicnn import functional as F
from minicnn import random, teach, use_algorithm
from minicnn.data import PartWorld
from minicnn.figures.kernels import tuning_figure
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.reference import forward_loops

lesson = teach.begin("01_see_an_edge", budget=20)
upright = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
lying = upright.T.copy()

# %% [markdown]
# ## Predict
#
# Look at the upright kernel, and think of a picture that is dark on one side of a straight edge and bright on the
# other.
#
# Before you run on, write down your answers: `minicnn lesson predict 1` asks for them, and keeps them in
# `answers/predictions.json`, a file of your own. A notebook's cell can't be asked; there, name them, as in
# `!minicnn lesson predict 1 direction=lying diagonal=0.5`.

# %%
lesson.predict(
    "direction",
    "Which edge makes the upright kernel answer most?",
    choices=("standing", "lying", "diagonal", "all the same"),
)
lesson.predict("diagonal", "At 45 degrees, what share of that largest answer is left?")

# %% [markdown]
# ## Read
#
# The loops below are a whole convolution. Four of them choose which answer is computed: picture `n`, row `oh`, column
# `ow`, kernel `o`. Three add up its products: kernel row `kh`, kernel column `kw`, channel `c` (a grey picture has
# one).

# %%
lesson.read("minicnn/kernels/convolution/reference.py:forward_loops")

# %% [markdown]
# Now call this very function on a single window, dark on the left and bright on the right: one place and one kernel, so
# one answer. To walk through its nine products in a debugger, set `MINICNN_STOP=01_see_an_edge:one_window`, or choose
# "Lesson 1: one window, nine products" in VS Code.

# %%
window = np.array([[0, 0.5, 1], [0, 0.5, 1], [0, 0.5, 1]], np.float32)
answer = np.empty((1, 1, 1, 1), np.float32)
if lesson.stop("one_window"):
    breakpoint()  # step into forward_loops
# x (N, H, W, C) = (1, 3, 3, 1), weight (C_out, C_in, KH, KW) = (1, 1, 3, 3), y (N, OH, OW, C_out) = (1, 1, 1, 1)
forward_loops(window[None, :, :, None], upright[None, None], np.zeros(1, np.float32), answer, Geometry())
print("by the loops:", answer.item())
lesson.number("one_window", answer.item(), band=(4, 4))
print("products:", (window * upright).tolist(), "with the sum", (window * upright).sum())

# %% [markdown]
# The function that networks call is `conv2d`. It checks the shapes, chooses the fastest of several algorithms, and
# keeps what learning will need later. Here it is told to take those same loops.

# %%
lesson.read("minicnn/functional/convolution.py:conv2d")
with use_algorithm("reference"):
    if lesson.stop("conv2d"):
        breakpoint()  # step into conv2d, and on into kernels/convolution/reference.py
    print("by conv2d:", F.conv2d(window[None, None], upright[None, None]).item())

# %% [markdown]
# ## Run
#
# First, edges whose direction we know, because we draw them. Brightness goes from 0 to 1 across four pixels, as in a
# photograph that is slightly out of focus. The edge turns from lying (0 degrees) over rising (45) and standing (90) to
# falling (135). For each picture we take the largest answer in it, whatever its sign.

# %%
angles = np.arange(0, 181, lesson.either(5, 15))
turn = np.deg2rad(angles)[:, None, None]
y, x = np.mgrid[-7:8, -7:8]  # each (15, 15); y points down
edges = np.clip(0.5 + (x * np.sin(turn) + y * np.cos(turn)) / 4, 0, 1).astype(np.float32)  # (A, 15, 15)


def answers_to_edges(kernels):
    """The largest answer of each of K kernels (K, 3, 3) to each of the A edges: (K, A)."""
    maps = F.conv2d(edges[:, None], kernels[:, None]).numpy()  # (A, 1, 15, 15) -> (A, K, 13, 13)
    return np.abs(maps).max(axis=(2, 3)).T


to_edges = answers_to_edges(np.stack([upright, lying]))
strongest = angles[to_edges[0].argmax()]
share_at_45 = to_edges[0][angles == 45].item() / to_edges[0].max()
lesson.number("strongest_angle", strongest, band=(90, 90), unit="degrees")
lesson.number("share_at_45", share_at_45, band=(0.70, 0.715))
lesson.outcome("direction", {0: "lying", 90: "standing"}.get(strongest, "diagonal"))
lesson.outcome("diagonal", share_at_45, within=0.05)

# %% [markdown]
# The upright kernel answers most to an edge at `90` degrees, a standing one: it compares left with right, and at a
# standing edge left and right differ. At a lying edge they don't, and the answer is 0.
#
# At 45 degrees `0.707` of the largest answer is left. That is the sine of 45 degrees: the kernel measures how fast the
# brightness rises *to the right* (the *partial derivative* of the brightness in that direction), and for an edge at the
# angle $\alpha$ this is $\sin\, \alpha$ times the whole rise. The lying kernel measures the rise downwards. The two
# numbers together are the *gradient* of the brightness, as two coordinates are a point.
#
# Second, pictures that were not made for these kernels. PartWorld draws strokes of four directions on a noisy ground,
# below the parts of an object, and says where they are. A stroke has an edge on either side, so we look at the pixels
# beside it, and take the mean absolute value of the answers there.
#
# [//]: # (strongest_angle:.0f share_at_45:.3f)

# %%
world = PartWorld("train", lesson.either(4000, 500))
truth = world.truth(range(len(world)))
grey = world.images.mean(axis=1, keepdims=True, dtype=np.float32) / 255  # (N, 3, 32, 32) -> (N, 1, 32, 32)
ground = truth.object < 0
stroke = np.pad((truth.orientation >= 0) & ground, ((0, 0), (1, 1), (1, 1)))
touching = stroke[:, 1:-1, :-2] | stroke[:, 1:-1, 2:] | stroke[:, :-2, 1:-1] | stroke[:, 2:, 1:-1]
beside = (touching & ground & ~stroke[:, 1:-1, 1:-1])[:, 1:-1, 1:-1]  # (N, 30, 30): where the kernels have answers

maps = np.abs(F.conv2d(grey, np.stack([upright, lying])[:, None]).numpy())  # (N, 2, 30, 30)
directions = {"horizontal": 0, "rising": 45, "vertical": 90, "falling": 135}  # degrees of PartWorld's orientations
to_strokes = np.empty((2, 4))
for column, name in enumerate(directions):
    pictures = world.factors["orientation"] == world.orientations.index(name)
    for row in range(2):
        to_strokes[row, column] = maps[pictures, row][beside[pictures]].mean()
    print(f"{name:10s} strokes: upright kernel {to_strokes[0, column]:.2f}, lying kernel {to_strokes[1, column]:.2f}")
ratio = to_strokes[0, 2] / to_strokes[0, 0]
lesson.number("stroke_ratio", ratio, band=(2.7, 3.5), fast_band=(2.4, 3.8), unit="times")

# %% [markdown]
# Beside vertical strokes the upright kernel answers `3.0` times as strongly as beside horizontal ones. With the drawn
# edges the ratio was infinite; but here there is noise, which has no direction, and strokes end.
#
# [//]: # (stroke_ratio:.1f)

# %% [markdown]
# ## Control
#
# Does the *order* of the weights matter, or would these nine numbers detect the edge in any order? Shuffle the nine
# weights, many times over. If the order matters, shuffled kernels taken together must prefer no direction. So here is a
# claim that must fail. (An experiment whose outcome is known if the explanation is right is a *control*.)

# %%
generator = random.stream("shuffled kernels")
shuffled = np.stack([generator.permutation(upright.ravel()).reshape(3, 3) for _ in range(lesson.either(500, 200))])
by_shuffled = answers_to_edges(shuffled)  # (K, A)
average = by_shuffled.mean(axis=0)
standing, flat = average[angles == 90].item(), average[angles == 0].item()
preference = abs(standing - flat) / (standing + flat)  # the upright kernel's is 1: its answer at 0 degrees is 0
lesson.number("shuffled_share", standing / to_edges[0].max(), band=(0.27, 0.36), fast_band=(0.25, 0.38))
lesson.control("the same nine weights in any order prefer standing edges", preference, fails_below=0.2)

# %% [markdown]
# Shuffled kernels answer a standing edge `0.31` times as strongly as the upright kernel does, and as a group they
# prefer no direction. A single one of them does prefer some direction, as any weights do that add up to zero and are
# not symmetric; but which one, and how strongly, is a matter of luck.
#
# [//]: # (shuffled_share:.2f)

# %% [markdown]
# ## Figure
#
# Above, the kernels and what they answer to one picture: white where an answer is positive, black where it is negative,
# grey where it is 0. Below, the size of their answers by the direction of the edge: lines for the drawn edges, marks
# for the strokes of PartWorld.

# %%
kernels = {"upright": upright, "lying": lying, "shuffled": shuffled[0]}
picture = grey[102, 0]
maps = F.conv2d(picture[None], np.stack(list(kernels.values()))[:, None]).numpy()  # (1, 32, 32) -> (3, 30, 30)
curves = {"upright": to_edges[0], "lying": to_edges[1], "shuffled, mean": average}
shares = {name: curve / to_edges.max() for name, curve in curves.items()}
of_strokes = {"upright": to_strokes[0] / to_strokes.max(), "lying": to_strokes[1] / to_strokes.max()}
edge = edges[angles == 60][0]
figure = tuning_figure(kernels, maps, picture, edge, angles, shares, (np.array(list(directions.values())), of_strokes))
lesson.figure(figure)

# %% [markdown]
# ## Exercise
#
# **01a** `lessons/exercises/01a_convolve.py`: write the convolution of one grey picture with one kernel, as loops.
#
# **01b** `lessons/exercises/01b_rising_kernel.py`: find a kernel that answers most to rising edges, and not at all to
# falling ones.
#
# `minicnn lesson start 1` copies them to `answers/`, where they are yours to edit. `minicnn lesson check 1` says
# whether your answers are right, and if not, what is wrong and where; with `--hint` it says how to go on. In a
# notebook, `teach.check("01a", convolve)` does the same.
#
# ## Change one line
#
# - Draw sharp edges, `/ 4` to `/ 1`. Expected: more than the sine is left at 45 degrees, and the curve is flat at its
#   top, because a sharp edge can turn a little and still leave one column of the window dark and one bright.
# - Let the weights not add up to zero: after `lying = ...` put `upright = upright + 1`. Expected: the curve is nearly
#   flat, and strokes of all directions get the same answer. The kernel now answers to brightness.
# - Make the kernel narrower, `[[-1, 1, 0], [-2, 2, 0], [-1, 1, 0]]`. Expected: half the answer at each edge, the same
#   curve, and a smaller lead beside strokes, for the noise stays as strong.
# - Show it a plain window, `window = np.ones((3, 3), np.float32)`. Expected: 0.

# %%
lesson.finish()
