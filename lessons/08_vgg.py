# %% [markdown]
# # 8. VGG: two small windows or one large one
#
# **Question.** Two 3x3 convolutions see as far as one 5x5. Are they better: in accuracy, in parameters, in
# multiply-adds?
#
# **What you need to know.** What a convolution, a receptive field and a ReLU are, and how a network is trained (lessons
# 1 to 5).
#
# **Your time.** 55 minutes, both exercises included.
#
# **Machine time.** `82` s on two cores.
#
# **Numbers in this text** are from one recorded run of `minicnn lesson run 8`; `lessons/recorded/08_vgg.json` names its
# machine and versions. Yours are printed beside the bands in which they are expected.
#
# Until 2014 the first windows of a network were large: 11x11, 7x7, 5x5. Karen Simonyan and Andrew Zisserman then built
# networks, called VGG after their group, from nothing but 3x3 windows. Their argument has three parts. Two 3x3 windows,
# one after the other, see the same 5x5 pixels (the *receptive field*) as one 5x5. They have fewer weights. And there is
# one more ReLU, a *nonlinearity*, between them, so that the two can compute functions that a single window can't. This
# lesson measures each part by itself.
#
# [//]: # (seconds:.0f)

# %%
import numpy as np

from minicnn import functional as F
from minicnn import manual_seed, nn, teach
from minicnn.backbones.vgg import VGG
from minicnn.data import DataLoader, PartWorld
from minicnn.data.transforms import Compose, Normalize, RandomHorizontalFlip
from minicnn.figures.blocks import window_stack_figure
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.optim import SGD, OneCycleLR
from minicnn.tensor import Tensor
from minicnn.training import evaluate, fit, reestimate_batch_norm

lesson = teach.begin("08_vgg", budget=120)

# %% [markdown]
# ## Predict
#
# All maps have the same number of channels, 20. Networks of three blocks are trained alike, on the same pictures and
# for as long; they differ only in what a block is.
#
# Before you run on, write down your answers: `minicnn lesson predict 8` asks for them, and keeps them in
# `answers/predictions.json`, a file of your own.

# %%
lesson.predict("weights", "Two 3x3 instead of one 5x5, 20 channels throughout: what share of the weights?")
lesson.predict(
    "same_cost",
    "One 5x5, made narrower until it costs as much as two 3x3. Which is more accurate on new pictures?",
    choices=("two 3x3", "one 5x5", "no difference beyond the spread over seeds"),
)
lesson.predict(
    "without_relu",
    "Two 3x3 again, but the ReLU between the two is taken out. The accuracy?",
    choices=("higher", "lower", "no difference beyond the spread over seeds"),
)

# %% [markdown]
# ## Read
#
# This is VGG. The drawing is one block; the loop in `__init__` is all of the network. Every column of the paper's table
# becomes one argument, the channels of each block, such as `((64, 64), (128, 128))`.

# %%
lesson.read("minicnn/backbones/vgg.py:VGG")

# %% [markdown]
# Now build a small one, and watch the loop: "Lesson 8: a network from its row of channels" in VS Code, or
# `MINICNN_STOP=08_vgg:building`. Its summary tells for every layer how many pixels a value sees ("sees").

# %%
if lesson.stop("building"):
    breakpoint()  # step into VGG.__init__, and run its two loops
small = VGG(((8, 8), (16, 16)), num_classes=10, stem="small")
print(nn.summary(small, (3, 32, 32)))

# %% [markdown]
# How far a window sees is arithmetic: a KxK window adds K - 1 pixels to what the places under it saw already. So two
# 3x3 see 5 pixels, and three of them 7.

# %%
lesson.read("minicnn/nn/receptive_field.py:ReceptiveField.after")
if lesson.stop("field"):
    breakpoint()  # step into after: the taps of the second window, and what each of them sees
