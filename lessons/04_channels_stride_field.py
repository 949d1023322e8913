# %% [markdown]
# # 4. Channels, stride, receptive field
#
# **Question.** How far does one output of a deep layer see, and how much of what it can see does it use?
#
# **What you need to know.** What a convolution computes (lesson 1), and that a gradient says how much a result changes
# when a number changes a little (lessons 2 and 3).
#
# **Your time.** 55 minutes, both exercises included.
#
# **Machine time.** `11` s on two cores.
#
# **Numbers in this text** are from one recorded run of `minicnn lesson run 4`;
# `lessons/recorded/04_channels_stride_field.json` names its machine and versions. Yours are printed beside the bands in
# which they are expected.
#
# An output (a *unit*) of a first layer of 3x3 kernels is made of 9 pixels (of each colour, or *channel*). An output of
# the second layer is made of 9 outputs of the first, which lie side by side, so that their windows overlap: of 5x5
# pixels. The pixels that an output is made of are its *receptive field*. Objects are larger than 5x5 pixels, so a
# network that is to see them must let its fields grow. How fast do they grow, how much does that cost, and does the
# network use all of them?
#
# [//]: # (seconds:.0f)

# %%
import copy

import numpy as np

from minicnn import Tensor, nn, optim, randn, random, teach, trace_window, use_algorithm
from minicnn import functional as F
from minicnn.data import PartWorld
from minicnn.features.receptive_field import effective_field, receptive_fields
from minicnn.figures.receptive_field import receptive_field_figure
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.reference import input_gradient_loops

PICTURE = 44  # one with a large object
lesson = teach.begin("04_channels_stride_field", budget=20)


