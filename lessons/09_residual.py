# %% [markdown]
# # 9. Residual: a way past the layers
#
# **Question.** Why does a deeper network learn its own training pictures worse, and what does a shortcut change?
#
# **What you need to know.** What a convolution and a ReLU do, and that training follows the gradient of the loss
# (lessons 1 to 5). That gradients come back through a network layer by layer (lesson 3). Batch norm, which lesson 8
# explains: it subtracts from each channel its mean over the mini-batch and divides by the standard deviation, then
# scales and shifts by two learned numbers.
#
# **Your time.** 55 minutes, both exercises included.
#
# **Machine time.** `84` s on two cores.
#
# **Numbers in this text** are from one recorded run of `minicnn lesson run 9`; `lessons/recorded/09_residual.json`
# names its machine and versions. Yours are printed beside the bands in which they are expected.
#
# A deep network can compute everything that a shallow network can: its first layers do the same, and the others pass on
# their input unchanged (the *identity*). So it should never fit its training pictures worse. In 2015 Kaiming He and
# others reported that it does: on CIFAR-10, a plain network of 56 layers had a higher error than one of 20 layers, *on
# the training pictures*. That is not overfitting, for which the training error would have to be low. The better weights
# exist, and training does not find them: it is a problem of *optimisation* (He and others call it *degradation*).
#
# They put a *shortcut* (or *skip connection*) past every two layers: a block no longer computes $f(x)$ but $x + f(x)$,
# so its layers learn the *residual*. To pass on its input, the block then only has to learn $f(x) = 0$.
#
# [//]: # (seconds:.0f)

# %%
import contextlib

import numpy as np

from minicnn import Tensor, backbones, nn, optim, randn, random, teach
from minicnn import functional as F
from minicnn.backbones.residual import BasicBlock, PlainBlock
from minicnn.data import DataLoader, PartWorld, TensorDataset
from minicnn.figures.depth import depth_figure
from minicnn.training import fit, loss_surface, random_direction

lesson = teach.begin("09_residual", budget=120)
depths = lesson.either((8, 20, 44), (8, 20))  # layers: 6 * blocks + 2
deepest = depths[-1]
seeds = lesson.either((0, 1, 2), (0,))
batch = lesson.either(100, 50)  # pictures a step
epochs = lesson.either(30, 24)
rate = 0.03

# %% [markdown]
# ## Predict
#
# Networks of 8, 20 and 44 layers learn 500 pictures, few enough to know them all by heart. Batch norm is in all of
# them.
#
# Before you run on, write down your answers: `minicnn lesson predict 9` asks for them, and keeps them in
# `answers/predictions.json`, a file of your own.

# %%
lesson.predict("plain", "Plain, without shortcuts: how many layers learn best?", choices=(8, 20, 44))
lesson.predict(
    "residual",
    "With shortcuts: do 44 layers learn worse than 8?",
    choices=("worse", "as well or better"),
)
lesson.predict(
    "gradient",
    "Plain, 44 layers, random weights: beside the last convolution's gradient, that of the first is",
    choices=("much smaller", "about as large", "much larger"),
)

# %% [markdown]
# ## Read
#
# Two kinds of block, with equal weights. All the difference is that one keeps x aside and adds it at the end.

# %%
lesson.read("minicnn/backbones/residual.py:PlainBlock.forward")
lesson.read("minicnn/backbones/residual.py:BasicBlock.forward")
lesson.read("minicnn/functional/activation.py:add_relu")

# %% [markdown]
# On the way back, the sum hands its gradient to both of its parts, unchanged. So the block's input gets the gradient of
# the output *plus* the gradient that comes back through the two convolutions:
# $\partial L / \partial x = \partial L / \partial y \; (1 + \partial f / \partial x)$. Here are both blocks with the
# same weights, and a gradient of 1 put on every output. How much does the input get if $f$ passes on very little,
# because its second batch norm has a small scale?