two = ReceptiveField().after(3).after(3)
lesson.number("field_of_two", two.size, band=(5, 5), unit="pixels")
print("two 3x3 see", two.size, "pixels; one 5x5 sees", ReceptiveField().after(5).size)

# %% [markdown]
# ## Run
#
# First, the counting. With $C$ channels in and out, a $K \times K$ convolution has $K^2 C^2$ weights, and uses each of
# them once at every place of the map. So multiply-adds are in the same proportion as weights.

# %%
channels = 20


def weights(channels, *kernels):
    """The weights of convolutions with these windows, one after the other, `channels` in and out."""
    return sum(nn.Conv2d(channels, channels, kernel, bias=False).weight.numel() for kernel in kernels)


share = weights(channels, 3, 3) / weights(channels, 5)
lesson.number("share_of_weights", share, band=(0.72, 0.72))
lesson.outcome("weights", share, within=0.02)
narrow = min(range(1, channels), key=lambda width: abs(weights(width, 5) - weights(channels, 3, 3)))
lesson.number("channels_of_same_cost", narrow, band=(17, 17))
print(f"weights of two 3x3 with {channels} channels: {weights(channels, 3, 3)}")
print(f"weights of one 5x5 with {channels} channels: {weights(channels, 5)}; with {narrow}: {weights(narrow, 5)}")

# %% [markdown]
# Two 3x3 have 9 + 9 = 18 weights for each pair of channels where one 5x5 has 25: a share of `0.72`. That is a saving,
# if accuracy stays; and whether it does, must be measured. A fair comparison gives both the same budget: a 5x5 with
# `17` channels costs nearly what two 3x3 with 20 do, in weights and in multiply-adds.
#
# So here are four networks. All begin with a 3x3 convolution of stride 2; then come three blocks with poolings between
# them, means over the four quarters of the map, and a linear layer. Each convolution is followed by batch norm. The
# last network differs in one point: it does not have a ReLU between the two 3x3.
#
# *Batch norm* (batch normalisation) makes deep networks easier to train. In training it takes, for each channel, the
# mean $\mu$ and the variance $\sigma^2$ of all values of this channel in the mini-batch, and gives
#
# $y = \gamma \; (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$
#
# where $\gamma$ and $\beta$ are learned, one of each a channel, and $\epsilon$ is a small number. In evaluation it
# takes fixed values of $\mu$ and $\sigma^2$, averaged over training pictures, so that the answer to one picture does
# not depend on the others. Here `reestimate_batch_norm` measures them at the end of training.
#
# [//]: # (share_of_weights:.2f channels_of_same_cost:d)

# %%


def network(channels, *kernels, relu_between=True):
    """conv3x3, stride 2 - block - pool - block - pool - block - 2x2 means - linear; a block has these windows."""
    layers = [nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
    for last in (nn.MaxPool2d(2), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2)):
        for number, kernel in enumerate(kernels, 1):
            layers.append(nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False))
            layers.append(nn.BatchNorm2d(channels))
            if relu_between or number == len(kernels):
                layers.append(nn.ReLU())
        layers.append(last)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * channels, 10))


networks = {
    "one 5x5": lambda: network(channels, 5),
    "two 3x3": lambda: network(channels, 3, 3),
    f"one 5x5, {narrow} channels": lambda: network(narrow, 5),
    "two 3x3, no ReLU between": lambda: network(channels, 3, 3, relu_between=False),
}
counted = {name: nn.summary(build(), (3, 32, 32)) for name, build in networks.items()}
costs = {
    name: f"{one.parameters:,} parameters, {one.multiply_adds / 1e6:.2f} M multiply-adds"
    for name, one in counted.items()
}
for name, cost in costs.items():
    print(f"{name:25s} {cost}")