def stack(windows, channels=12, colours=1):
    """Convolutions, one for each (kernel, stride), each followed by ReLU; weights drawn as is usual before ReLU."""
    layers = []
    for kernel, stride in windows:
        layers += [nn.Conv2d(colours, channels, kernel, stride, padding=kernel // 2), nn.ReLU()]
        colours = channels
    for convolution in layers[::2]:
        nn.init.kaiming_normal_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    return nn.Sequential(*layers)


# %% [markdown]
# ## Predict
#
# Before you run on, write down your answers: `minicnn lesson predict 4` asks for them, and keeps them in
# `answers/predictions.json`, a file of your own.

# %%
lesson.predict("side", "Ten layers of 3x3 kernels, stride 1: how many pixels on a side can an output see?")
lesson.predict("used", "With random weights, what share of that side does it use?")
lesson.predict("channels", "Twice as many channels in every layer: how many times the multiply-adds?")
lesson.predict(
    "training",
    "A network learns to tell the mean brightness of 3x3 pixels. What happens to the part that it uses?",
    choices=("it grows", "it shrinks", "nothing"),
)

# %% [markdown]
# ## Read
#
# The whole arithmetic of receptive fields is one function. `after` says which places of the map before it a window
# looks at; `after_places` puts together what those places see. If all places of the map before (the *feature map* of
# the layer before) see `size` pixels, `stride` pixels apart, then a window of `kernel` places sees `size + (kernel - 1)
# * stride`: the first place's field, and one `stride` more for every further place. And its neighbour's field begins
# `stride` times farther on.

# %%
lesson.read("minicnn/nn/receptive_field.py:ReceptiveField.after")
lesson.read("minicnn/nn/receptive_field.py:ReceptiveField.after_places")
field = nn.ReceptiveField()  # a pixel sees itself
for kernel, stride in [(3, 1), (3, 2), (3, 1), (3, 1)]:
    if lesson.stop("after"):
        breakpoint()  # step into after, and on into after_places
    field = field.after(kernel, stride)
    print(f"after a {kernel}x{kernel} window of stride {stride}: {field.size} pixels, {field.stride} apart")

# %% [markdown]
# Why does a gradient tell what is seen? Here is one output of one convolution, multiplied out: three colours, nine
# products each. On the way back, a gradient of 1 at this output gives every pixel of the window the weight that it was
# multiplied by, and all other pixels nothing. This output is at the upper edge, so a row of its window is *padding*: a
# rim of zeros around the picture.

# %%
picture = PartWorld("train", PICTURE + 1).images[PICTURE] / np.float32(255)  # (3, 32, 32), 0..1
first_layer = nn.Conv2d(3, 4, 3, stride=2, padding=1)
trace = trace_window(first_layer, picture, at=(0, 1))
lesson.figure(trace.figure(), "window")

# %% [markdown]
# These loops send a gradient back (as a layer of its own, they are called *transposed convolution*). They visit the
# same places, with the same `h` and `w`, as the loops of the forward pass in lesson 1; only the last line differs. Walk
# through them with the gradient of the output above, and of its neighbour to the left, which is 0. In the first row of
# the kernel `h` is -1, on the padding: nothing is added there.

# %%
lesson.read("minicnn/kernels/convolution/reference.py:input_gradient_loops")
gradient = np.zeros((1, 1, 2, 1), np.float32)  # (N, OH, OW, C_out): two outputs of the first row, one channel
gradient[0, 0, 1, 0] = 1
to_pixels = np.zeros((1, 2, 4, 3), np.float32)  # (N, H, W, C): the pixels that both of them see
geometry = Geometry(stride=(2, 2), padding=(1, 1))
if lesson.stop("gradient"):
    breakpoint()  # step into input_gradient_loops
input_gradient_loops(gradient, first_layer.weight.data[:1], to_pixels, geometry)
rows, columns = np.nonzero(to_pixels[0].any(axis=2))
print(f"pixels with a gradient: rows {rows.min()} to {rows.max()}, columns {columns.min()} to {columns.max()}")

# %% [markdown]
# ## Run
#
# ### What stride and channels do
#
# The *stride* is how many pixels a window moves on from one output to the next. Six layers of 3x3 kernels in three
# forms, for colour pictures of 32x32: without strides, with two strides of 2 at the end, and with the same two strides
# early. `nn.summary` runs the network once and lists shapes, multiply-adds and the side of the field (`sees`).

# %%
forms = {
    "no strides": [(3, 1)] * 6,
    "late strides": [(3, 1)] * 4 + [(3, 2)] * 2,
    "early strides": [(3, 1)] + [(3, 2)] * 2 + [(3, 1)] * 3,
}
costs, sides = {}, {}
for name, windows in forms.items():
    report = nn.summary(stack(windows, channels=16, colours=3), (3, 32, 32))
    costs[name], sides[name] = report.multiply_adds, report.rows[-1].receptive_field[0]
    print(f"\n{name}\n{report}")
twice = nn.summary(stack(forms["no strides"], channels=32, colours=3), (3, 32, 32)).multiply_adds
lesson.number("side_without", sides["no strides"], band=(13, 13), unit="pixels")
lesson.number("side_late", sides["late strides"], band=(15, 15), unit="pixels")
lesson.number("side_early", sides["early strides"], band=(33, 33), unit="pixels")
lesson.number("early_cost", costs["no strides"] / costs["early strides"], band=(7, 8), unit="times")
lesson.number("twice_the_channels", twice / costs["no strides"], band=(3.8, 4), unit="times")
lesson.outcome("channels", twice / costs["no strides"], within=0.06)

# %% [markdown]
# All three have as many weights. Without strides an output sees `13` pixels on a side: 2 more with every layer. A
# stride of 2 doubles the step of every layer *after* it, so late strides add little (`15` pixels in all) and early
# strides add much (`33` pixels). And since a stride of 2 leaves a quarter of the places, early strides also make the
# network `7.5` times cheaper. The price is *resolution*: the last map has 8x8 outputs instead of 32x32.
#
# The number of channels does not change the field. Twice as many cost `3.93` times as much: twice as many outputs are
# each made of twice as many inputs. (Not quite 4 times: the picture still has three colours.)
#
# [//]: # (side_without:.0f side_late:.0f side_early:.0f early_cost:.1f twice_the_channels:.2f)

# %% [markdown]
# ### How far can an output see?
#
# From now on, ten layers of 3x3 kernels without strides, on grey pictures. The theoretical field of the middle output
# is a square. Is it true that no pixel outside of it matters? Change *all* pixels outside of the square; then, for
# comparison, a single pixel in its corner, and the pixel in the middle.

# %%
DEPTH = 10
last = str(2 * DEPTH - 1)  # the name of the last ReLU
networks = [stack([(3, 1)] * DEPTH) for _ in range(lesson.either(3, 1))]
sees = receptive_fields(networks[0], (1, 32, 32))[last]
print(sees)
lesson.outcome("side", sees.size[0])
world = PartWorld("train", lesson.either(800, 200))
grey = world.images.mean(axis=1, keepdims=True, dtype=np.float32) / 255  # (N, 3, 32, 32) -> (N, 1, 32, 32)
pictures = (grey - grey.mean()) / grey.std()
some = pictures[: lesson.either(100, 40)]

top, left, bottom, right = sees.box(16, 16)
outside, in_corner, in_middle = (some.copy() for _ in range(3))
outside[:] = randn(*outside.shape).numpy()
outside[:, :, top:bottom, left:right] = some[:, :, top:bottom, left:right]
in_corner[:, :, top, left] += 1
in_middle[:, :, 16, 16] += 1
with use_algorithm("direct"):  # the fastest algorithm, winograd, shares sums among neighbours, and so its roundings
    before, *after = (
        networks[0](Tensor(changed)).detach().numpy()[:, :, 16, 16] for changed in (some, outside, in_corner, in_middle)
    )
by_outside, by_corner, by_middle = (np.abs(value - before) for value in after)
lesson.number("side", sees.size[0], band=(21, 21), unit="pixels")
lesson.number("middle_over_corner", by_middle.mean() / by_corner.mean(), band=(500, 1e6), unit="times")

# %% [markdown]
# The formula says `21` pixels: 1, and 2 more for each of ten layers. The corner pixel matters very little: raising the
# middle pixel by the same amount changes the output `8,931` times as much. There is a single path from that corner to
# the output, through ten corners of ten kernels. From the middle pixel there are 8953 ways to go up and down in ten
# steps and come back, and as many to the left and right: 8953 times 8953, or eighty million paths in all.
#
# [//]: # (side:.0f middle_over_corner:,.0f)

# %% [markdown]
# ## Controls
#
# Two claims that should fail: that what lies outside of the theoretical field has any influence at all, and that a
# network uses all of its field.
#
# The part that it uses, the *effective* field, is measured as Luo and others did in 2016: put a gradient on the middle
# output alone, send it back to the picture, and count the pixels where it is above 4.55% of its maximum. The square
# root of that number is the field's width: the side of a square of as many pixels.

# %%
lesson.control("pixels outside change the output", by_outside.max(), fails_below=1e-30)

lesson.read("minicnn/features/receptive_field.py:effective_field")
at_random = [effective_field(network, some, last) for network in networks]
print(*at_random, sep="\n")
used_at_random = np.mean([field.share for field in at_random])
lesson.number("used_at_random", used_at_random, band=(0.68, 0.8), fast_band=(0.66, 0.83))
lesson.outcome("used", used_at_random, within=lesson.either(0.1, 0.13))
lesson.control("the network uses all of its field", used_at_random, fails_below=0.85)

# %% [markdown]
# With random weights, an output uses `74%` of the side of its field (the mean of three networks). Is it the same share
# in deeper ones? Their pictures must be larger, so that no field meets an edge.
#
# [//]: # (used_at_random:.0%)

# %%
depths = lesson.either([2, 4, 8, 16, 32], [2, 4, 8, 16])
noise = randn(12, 1, 2 * depths[-1] + 17, 2 * depths[-1] + 17).numpy()
used = []
for depth in depths:
    deeper = effective_field(stack([(3, 1)] * depth), noise, str(2 * depth - 1))
    used.append(deeper.width)
    print(deeper)
slope = np.polyfit(np.log(depths[1:]), np.log(used[1:]), 1)[0]
lesson.number("growth", slope, band=(0.45, 0.6), fast_band=(0.4, 0.7))
lesson.number("used_by_the_deepest", deeper.share, band=(0.35, 0.48), fast_band=(0.45, 0.65))

# %% [markdown]
# The share is not the same. The theoretical side grows in proportion to the number of layers $n$, the used side like
# $n^{0.5}$ (the measured power is `0.54`), the square root. Of 32 layers, an output uses `42%` of the side. This is the
# law of the random walk. A gradient goes back layer by layer, each time a step to the left, to the right, or no step;
# after n steps its typical distance is about the square root of n.
#
# [//]: # (growth:.2f used_by_the_deepest:.0%)

# %% [markdown]
# ### What training does
#
# Two tasks for the same network, both learned from pictures in seconds: tell at every place the mean brightness of the
# 3x3 pixels around it (the near task), or of the 17x17 pixels around it (the far task). One last 1x1 convolution makes
# a weighted sum of the channels.


# %%
def learn(network, side, seed):
    """A copy of the network that has learned to tell the mean of side x side pixels, and its error (1 is chance)."""
    target = F.avg_pool2d(pictures, side, stride=1, padding=side // 2, count_include_pad=False).numpy()
    target = (target - target.mean()) / target.std()
    model = nn.Sequential(*copy.deepcopy(network), nn.Conv2d(12, 1, 1))
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    order, errors = random.stream("order", seed), []
    for _ in range(lesson.either(150, 50)):
        chosen = order.choice(len(pictures), lesson.either(16, 8))
        loss = F.mse_loss(model(Tensor(pictures[chosen])), Tensor(target[chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    return model, np.mean(errors[-10:])


learned, shares = {}, {3: [], 17: []}
for seed, network in enumerate(networks):
    for side in shares:
        learned[side], error = learn(network, side, seed)
        after = effective_field(learned[side], some, last)
        shares[side].append(after.share)
        print(f"network {seed} learned the mean of {side}x{side} pixels, error {error:.2f}: {after}")
near, far = np.mean(shares[3]), np.mean(shares[17])
lesson.number("used_after_3x3", near, band=(0.45, 0.66))
lesson.number("used_after_17x17", far, band=(0.76, 0.88), fast_band=(0.7, 0.88))
lesson.number("least_after_17x17", min(shares[17]), band=(0.74, 0.88), fast_band=(0.7, 0.88))
lesson.number("most_after_3x3", max(shares[3]), band=(0.45, 0.7))
change = near / used_at_random - 1
lesson.outcome("training", "it shrinks" if change < -0.05 else "it grows" if change > 0.05 else "nothing")
lesson.control("training makes the used part grow, whatever is learned", change, fails_below=-0.05)

# %% [markdown]
# The effective field is learned. With the near task it shrinks to `57%` of the side that the networks can see (at most
# `61%` in each of the three); with the far task it grows to `82%` (at least `81%`). Luo and others saw it grow in
# networks that learn to name objects, a task that needs a large part of the picture. The theoretical field is only a
# limit: nothing outside of it can be learned, and that is why it must be large enough. The task decides how much of it
# is used.
#
# [//]: # (used_after_3x3:.0% most_after_3x3:.0% used_after_17x17:.0% least_after_17x17:.0%)

# %% [markdown]
# ## Figure

# %%
layers = {"5": "after 3 layers", "11": "after 6 layers", last: f"after {DEPTH} layers"}
trained = {"random weights": networks[-1], "learned 3x3": learned[3], "learned 17x17": learned[17]}
figure = receptive_field_figure(
    grey[PICTURE],
    {name: {layer: effective_field(model, some, layer) for layer in layers} for name, model in trained.items()},
    layers,
    {"layers": depths, "theoretical": [2 * depth + 1 for depth in depths], "in use": used},
)
lesson.figure(figure)

# %% [markdown]
# ## Exercise
#
# **04a** `lessons/exercises/04a_receptive_field.py`: the side of the field of a row of windows, given their kernels and
# strides.
#
# **04b** `lessons/exercises/04b_far_and_cheap.py`: choose kernels, strides and channels of a network that sees the
# whole picture and is cheap.
#
# `minicnn lesson start 4` copies them to `answers/`, where they are yours to edit. `minicnn lesson check 4` says
# whether your answers are right, and if not, what is wrong and where; with `--hint` it says how to go on.
#
# ## Change one line
#
# - `DEPTH = 10` becomes 15. The side becomes 31, almost the whole picture, and all used shares fall.
# - In `learn`, write `target = pictures` in place of its second line, so that both tasks are to tell the pixel itself.
#   Expected: the effective fields of both networks shrink.
# - Make the first of the early windows a 1x1 kernel of stride 2, `[(1, 2)] + [(3, 2)] * 2 + ...`. The side becomes 61
#   and the cost falls again. But three pixels of four are now seen by no output at all: the square contains all pixels
#   that matter, and others as well.

# %%
lesson.finish()