# %%
blocks = {"plain": PlainBlock(4, 4), "residual": BasicBlock(4, 4)}
blocks["residual"].load_state_dict(blocks["plain"].state_dict())
x = randn(2, 4, 5, 5).abs()  # as after a ReLU: (N, C, H, W)
for name, block in blocks.items():
    block.bn2.weight.data[...] = 0.01
    image = Tensor(x.data, requires_grad=True)
    if lesson.stop("shortcut"):
        breakpoint()  # step into block, on to forward of backbones/residual.py; in the second round it has a shortcut
    result = block(image)
    if lesson.stop("way_back"):
        breakpoint()  # step into backward; in the second round, on to backward of functional/activation.py:add_relu
    result.backward(np.ones(result.shape, np.float32))
    arrived = np.linalg.norm(image.grad.data) / np.sqrt(image.data.size)
    print(f"{name}: of a gradient of 1 on each output, {arrived:.3f} arrives on each input (root mean square)")
    lesson.number(f"arrives_{name}", arrived, band=(0, 0.1) if name == "plain" else (0.9, 1.1))

# %% [markdown]
# Through the plain block `0.006` of it arrives; past it, `1.00`.
#
# [//]: # (arrives_plain:.3f arrives_residual:.2f)

# %% [markdown]
# ## Run
#
# The pictures are PartWorld's, made smaller: the mean of every 2x2 pixels. The networks are those of the paper for
# small pictures, with half as many channels (8, 16 and 32): three stages of blocks, with `shortcut="A"`, or with
# `shortcut="none"` for the plain ones. Both kinds have equally many weights, and begin with the same ones.

# %%
world = PartWorld("train", lesson.either(500, 100))
images = F.avg_pool2d((world.images / np.float32(255) - 0.5) / 0.25, 2).numpy()  # (N, 3, 32, 32) -> (N, 3, 16, 16)
pictures = TensorDataset(images, world.labels)