# %% [markdown]
# Each is trained from seven seeds. A seed decides the first weights and the order of the pictures; the pictures, their
# number and the schedule are the same for all.
#
# The *schedule* changes the learning rate during training: `OneCycleLR` raises it in the first quarter of the steps,
# from a small value to 0.1, and then lowers it towards 0. Two means against *overfitting* are used as well. Pictures
# are mirrored at random (*data augmentation*), and in each step the weights are pulled a little towards 0 (*weight
# decay*, a form of *regularisation*).

# %%
normalize = Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
pictures = PartWorld("train", lesson.either(4000, 300))
test = DataLoader(PartWorld("test", lesson.either(2000, 300)), batch_size=250, transform=normalize)
seeds, epochs = range(lesson.either(7, 2)), lesson.either(5, 1)


def trained(build, seed):
    """A network from `build`, trained from `seed`, in evaluation mode."""
    manual_seed(seed)
    model = build()
    flipped = Compose([RandomHorizontalFlip(), normalize])
    loader = DataLoader(pictures, batch_size=64, shuffle=True, drop_last=True, transform=flipped)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = OneCycleLR(optimizer, max_lr=0.1, total_steps=epochs * len(loader), pct_start=0.25)
    fit(model, loader, optimizer, epochs=epochs, schedule=schedule, schedule_every="step", progress=False)
    reestimate_batch_norm(model, DataLoader(pictures, batch_size=250, transform=normalize), batches=8)
    return model.eval()


models, accuracies = {name: [] for name in networks}, {}
for name, build in networks.items():
    print(f"{name:25s} accuracy of each seed", end="", flush=True)
    of_seeds = []
    for seed in seeds:
        models[name].append(trained(build, seed))
        of_seeds.append(evaluate(models[name][-1], test)["accuracy"])
        print(f" {of_seeds[-1]:.3f}", end="", flush=True)
    accuracies[name] = np.array(of_seeds)
    print(f"; mean {accuracies[name].mean():.3f}")

# %% [markdown]
# When does a difference between two means count? The seeds of one network are scattered; their standard deviation,
# divided by the root of their number, is the error of their mean. The *standard error* of a difference is the root of
# the sum of both errors' squares. We call a difference *significant* if it is more than three standard errors. Between
# two networks that are equally good, chance alone would give such a difference in one comparison of ninety.

# %%


def lead(name, other):
    """By how much `name` is more accurate than `other`, in the mean over seeds, and the standard error of that."""
    a, b = accuracies[name], accuracies[other]
    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return a.mean() - b.mean(), max(error, 0.0005)  # no less than one picture of 2,000


def verdict(name, other):
    """Whether `name` is the more or the less accurate one by more than three standard errors, or neither."""
    difference, error = lead(name, other)
    if abs(difference) <= 3 * error:
        return "no difference beyond the spread over seeds"
    return "higher" if difference > 0 else "lower"


narrow_five = f"one 5x5, {narrow} channels"
same_cost = verdict("two 3x3", narrow_five)
too_short = lesson.either("", "one epoch on 300 pictures leaves all networks at chance")
by_cost = {"higher": "two 3x3", "lower": "one 5x5"}.get(same_cost, same_cost)
lesson.outcome("same_cost", by_cost, undecided=too_short)
lesson.outcome("without_relu", verdict("two 3x3, no ReLU between", "two 3x3"), undecided=too_short)
for key, name in zip(("one_five", "two_threes", "narrow_five", "without_relu"), networks, strict=True):
    for measure in ("mean", "min", "max"):
        value = getattr(accuracies[name], measure)()
        lesson.number(f"{key}_{measure}", value, band=(0.8, 0.96), fast_band=(0.03, 0.3))
    lesson.number(f"{key}_parameters", counted[name].parameters, band=(22_900, 31_600))
    lesson.number(f"{key}_multiply_adds", counted[name].multiply_adds / 1e6, band=(2.5, 3.6), unit="M")
