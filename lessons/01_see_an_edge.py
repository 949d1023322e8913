# %% [markdown]
# # 1. See an edge
#
# **Question.** What does a 3x3 kernel respond to?
#
# **What you need to know.** That a picture is an array of numbers, and what a sum of products is. Nothing about
# networks: this lesson has no learning in it, and no layer.
#
# **Machine time.** 1<!-- seconds:.0f --> s on two cores.
#
# A *kernel* is a small array of weights. It is laid on a picture, each weight is multiplied by the pixel under it, and
# the nine products are added up: that sum is the kernel's *answer* at this place. Then the kernel moves on by one
# pixel. The answers at all places form a new picture, smaller by two rows and two columns, because the middle of a 3x3
# kernel can't stand on the outermost pixels. This is all that a *convolution* is.
#
# Here is a kernel from 1968, by Irwin Sobel and Gary Feldman, and the same one lying on its side:
#
#     -1  0  1         -1 -2 -1
#     -2  0  2          0  0  0
#     -1  0  1          1  2  1

# %%
import numpy as np

from minicnn import functional as F
from minicnn import random, teach, use_algorithm
from minicnn.data import PartWorld
from minicnn.figures.kernels import tuning_figure
from minicnn.kernels.reference import forward_loops

lesson = teach.begin("01_see_an_edge", budget=20)
upright = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
lying = upright.T.copy()

# %% [markdown]
# ## Predict
#
# Before you run on: look at the first kernel, and think of a picture that is dark on one side of a straight edge and
# bright on the other. Put your answers into `yours`.

# %%
lesson.predict(
    "direction",
    "Which edge makes the first kernel answer most?",
    choices=("standing", "lying", "diagonal", "all the same"),
    yours=None,
)
lesson.predict("diagonal", "At 45 degrees, what share of that largest answer is left?", yours=None)

# %% [markdown]
# ## Read
#
# The loops below are all of it. Four of them choose a place: picture `n`, row `oh`, column `ow`, kernel `o`. Three
# add up the products: kernel row `kh`, kernel column `kw`, channel `c` (a grey picture has one channel).

# %%
lesson.read("minicnn/kernels/reference.py:forward_loops")

# %% [markdown]
# Now call this very function, on one window: dark on the left, bright on the right. There is one place and one kernel,
# so there is one answer. Set `MINICNN_STOP=01_see_an_edge:one_window`, or choose the place from the debugger's list in
# VS Code, and walk through the nine products.

# %%
window = np.array([[0, 0.5, 1], [0, 0.5, 1], [0, 0.5, 1]], np.float32)
answer = np.empty((1, 1, 1, 1), np.float32)
if lesson.stop("one_window"):
    breakpoint()  # step into forward_loops
# x (N, H, W, C) = (1, 3, 3, 1), weight (C_out, C_in, KH, KW) = (1, 1, 3, 3), y (N, OH, OW, C_out) = (1, 1, 1, 1)
forward_loops(
    window[None, :, :, None], upright[None, None], np.zeros(1, np.float32), answer, (1, 1), (0, 0), (1, 1), groups=1
)
print("by the loops:", answer.item(), "  by hand:", -1 * 0 + 1 * 1 - 2 * 0 + 2 * 1 - 1 * 0 + 1 * 1)

# %% [markdown]
# The function that networks call is `conv2d`. It checks the shapes, chooses an algorithm, and remembers what the way
# back will need; here it is asked for those same loops.

# %%
lesson.read("minicnn/functional/convolution.py:conv2d")
with use_algorithm("reference"):
    if lesson.stop("conv2d"):
        breakpoint()  # step into conv2d, and on into kernels/reference.py
    print("by conv2d:", F.conv2d(window[None, None], upright[None, None]).item())

