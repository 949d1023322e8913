# %% [markdown]
# # 9. Residual: deeper
#
# **Question.** Why does a deeper network learn its own training pictures worse, and what does a shortcut change?
#
# **What you need to know.** What a convolution, a batch norm and a ReLU do, and that training follows the gradient of
# the loss (lessons 1 to 5). That gradients come back through a network layer by layer (lesson 3).
#
# **Machine time.** 107<!-- seconds:.0f --> s on two cores.
#
# A deep network can do whatever a shallow one can: its first layers do the same, and the others pass on what they get.
# So it should never fit its training pictures worse. In 2015 Kaiming He and others reported that it does: on CIFAR-10,
# a plain network of 56 layers had a higher error than one of 20 layers, *on the training pictures*. That is not
# overfitting, for which the training error would have to be low. The better weights exist, and training does not find
# them.
#
# They put a *shortcut* past every two layers: a block no longer computes f(x) but x + f(x). To pass on what it gets, it
# then only has to learn f(x) = 0.

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
epochs = lesson.either(26, 32)
rate = lesson.either(0.02, 0.03)

# %% [markdown]
# ## Predict
#
# Networks of 8, 20 and 44 layers learn 500 pictures, few enough to know them all by heart. Batch norm is in all of
# them. Before you run on, put your answers into `yours`.