pairs = {  # two 3x3 beside which other network, and about how many standard errors they lead by
    "same_channels": ("one 5x5", (-4, 4)),
    "same_cost": (narrow_five, (2, 30)),
    "of_relu": ("two 3x3, no ReLU between", (2, 30)),
}
for key, (other, errors) in pairs.items():
    difference, error = lead("two 3x3", other)
    lesson.number(f"lead_{key}", difference, band=(-0.05, 0.08), fast_band=(-0.2, 0.2))
    lesson.number(f"error_{key}", error, band=(0, 0.03), fast_band=(0, 0.1))
    lesson.number(f"errors_{key}", difference / error, errors, fast_band=(-1e3, 1e3), unit="errors")

# %% [markdown]
# Accuracy on 2,000 new pictures, mean and from lowest to highest of seven seeds:
#
# - one 5x5: `0.889` (`0.874` to `0.904`), for `31,510` parameters and `3.50` million multiply-adds a picture;
# - two 3x3: `0.904` (`0.888` to `0.919`), for `23,230` parameters and `2.56` million multiply-adds;
# - one 5x5 of the same cost: `0.874` (`0.858` to `0.893`), for `22,960` parameters and `2.55` million multiply-adds;
# - two 3x3, no ReLU between: `0.887` (`0.871` to `0.899`), for `23,230` parameters and `2.56` million multiply-adds.
#
# At the same cost two 3x3 are more accurate than one 5x5, by `0.030` (standard error `0.006`). This difference is
# significant. The 5x5 with as many channels has more than a third more weights and multiply-adds, and still it is not
# better: two 3x3 lead by `0.014` (`0.006`), which is not significant with seven seeds. And the ReLU between the two is
# worth `0.016` (`0.005`). This is significant, by a narrow margin.
#
# So all three parts of the argument hold on these small pictures: the same receptive field, fewer weights, and a ReLU
# that helps. Simonyan and Zisserman tried it on ImageNet, with three hundred times as many pictures. There the top-1
# error of a network of ten 3x3 convolutions rose by 7% when a 5x5 of as many channels took the place of each pair
# (their section 4.1).
#
# [//]: # (one_five_mean:.3f one_five_min:.3f one_five_max:.3f one_five_parameters:,.0f one_five_multiply_adds:.2f)
# [//]: # (two_threes_mean:.3f two_threes_min:.3f two_threes_max:.3f two_threes_parameters:,.0f)
# [//]: # (two_threes_multiply_adds:.2f narrow_five_mean:.3f narrow_five_min:.3f narrow_five_max:.3f)
# [//]: # (narrow_five_parameters:,.0f narrow_five_multiply_adds:.2f without_relu_mean:.3f without_relu_min:.3f)
# [//]: # (without_relu_max:.3f without_relu_parameters:,.0f without_relu_multiply_adds:.2f lead_same_cost:.3f)
# [//]: # (error_same_cost:.3f lead_same_channels:.3f error_same_channels:.3f lead_of_relu:.3f error_of_relu:.3f)

# %% [markdown]
# ## Control
#
# The last network has two layers where the first has one. Yet it can't compute more than the first, because a
# convolution of a convolution is a convolution (both are *linear*). So here is a claim that should fail: two 3x3
# without a ReLU between them compute something that one 5x5 can't.
#
# To find the 5x5 that does the same, we read it off the trained block. A map that is 0 everywhere gives the bias. A map
# with a single 1 in one channel (an *impulse*) gives the bias plus the kernel, turned by 180 degrees.

# %%


def as_one_kernel(block):
    """The kernel (C, C, 5, 5) and the bias (C,) of a block, if it is one convolution with a 5x5 window at all."""
    single = np.zeros((channels + 1, channels, 9, 9))  # the last one stays all 0
    single[range(channels), range(channels), 4, 4] = 1
    answers = block(Tensor(single)).detach().numpy()[:, :, 2:7, 2:7]  # (C + 1, C, 9, 9) -> (C + 1, C, 5, 5)
    kernel = (answers[:-1] - answers[-1])[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)  # (C_in, C_out) -> (C_out, C_in)
    return kernel.copy(), answers[-1, :, 2, 2].copy()