def build(depth, shortcut, seed):
    """A network of so many layers; the seed gives its first weights, and the order of the pictures in training."""
    random.manual_seed(seed)
    size = {"blocks": (depth - 2) // 6, "width": 8}
    return backbones.create("resnet8", num_classes=10, shortcut=shortcut, seed=seed, **size)


def train(network, epochs):
    """The training loss of each epoch: the mean over its batches."""
    optimizer = optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    records = fit(network, DataLoader(pictures, batch, shuffle=True), optimizer, epochs=epochs, progress=False)
    return [record["loss"] for record in records]


kinds = {"plain": "none", "residual": "A"}
losses = {kind: {} for kind in kinds}  # kind -> depth -> (S, epochs)
trained = {kind: [] for kind in kinds}  # the deepest networks, one a seed
for kind, shortcut in kinds.items():
    for depth in depths:
        print(f"{kind}, {depth} layers, training loss in the last epoch:", end="", flush=True)
        trained[kind], runs = [], []
        for seed in seeds:
            trained[kind].append(build(depth, shortcut, seed))
            runs.append(train(trained[kind][-1], epochs))
            print(f" {runs[-1][-1]:.3f}", end="", flush=True)
        losses[kind][depth] = np.array(runs)
        print()


# %%
def record(name, of_seeds, band, fast_band=None, unit=""):
    """Three numbers: the mean over the seeds, the lowest and the highest of them."""
    for which, value in (("", np.mean(of_seeds)), ("_min", np.min(of_seeds)), ("_max", np.max(of_seeds))):
        lesson.number(name + which, value, band, fast_band, unit)


ends = {kind: [runs[:, -1] for runs in by_depth.values()] for kind, by_depth in losses.items()}  # [depth] -> (S,)
plain, residual = ([end.mean() for end in ends[kind]] for kind in kinds)
record("plain_8", ends["plain"][0], band=(0.05, 0.9), fast_band=(0.05, 1.4), unit="nats")
record("plain_20", ends["plain"][1], band=(0.4, 1.9), fast_band=(0.4, 2.2), unit="nats")
record("plain_deepest", ends["plain"][-1], band=(1.8, 2.35), fast_band=(0.4, 2.2), unit="nats")
record("residual_8", ends["residual"][0], band=(0.03, 0.8), fast_band=(0.03, 1.4), unit="nats")
record("residual_20", ends["residual"][1], band=(0, 0.2), fast_band=(0, 0.6), unit="nats")
record("residual_deepest", ends["residual"][-1], band=(0, 0.3), fast_band=(0, 0.6), unit="nats")
too_shallow = lesson.either("", "its deepest networks have 20 layers, and one seed")
lesson.outcome("plain", depths[int(np.argmin(plain))], undecided=too_shallow)
by_depth = "worse" if residual[-1] > residual[0] else "as well or better"
lesson.outcome("residual", by_depth, undecided=too_shallow)

# %% [markdown]
# The training loss in the last epoch: the mean of three seeds, and the lowest and highest of them. Chance is the
# logarithm of 10, 2.303.
#
# - plain, 8 layers: `0.43` (`0.36` to `0.52`)
# - plain, 20 layers: `1.16` (`1.05` to `1.24`)
# - plain, 44 layers: `2.18` (`2.15` to `2.19`)
# - residual, 8 layers: `0.36` (`0.28` to `0.41`)
# - residual, 20 layers: `0.008` (`0.005` to `0.010`)
# - residual, 44 layers: `0.003` (`0.002` to `0.004`)
#
# With 8 layers the shortcuts hardly matter: the seeds of both kinds overlap. With 20 and 44 they decide, by far more
# than the seeds differ. The plain network of 44 layers has learned next to nothing, though it could have known all
# pictures by heart: the residual one, with equally many weights, does.
#
# [//]: # (plain_8:.2f plain_8_min:.2f plain_8_max:.2f plain_20:.2f plain_20_min:.2f plain_20_max:.2f)
# [//]: # (plain_deepest:.2f plain_deepest_min:.2f plain_deepest_max:.2f residual_8:.2f residual_8_min:.2f)
# [//]: # (residual_8_max:.2f residual_20:.3f residual_20_min:.3f residual_20_max:.3f residual_deepest:.3f)
# [//]: # (residual_deepest_min:.3f residual_deepest_max:.3f)

# %% [markdown]
# ### Gradients by layer
#
# One often reads that in a deep network gradients vanish on their way back. Do they? Here is the norm of the gradient
# of each convolution's weights, in the deepest networks, with random weights, over all 500 pictures. And what do these
# gradients do in training? After one epoch, which is five steps, we measure how far each convolution has moved from its
# first weights, divided by the norm of those weights.


# %%
def convolutions(network):
    """The weights of all convolutions, from the first to the last."""
    return [weight for weight in network.parameters() if weight.ndim == 4]


def gradient_norms(network):
    """The norm of the loss's gradient with respect to each convolution's weights."""
    network.zero_grad()
    F.cross_entropy(network(Tensor(images)), Tensor(world.labels)).backward()
    return [np.linalg.norm(weight.grad.data) for weight in convolutions(network)]


gradients, moved = {}, {}  # kind -> (S, layers)
for kind, shortcut in kinds.items():
    of_seeds, ways = [], []
    for seed in seeds:
        network = build(deepest, shortcut, seed)
        of_seeds.append(gradient_norms(network))
        before = [weight.data.copy() for weight in convolutions(network)]
        train(network, epochs=1)
        pairs = zip(convolutions(network), before, strict=True)
        ways.append([np.linalg.norm(weight.data - old) / np.linalg.norm(old) for weight, old in pairs])
    gradients[kind], moved[kind] = np.array(of_seeds), np.array(ways)

# %%
for kind in kinds:
    first_over_last = gradients[kind][:, 0] / gradients[kind][:, -1]
    print(f"{kind}: the first layer's gradient is", first_over_last.round(1), "times the last one's")
    bands = {"plain": ((20, 1000), (2, 50)), "residual": ((0.3, 20), None)}
    record(f"growth_{kind}", first_over_last, *bands[kind], unit="times")
    bands = {"plain": ((0.5, 10), (0.01, 5)), "residual": ((0.02, 0.6), (0.002, 0.6))}
    record(f"first_moved_{kind}", moved[kind][:, 0], *bands[kind], unit="times")
    record(f"last_moved_{kind}", moved[kind][:, -1], (0, 0.05), unit="times")
growth = np.mean(gradients["plain"][:, 0] / gradients["plain"][:, -1])
by_growth = "much smaller" if growth < 1 / 3 else "much larger" if growth > 3 else "about as large"
lesson.outcome("gradient", by_growth, undecided=too_shallow)

# %% [markdown]
# In the plain network they do not vanish: they *grow*. The first layer's gradient is `154` times the last one's (`117`
# to `220`, by the seed), in the residual network `3.8` times (`1.3` to `5.1`). Greg Yang and others showed in 2019 that
# batch norm itself makes the gradients of a plain network grow exponentially towards the picture, whatever the variance
# of the weights. (He and others had noted that with it they don't vanish.)
#
# Growing (*exploding*) gradients are a problem, too. All layers take their steps with one learning rate. After five
# steps the plain network's first layer has moved by `2.1` times its own norm (`1.6` to `2.8`): very little of its first
# weights is left. The last layer has moved by `0.005` of its norm. A rate that is right for both does not exist. In the
# residual network the first layer has moved by `0.12` of its norm (`0.08` to `0.16`), the last by `0.006`.
#
# It is not the whole reason. Adam makes the steps of all layers alike, and with it plain networks of 20 layers do
# learn, but those of 44 still don't (try it below). David Balduzzi and others found in 2017 what else is lost: deep in
# a plain network, the gradients of two pictures that are nearly the same have little in common, so that a step that
# helps one does little for the other.
#
# [//]: # (growth_plain:.0f growth_plain_min:.0f growth_plain_max:.0f growth_residual:.1f growth_residual_min:.1f)
# [//]: # (growth_residual_max:.1f first_moved_plain:.1f first_moved_plain_min:.1f first_moved_plain_max:.1f)
# [//]: # (last_moved_plain:.3f first_moved_residual:.2f first_moved_residual_min:.2f first_moved_residual_max:.2f)
# [//]: # (last_moved_residual:.3f)

# %% [markdown]
# ### A slice of the loss
#
# Where has training arrived? The loss is a function of all weights; along two random directions it can be drawn. Hao Li
# and others found in 2018 how to compare two networks in this way: each direction is scaled so that its part for a
# filter has the same norm as that filter (*filter normalisation*). So at +1 every filter has been moved by its own
# norm.

# %%
lesson.read("minicnn/training/loss_surface.py:random_direction")
offsets = np.linspace(-1, 1, lesson.either(11, 5))
some = slice(0, 100)
surfaces = {}  # kind -> (S, A, A)
for kind, networks in trained.items():
    of_seeds = []
    for network in networks:
        directions = [random_direction(network, random.stream("direction", number)) for number in range(2)]
        of_seeds.append(loss_surface(network, images[some], world.labels[some], *directions, offsets))
    surfaces[kind] = np.array(of_seeds)


def downhill(surface):
    """Of the steps on the grid away from the middle, the share that leads down: 0 for a bowl."""
    middle = len(surface) // 2
    halves = [half for turned in (surface, surface.T) for half in (turned[middle:], turned[middle::-1])]
    return np.mean([np.diff(half, axis=0) < 0 for half in halves])


for kind in kinds:
    bands = {"plain": ((0.02, 0.7), (0, 0.7)), "residual": ((0, 0.3), (0, 0.4))}
    record(f"downhill_{kind}", [downhill(surface) for surface in surfaces[kind]], *bands[kind])
    lesson.number(f"slice_lowest_{kind}", surfaces[kind].min(), band=(0, 2.35), unit="nats")
    lesson.number(f"slice_highest_{kind}", surfaces[kind].max(), band=(2.3, 30), unit="nats")

# %% [markdown]
# Training has brought the residual networks to the bottom of a bowl. Within the slices of the three seeds the loss
# rises from `0.002` to `10.5`, and of the steps on the grid that lead away from the middle, `5%` go down (`5%` to
# `6%`). The plain networks are on a plateau whose loss is nearly that of guessing: all three slices are between `2.04`
# and `2.49`, and `31%` of the steps go down (`27%` to `35%`), by small amounts. In the figure, look at how far apart
# the contour lines are. And remember that a slice shows only two of many thousands of directions. The slice shows where
# training has arrived, not why.
#
# [//]: # (slice_lowest_residual:.3f slice_highest_residual:.1f downhill_residual:.0% downhill_residual_min:.0%)
# [//]: # (downhill_residual_max:.0% slice_lowest_plain:.2f slice_highest_plain:.2f downhill_plain:.0%)
# [//]: # (downhill_plain_min:.0% downhill_plain_max:.0%)

# %% [markdown]
# ## Control
#
# Must the shortcut carry *the block's own input*, or would other numbers help as well? Let every shortcut carry the
# input of the next picture in the batch. The numbers have the same distribution, and gradients come back through the
# shortcuts as before. So here is a claim that should fail.


# %%
def train_with(replace, seed):
    """The deepest residual network's losses, where `replace` gives the content of each shortcut."""
    network = build(deepest, "A", seed)
    blocks = [module for module in network.modules() if isinstance(module, BasicBlock)]
    with contextlib.ExitStack() as hooks:
        for block in blocks:
            if block.downsample is None:
                block.downsample = nn.Identity()  # so that there is a module with an output to replace
            hooks.enter_context(block.downsample.register_forward_hook(replace))
        return train(network, lesson.either(epochs, 18))


def next_picture(module, inputs, output):
    return F.concat([output[1:], output[:1]])


another = np.array([train_with(next_picture, seed) for seed in seeds])
print(f"shortcuts of another picture, {deepest} layers, in the last epoch:", another[:, -1].round(3))
record("another_picture", another[:, -1], band=(1.9, 2.6), fast_band=(0.8, 2.6), unit="nats")
gain = (plain[-1] - another[:, -1].mean()) / (plain[-1] - residual[-1])
lesson.control("a shortcut that carries another picture's input helps as much", gain, fails_below=0.2)

# %% [markdown]
# With another picture's input in the shortcuts, the loss of 44 layers ends at `2.35` (`2.34` to `2.36`): not better
# than without any shortcut. So a short way back for gradients is not enough. A block must add its result to its own
# input.
#
# [//]: # (another_picture:.2f another_picture_min:.2f another_picture_max:.2f)

# %% [markdown]
# ## Figure
#
# Bands show the seeds, from the lowest to the highest, and so do the small hollow points; lines are their mean. Below
# are the slices of the first seed: on both, the darker, the lower, and the cross is where training ended.

# %%
shown = {kind: of_seeds[0] for kind, of_seeds in surfaces.items()}
lesson.figure(depth_figure(losses, ("another's shortcut", deepest, another), gradients, shown, offsets))

# %% [markdown]
# ## Exercise
#
# **09a** `lessons/exercises/09a_residual_block.py`: a residual block's result, and the gradient of its input, by hand.
#
# **09b** `lessons/exercises/09b_layers_and_weights.py`: how many layers and weights has a residual network for small
# pictures?
#
# `minicnn lesson start 9` copies them to `answers/`, where they are yours to edit. `minicnn lesson check 9` says
# whether your answers are right, and if not, what is wrong and where; with `--hint` it says how to go on.
#
# ## Change one line
#
# The fast form, `MINICNN_FAST=1`, shows most of it; its deepest networks have 20 layers.
#
# - In `next_picture`, write `return output.detach()`: each shortcut carries its own picture's input again, but no
#   gradient comes back through it. Expected: most of the gain is there, and the control says loudly that its claim
#   holds. With 44 layers the first one now gets less than a ten-thousandth of the last one's gradient, and yet these
#   networks learn where the plain ones, with large gradients, don't. That the picture itself reaches the last layers is
#   worth more than the short way back.
# - There, write `return -output`. Expected: no gain. The output of a ReLU is at least 0, so the next ReLU sets most of
#   -x to 0.
# - `rate = 0.2`. Expected: the plain network with 20 layers alone fails to learn its pictures by heart.
# - In `train`, take `optim.Adam(network.parameters(), lr=0.003)`. Expected: plain networks of 20 layers learn as well
#   as those of 8. With 44 layers (the full form) they stay near chance.

# %%
lesson.finish()