# %%
lesson.predict("plain", "Plain, without shortcuts: how many layers learn best?", choices=depths, yours=None)
lesson.predict(
    "residual",
    f"With shortcuts: do {deepest} layers learn worse than 8?",
    choices=("worse", "as well or better"),
    yours=None,
)
lesson.predict(
    "gradient",
    f"Plain, {deepest} layers, random weights: beside the last convolution's gradient, that of the first is",
    choices=("much smaller", "about as large", "much larger"),
    yours=None,
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
# On the way back, the sum hands its gradient to both of its parts, unchanged. So the block's input gets the gradient
# of the output *plus* what comes back through the two convolutions. Here are both blocks with the same weights, and a
# gradient of 1 put on every output. What does the input get where f gives it hardly anything, because its second batch
# norm has a small scale?

# %%
blocks = {"plain": PlainBlock(4, 4), "residual": BasicBlock(4, 4)}
blocks["residual"].load_state_dict(blocks["plain"].state_dict())
x = randn(2, 4, 5, 5).abs()  # as behind a ReLU: (N, C, H, W)
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
# Through the plain block 0.006<!-- arrives_plain:.3f --> of it arrives; past it, 1.00<!-- arrives_residual:.2f -->.

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
    """The training loss of each epoch: the mean over its batches of 50 pictures."""
    optimizer = optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    records = fit(network, DataLoader(pictures, 50, shuffle=True), optimizer, epochs=epochs, progress=False)
    return [record["loss"] for record in records]


kinds = {"plain": "none", "residual": "A"}
losses = {kind: {} for kind in kinds}  # kind -> depth -> (S, epochs)
trained = {}  # the deepest network of the last seed
for kind, shortcut in kinds.items():
    for depth in depths:
        runs = []
        for seed in seeds:
            trained[kind] = build(depth, shortcut, seed)
            runs.append(train(trained[kind], epochs))
        losses[kind][depth] = np.array(runs)
        print(f"{kind}, {depth} layers, training loss in the last epoch:", losses[kind][depth][:, -1].round(3))

# %%
ends = {kind: [runs[:, -1] for runs in by_depth.values()] for kind, by_depth in losses.items()}  # [depth] -> (S,)
plain, residual = ([end.mean() for end in ends[kind]] for kind in kinds)
lesson.number("plain_8", plain[0], band=(0.05, 0.8), fast_band=(0.05, 0.9), unit="nats")
lesson.number("plain_20", plain[1], band=(0.5, 1.9), fast_band=(0.5, 1.8), unit="nats")
lesson.number("plain_deepest", plain[-1], band=(1.8, 2.35), fast_band=(0.5, 1.8), unit="nats")
lesson.number("residual_8", residual[0], band=(0.05, 0.6), fast_band=(0.03, 0.8), unit="nats")
lesson.number("residual_20", residual[1], band=(0, 0.2), fast_band=(0, 0.3), unit="nats")
lesson.number("residual_deepest", residual[-1], band=(0, 0.2), unit="nats")
lesson.number("least_plain_deepest", min(ends["plain"][-1]), band=(1.7, 2.35), fast_band=(0.5, 1.8), unit="nats")
lesson.number("most_residual_deepest", max(ends["residual"][-1]), band=(0, 0.4), unit="nats")
lesson.outcome("plain", depths[int(np.argmin(plain))])
lesson.outcome("residual", "worse" if residual[-1] > residual[0] else "as well or better")

# %% [markdown]
# The training loss in the last epoch, as the mean of three seeds; chance is the logarithm of 10, 2.303:
#
# - plain: 0.41<!-- plain_8:.2f --> with 8 layers, 1.14<!-- plain_20:.2f --> with 20,
#   2.20<!-- plain_deepest:.2f --> with 44;
# - residual: 0.26<!-- residual_8:.2f --> with 8 layers, 0.03<!-- residual_20:.2f --> with 20,
#   0.02<!-- residual_deepest:.2f --> with 44.
#
# The seeds differ little beside that: the best plain network of 44 layers ends at
# 2.13<!-- least_plain_deepest:.2f -->, the worst residual one at 0.03<!-- most_residual_deepest:.2f -->. With 8 layers
# the shortcuts hardly matter. With 44, the plain network has learned next to nothing, though it could have known all
# pictures by heart.

# %% [markdown]
# ### Gradients by layer
#
# One often reads that in a deep network gradients vanish on their way back. Do they? The norm of the gradient of each
# convolution's weights, in the deepest networks, over all 500 pictures: with random weights, and after two epochs.


# %%
def gradient_norms(network):
    """The norm of the loss's gradient with respect to each convolution's weights, from the first to the last."""
    network.zero_grad()
    F.cross_entropy(network(Tensor(images)), Tensor(world.labels)).backward()
    return [np.linalg.norm(weight.grad.data) for weight in network.parameters() if weight.ndim == 4]


gradients = {}  # kind -> when -> (S, layers)
for kind, shortcut in kinds.items():
    at_start, later = [], []
    for seed in seeds:
        network = build(deepest, shortcut, seed)
        at_start.append(gradient_norms(network))
        train(network, epochs=2)
        later.append(gradient_norms(network))
    gradients[kind] = {"at the start": np.array(at_start), "after 2 epochs": np.array(later)}

# %%
first_over_last = {
    (kind, when): np.exp(np.log(norms[:, 0] / norms[:, -1]).mean())  # the geometric mean over the seeds
    for kind, moments in gradients.items()
    for when, norms in moments.items()
}
for (kind, when), ratio in first_over_last.items():
    print(f"{kind} {when}: the first layer's gradient is {ratio:.3g} times the last one's")
growth = first_over_last["plain", "at the start"]
lesson.number("growth_plain", growth, band=(20, 1000), fast_band=(2, 50), unit="times")
lesson.number("growth_residual", first_over_last["residual", "at the start"], band=(0.5, 10), unit="times")
lesson.number("growth_plain_later", first_over_last["plain", "after 2 epochs"], band=(0.01, 3), fast_band=(0.1, 20))
lesson.outcome("gradient", "much smaller" if growth < 1 / 3 else "much larger" if growth > 3 else "about as large")

# %% [markdown]
# In the plain network they do not vanish: they *grow*. The first layer's gradient is
# 148<!-- growth_plain:.0f --> times the last one's, in the residual network only 3.2<!-- growth_residual:.1f --> times.
# Greg Yang and others showed in 2019 that batch norm itself makes the gradients of a plain network grow exponentially
# towards the picture, whatever the variance of the weights. (He and others had noted that with it they don't vanish.)
# So the first steps throw the first layers far off, and after two epochs it has turned round: now the plain network's
# first layer gets a small gradient, 0.19<!-- growth_plain_later:.2f --> times the last one's, where there is no way
# down to be seen. In the residual network it stays as it was.

# %% [markdown]
# ### A slice of the loss
#
# Where has training arrived? The loss is a function of all weights; along two random directions it can be drawn. Hao Li
# and others found in 2018 how to compare two networks in this way: in a direction, every filter's step is as long as
# the filter itself. So at +1 every filter has been moved as far as it is long.

# %%
lesson.read("minicnn/training/loss_surface.py:random_direction")
offsets = np.linspace(-1, 1, lesson.either(13, 7))
some = slice(0, lesson.either(200, 100))
surfaces = {}
for kind, network in trained.items():
    directions = [random_direction(network, random.stream("direction", number)) for number in range(2)]
    surfaces[kind] = loss_surface(network, images[some], world.labels[some], *directions, offsets)


def downhill(surface):
    """Of the steps on the grid away from the middle, the share that leads down: 0 for a bowl."""
    middle = len(surface) // 2
    halves = [half for turned in (surface, surface.T) for half in (turned[middle:], turned[middle::-1])]
    return np.mean([np.diff(half, axis=0) < 0 for half in halves])


lesson.number("downhill_plain", downhill(surfaces["plain"]), band=(0.05, 0.6), fast_band=(0, 0.7))
lesson.number("downhill_residual", downhill(surfaces["residual"]), band=(0, 0.3), fast_band=(0, 0.4))

# %% [markdown]
# The residual network has arrived at the bottom of a bowl: of the steps that lead away from it, only
# 2%<!-- downhill_residual:.0% --> go down again. The plain one lies in a small dent of a plateau, which is as high as
# chance: 25%<!-- downhill_plain:.0% --> of the steps away from it go down, by little. In the figure, mind how far apart
# the lines are. It is one slice of many, along two directions in thousands of dimensions.

# %% [markdown]
# ## Control
#
# Is it that the shortcut carries *the block's own input*, or would any numbers do that are added there? Let every
# shortcut carry the input of the next picture in the batch. The numbers have the same distribution, and gradients come
# back through the shortcuts as before. So here is a claim that should fail.


# %%
def train_with(replace, seed):
    """The deepest residual network's losses, where `replace` gives what each shortcut carries."""
    network = build(deepest, "A", seed)
    blocks = [module for module in network.modules() if isinstance(module, BasicBlock)]
    with contextlib.ExitStack() as hooks:
        for block in blocks:
            if block.downsample is None:
                block.downsample = nn.Identity()  # so that there is a module with an output to replace
            hooks.enter_context(block.downsample.register_forward_hook(replace))
        return train(network, epochs)


def next_picture(module, inputs, output):
    return F.concat([output[1:], output[:1]])


another = np.array([train_with(next_picture, seed) for seed in seeds[:2]])
print(f"shortcuts of another picture, {deepest} layers, in the last epoch:", another[:, -1].round(3))
lesson.number("another_picture", another[:, -1].mean(), band=(1.9, 2.6), fast_band=(0.8, 2.6), unit="nats")
gain = (plain[-1] - another[:, -1].mean()) / (plain[-1] - residual[-1])
lesson.control("a shortcut that carries another picture's input helps as much", gain, fails_below=0.2)

# %% [markdown]
# With another picture's input in the shortcuts, the loss of 44 layers ends at 2.36<!-- another_picture:.2f --> (the
# mean of two seeds): no better than without any shortcut.

# %% [markdown]
# ## Figure
#
# Bands and black points show the seeds, lines their mean. Below, both surfaces have the same levels (darker is lower,
# the cross is where training ended), and the gradients are those of the deepest networks.

# %%
lesson.figure(depth_figure(losses, ("another's shortcut", deepest, another), gradients, surfaces, offsets))

# %% [markdown]
# ## Exercise
#
# **09a** `lessons/exercises/09a_residual_block.py`: a residual block's result, and the gradient of its input, by hand.
#
# **09b** `lessons/exercises/09b_layers_and_weights.py`: how many layers and weights has a residual network for small
# pictures?
#
# `minicnn lesson check 9` says whether they are right, and if not, where.
#
# ## Change one line
#
# The fast form, `MINICNN_FAST=1`, shows each of them; its deepest networks have 20 layers.
#
# - In `next_picture`, write `return output.detach()`: each shortcut carries its own picture's input again, but no
#   gradient comes back through it. Expected: most of the gain is there, and the control says loudly that its claim
#   holds. That the picture itself reaches the last layers is worth a lot even where gradients take the long way.
# - There, write `return -output`. Expected: no gain. What comes out of a ReLU is above 0, so that -x is mostly cut off
#   by the next one.
# - `rate = 0.2`. Expected: the plain network with 20 layers alone fails to learn its pictures by heart.
# - In `train`, take `optim.Adam(network.parameters(), lr=0.003)`. Expected: plain networks of 20 layers catch up almost
#   wholly, because Adam makes the steps of all layers alike, however large their gradients. With 44 layers (the full
#   form) it does not save them.

# %%
lesson.finish()