def difference_to_one_kernel(model, layers):
    """How far these layers of `model` are from one 5x5 convolution: the largest difference over the largest answer."""
    model.double()  # in float64, so that no rounding is in the way
    images, _ = next(iter(test))
    maps = model[:3](Tensor(images.astype(np.float64)))  # (N, 3, 32, 32) -> (N, C, 16, 16)
    by_layers = model[layers](maps).detach().numpy()
    by_kernel = F.conv2d(maps, *as_one_kernel(model[layers]), padding=2).detach().numpy()
    difference = np.abs(by_layers - by_kernel)[:, :, 1:-1, 1:-1]  # without the outermost places: see below
    return difference.max() / np.abs(by_layers).max()


linear = difference_to_one_kernel(models["two 3x3, no ReLU between"][0], slice(3, 6))  # conv, batch norm, conv
curved = difference_to_one_kernel(models["two 3x3"][0], slice(3, 7))  # conv, batch norm, ReLU, conv
lesson.control("two 3x3 without a ReLU between compute what no 5x5 can", linear, fails_below=1e-6)
lesson.control("with the ReLU between, one 5x5 can still do the same", curved, fails_above=0.1)
lesson.number("with_relu_difference", curved, band=(0.1, 10))

# %% [markdown]
# Without the ReLU, the 5x5 that was read off agrees with the trained block to the last digits. Batch norm between the
# two does not change that, since in evaluation it only scales and shifts. (The outermost places are left out. There the
# second window looks onto the padding of the map between, which is 0, where the 5x5 would go on computing.) With the
# ReLU, the kernel that was read off is wrong by `1.0` times the largest answer. For a block that is a 5x5 convolution
# the same method finds the right kernel. So with the ReLU a 5x5 can't do the same.
#
# So the two networks of two 3x3 have the same layers, the same parameters and the same multiply-adds, and differ only
# in what they can compute. So the gain that the ReLU brings is not explained by "two layers learn better than one".
#
# [//]: # (with_relu_difference:.1f)

# %% [markdown]
# ## Figure
#
# On the left, one result and what it sees, cut through from the side: a row of places of the image, the map between,
# the result. On the right, the accuracies of the four networks.

# %%
results = {f"{name}\n{costs[name]}": found for name, found in accuracies.items()}
lesson.figure(window_stack_figure({"one 5x5": (5,), "two 3x3": (3, 3)}, results))

# %% [markdown]
# ## Exercise
#
# **08a** `lessons/exercises/08a_compose.py`: compose two 3x3 kernels into the one 5x5 kernel that does the same, by a
# sum instead of by asking.
#
# **08b** `lessons/exercises/08b_widest_middle.py`: the counting above had as many channels in as out. VGG's blocks
# begin by doubling them. How wide may the map between two 3x3 be before they cost more than one 5x5?
#
# `minicnn lesson start 8` copies them to `answers/`, where they are yours to edit. `minicnn lesson check 8` says
# whether your answers are right, and if not, what is wrong and where; with `--hint` it says how to go on.
#
# ## Change one line
#
# - Count three 3x3 against one 7x7, `share = weights(channels, 3, 3, 3) / weights(channels, 7)`. Expected: 27 / 49, or
#   0.55: the larger the window, the more is saved.
# - Keep the outermost places, `difference = np.abs(by_layers - by_kernel)`. Expected: the first control holds, which it
#   should not: the padding between the two layers is 0, and one 5x5 does not have such a padding inside.
# - Train for four epochs, `lesson.either(4, 1)`. Expected: all are less accurate, and the network without the ReLU is
#   as good as the one with it. A network needs time to learn to use its ReLU, so a comparison holds only for its own
#   length of training.

# %%
lesson.finish()