# %% [markdown]
# ## Run
#
# First, edges whose direction we know, because we draw them: brightness goes from 0 to 1 across four pixels, as a lens
# would draw it, and the edge turns from lying (0 degrees) over rising (45) and standing (90) to falling (135). The
# answer to a picture is the largest one in it, whatever its sign.

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
# The first kernel answers most to an edge at 90<!-- strongest_angle:.0f --> degrees, a standing one, although its own
# positive and negative weights lie beside each other: it compares left with right, and across a standing edge left and
# right differ. At 45 degrees, 0.707<!-- share_at_45:.3f --> of the answer is left. That is the sine of 45 degrees: the
# kernel measures how fast the brightness rises *to the right*, and along a slanted edge only that part of the rise
# counts. The two kernels together know the whole slope, as two coordinates know a point.
#
# Second, pictures that we did not make for this purpose. PartWorld draws strokes in four directions under parts,
# textures and noise, and says where they are. A stroke has an edge on either side, so look at the pixels beside it.

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
# Beside vertical strokes the first kernel answers 3.0<!-- stroke_ratio:.1f --> times as strongly as beside horizontal
# ones. Not infinitely more, as with the drawn edges: the pictures have noise, which has no direction, and strokes have
# ends.

# %% [markdown]
# ## Control
#
# Perhaps any nine weights of this kind would do? Shuffle them: the same numbers, in a random order, many times over. If
# the *order* is what sees the edge, shuffled kernels must on average prefer no direction.

# %%
generator = random.stream("shuffled kernels")
shuffled = np.stack([generator.permutation(upright.ravel()).reshape(3, 3) for _ in range(lesson.either(500, 200))])
by_shuffled = answers_to_edges(shuffled)  # (K, A)
average = by_shuffled.mean(axis=0)
standing, flat = average[angles == 90].item(), average[angles == 0].item()
preference = abs(standing - flat) / (standing + flat)  # 1 for the kernel itself, which gives nothing at 0 degrees
lesson.number("shuffled_share", standing / to_edges[0].max(), band=(0.27, 0.36), fast_band=(0.25, 0.38))
lesson.control("the same nine weights in any order prefer standing edges", preference, fails_below=0.2)

# %% [markdown]
# Shuffled kernels answer a standing edge 0.31<!-- shuffled_share:.2f --> times as strongly as the kernel itself, and no
# direction is special to them as a group. One shuffled kernel by itself does prefer some direction, weakly: any weights
# that add up to zero do. What the order decides is *which* direction, and how strongly.

# %% [markdown]
# ## Figure

# %%
largest = to_edges.max()
example = lesson.either(3, 3)
figure = tuning_figure(
    {"upright": upright, "lying": lying, "shuffled": shuffled[0]},
    edges[angles == 60][0],
    grey[example, 0],
    angles,
    {"upright": to_edges[0] / largest, "lying": to_edges[1] / largest, "shuffled, mean": average / largest},
    (
        np.array(list(directions.values())),
        {"upright": to_strokes[0] / to_strokes.max(), "lying": to_strokes[1] / to_strokes.max()},
    ),
)
lesson.figure(figure)

# %% [markdown]
# ## Exercise
#
# **01a** `lessons/exercises/01a_convolve.py`: write the convolution of one grey picture with one kernel, as loops.
#
# **01b** `lessons/exercises/01b_rising_kernel.py`: design a kernel that answers most to rising edges, and not at all
# to falling ones.
#
# `minicnn lesson check 1` says whether they are right, and if not, where.
#
# ## Change one line
#
# - Draw sharp edges: `/ 4` becomes `/ 1` in the cell of the drawn edges. The curve gets a flat top: a step that is
#   narrower than the kernel fills its whole right column over a range of angles.
# - Add 1 to every weight, `upright + 1`, before the edges are drawn. The weights no longer add up to zero, so the
#   kernel answers to plain brightness, and the curve no longer reaches zero.
# - Take `window = np.ones((3, 3), np.float32)`: the answer is 0, for a picture without edges.

# %%
lesson.finish()
