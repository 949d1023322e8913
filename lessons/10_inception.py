# %% [markdown]
# # 10. Inception: is the 1x1 worth it?
#
# **Question.** An Inception block puts a 1x1 convolution in front of each larger window. Does that pay, in accuracy for
# the same multiply-adds?
#
# **What you need to know.** What a convolution costs, what batch norm and a learning-rate schedule do (lesson 8), and
# how a network is trained (lesson 5).
#
# **Your time.** 50 minutes, both exercises included.
#
# **Machine time.** `86` s on two cores.
#
# **Numbers in this text** are from one recorded run of `minicnn lesson run 10`; `lessons/recorded/10_inception.json`
# names its machine and versions. Yours are printed beside the bands in which they are expected.
#
# Which window is the right one, 1x1, 3x3 or 5x5? Christian Szegedy and his colleagues answered in 2014: all of them at
# once, side by side, and pooling too; let training decide. Their network is called GoogLeNet, its block Inception. In
# its plain form such a block is expensive. So they put a 1x1 convolution (a *pointwise* convolution) in front of each
# larger window: at every place it mixes the channels into fewer channels, and the window slides over those. This is a
# *bottleneck*, or *dimension reduction*. The 1x1 is cheap, but information may be lost in it.
#
# [//]: # (seconds:.0f)

# %%
import numpy as np

from minicnn import manual_seed, nn, teach
from minicnn.backbones.googlenet import TABLE, BasicConv2d, Inception, Width
from minicnn.data import DataLoader, PartWorld
from minicnn.data.transforms import Compose, Normalize, RandomHorizontalFlip
from minicnn.figures.blocks import branches_figure
from minicnn.optim import SGD, OneCycleLR
from minicnn.tensor import Tensor
from minicnn.training import evaluate, fit, reestimate_batch_norm

lesson = teach.begin("10_inception", budget=120)

# %% [markdown]
# ## Predict
#
# The first block of the paper's table, 3a, takes 192 channels. Its 5x5 window gives 32; the 1x1 in front of it leaves
# 16 of the 192.
#
# Before you run on, write down your answers: `minicnn lesson predict 10` asks for them, and keeps them in
# `answers/predictions.json`, a file of your own.

# %%
lesson.predict("five", "Multiply-adds of 3a's 5x5 branch: how many times as many would they be without the 1x1?")
lesson.predict(
    "same_cost",
    "Two networks of the same multiply-adds: narrow without the 1x1, wider with it. Which is more accurate?",
    choices=("with the 1x1", "without", "no difference beyond the spread over seeds"),
)
lesson.predict(
    "same_width",
    "Two of the same width: without the 1x1 costs 2.5 times as many multiply-adds. Which is more accurate?",
    choices=("with the 1x1", "without", "no difference beyond the spread over seeds"),
)

# %% [markdown]
# ## Read
#
# The table first. A row tells how many channels each convolution of a block gives.

# %%
print("row", *Width._fields, "out", sep="  ")
for name, row in TABLE.items():
    print(name, *row, row.out, sep="  ")

# %% [markdown]
# And the block: four branches, and one line that stacks their feature maps as channels (*concatenation*).

# %%
lesson.read("minicnn/backbones/googlenet.py:Inception")

# %% [markdown]
# Build a tiny one and send a map through it. "Lesson 10: a block from its row of the table" in VS Code, or
# `MINICNN_STOP=10_inception:building`, stops before the first; `MINICNN_STOP=10_inception:branches` before the second.

# %%
if lesson.stop("building"):
    breakpoint()  # step into Inception.__init__: which channels go in and out of each convolution?
tiny = Inception(6, Width(one=2, three_reduce=3, three=4, five_reduce=1, five=2, pool=2), branch3_kernel=5).eval()
if lesson.stop("branches"):
    breakpoint()  # step into the block's forward: four maps of the same height and width, stacked
print("one map in, (1, 6, 5, 5); one map out,", tiny(Tensor(np.ones((1, 6, 5, 5), np.float32))).shape)

# %% [markdown]
# ## Run
#
# First, the counting. Here is block 3a as in the paper, for a map of 28x28 places, and the same block without the two
# 1x1 convolutions in front of larger windows. (The 1x1 after the pooling stays in both.)

# %%


def with_reduction(in_channels, row):
    """The paper's block."""
    return Inception(in_channels, row, branch3_kernel=5)


def without_reduction(in_channels, row):
    """The same block, its larger windows on all channels of the input."""
    block = with_reduction(in_channels, row)
    block.branch2 = BasicConv2d(in_channels, row.three, kernel_size=3, padding=1)
    block.branch3 = BasicConv2d(in_channels, row.five, kernel_size=5, padding=2)
    return block


def of_branches(block, in_channels, size=28):
    """The multiply-adds of each branch of a block, in millions."""
    rows = nn.summary(block, (in_channels, size, size)).rows
    return [sum(row.multiply_adds for row in rows if row.path.startswith(f"branch{n}")) / 1e6 for n in (1, 2, 3, 4)]


of_3a = {"with": of_branches(with_reduction(192, TABLE["3a"]), 192)}
of_3a["without"] = of_branches(without_reduction(192, TABLE["3a"]), 192)
for name, branches in of_3a.items():
    print(f"3a {name:7s}", *(f"{branch:6.1f}" for branch in branches), f"together {sum(branches):.1f} million")
lesson.number("five_with", of_3a["with"][2], band=(12.4, 12.5), unit="M")
lesson.number("five_without", of_3a["without"][2], band=(120.4, 120.5), unit="M")
lesson.number("block_times", sum(of_3a["without"]) / sum(of_3a["with"]), band=(2.4, 2.42), unit="times")
lesson.outcome("five", of_3a["without"][2] / of_3a["with"][2], within=0.1)

# %% [markdown]
# The 5x5 branch costs `12.4` million multiply-adds with the 1x1 and `120.4` without it, and the whole block `2.4` times
# as many without. Both give maps of the same shape, but not of the same information: the 5x5 after the 1x1 sees only 16
# mixtures of the 192 channels. The multiply-adds that are saved can be spent on more channels everywhere. Is the
# network then more accurate?
#
# So here are small networks of three blocks, 3a, 3b and 4a, with about a ninth of the table's channels. One has the
# 1x1; one is without it, and so costs 2.5 times as much; one is without it and so much narrower that it costs the same.
# All are trained alike.
#
# [//]: # (five_with:.1f five_without:.1f block_times:.1f)

# %%


def network(block, stem):
    """conv3x3, stride 2 - 3a - pool - 3b - pool - 4a - 2x2 means - linear; the table's channels times stem / 192."""
    layers = [BasicConv2d(3, stem, kernel_size=3, stride=2, padding=1)]  # (N, 3, 32, 32) -> (N, stem, 16, 16)
    channels = stem
    for name, last in (("3a", nn.MaxPool2d(2)), ("3b", nn.MaxPool2d(2)), ("4a", nn.AdaptiveAvgPool2d(2))):
        row = Width(*(max(1, round(each * stem / 192)) for each in TABLE[name]))
        layers += [block(channels, row), last]
        channels = row.out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * channels, 10))


def cost(block, stem):
    """The multiply-adds of a network for one picture, in millions."""
    return nn.summary(network(block, stem), (3, 32, 32)).multiply_adds / 1e6


def stem_of_same_cost(block, millions):
    """The stem with which a network of such blocks comes nearest to that cost."""
    return min(range(4, 24), key=lambda stem: abs(cost(block, stem) - millions))


stem = 192 // 9
same = cost(with_reduction, stem)
networks = {
    "with": (with_reduction, stem),
    "without_wide": (without_reduction, stem),
    "without": (without_reduction, stem_of_same_cost(without_reduction, same)),
}
costs = {name: cost(*of_name) for name, of_name in networks.items()}
for name, (_, channels) in networks.items():
    print(f"{name:12s} {channels:2d} channels after the first convolution, {costs[name]:.2f} million multiply-adds")
lesson.number("wide_times", costs["without_wide"] / costs["with"], band=(2.4, 2.6), unit="times")

# %% [markdown]
# Now train them, each from four seeds. A seed decides the first weights and the order of the pictures.

# %%
normalize = Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
pictures = PartWorld("train", lesson.either(4000, 256))
test = DataLoader(PartWorld("test", lesson.either(2000, 256)), batch_size=250, transform=normalize)
seeds, epochs = range(lesson.either(4, 2)), lesson.either(5, 1)


def trained_accuracy(block, stem, seed):
    """The accuracy on new pictures of a network of such blocks, trained from `seed`."""
    manual_seed(seed)
    model = network(block, stem)
    flipped = Compose([RandomHorizontalFlip(), normalize])
    loader = DataLoader(pictures, batch_size=64, shuffle=True, drop_last=True, transform=flipped)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = OneCycleLR(optimizer, max_lr=0.1, total_steps=epochs * len(loader), pct_start=0.25)
    fit(model, loader, optimizer, epochs=epochs, schedule=schedule, schedule_every="step", progress=False)
    reestimate_batch_norm(model, DataLoader(pictures, batch_size=250, transform=normalize), batches=8)
    return evaluate(model, test)["accuracy"]


def accuracies_of(name, block, stem):
    """The accuracy (S,) of each seed; each is printed when its training ends."""
    print(f"{name:12s} accuracy of each seed", end="", flush=True)
    found = []
    for seed in seeds:
        found.append(trained_accuracy(block, stem, seed))
        print(f" {found[-1]:.3f}", end="", flush=True)
    print()
    return np.array(found)


accuracies = {name: accuracies_of(name, *one) for name, one in networks.items()}

# %% [markdown]
# When does a difference between two means count? As in lesson 8, if it is more than three times its standard error
# (*significant*). With four seeds, chance alone gives such a difference in one comparison of forty.

# %%


def lead(name, other):
    """By how much `name` is more accurate than `other`, in the mean over seeds, and the standard error of that."""
    a, b = accuracies[name], accuracies[other]
    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return a.mean() - b.mean(), max(error, 0.0005)  # no less than one picture of 2,000


def verdict(other):
    """Whether the network with the 1x1 is the more or the less accurate one by three standard errors, or neither."""
    difference, error = lead("with", other)
    if abs(difference) <= 3 * error:
        return "no difference beyond the spread over seeds"
    return "with the 1x1" if difference > 0 else "without"


def record(name, errors=None):
    """The numbers of one network: accuracy, cost, and how far the one with the 1x1 is ahead of it.

    `errors` says from how many to how many standard errors that lead may be.
    """
    found = accuracies[name]
    print(f"{name:12s} accuracy {found.mean():.3f}, from {found.min():.3f} to {found.max():.3f}")
    for measure, value in (("mean", found.mean()), ("min", found.min()), ("max", found.max())):
        lesson.number(f"{name}_{measure}", value, band=(0.75, 0.96), fast_band=(0.03, 0.3))
    lesson.number(f"{name}_multiply_adds", costs[name], band=(0.9, 2.7), unit="M")
    if errors:
        difference, error = lead("with", name)
        lesson.number(f"lead_over_{name}", difference, band=(-0.03, 0.1), fast_band=(-0.2, 0.2))
        lesson.number(f"error_over_{name}", error, band=(0, 0.03), fast_band=(0, 0.1))
        lesson.number(f"errors_over_{name}", difference / error, errors, fast_band=(-1e3, 1e3), unit="errors")


record("with")
record("without_wide", errors=(-4, 4))
record("without", errors=(2, 30))
too_short = lesson.either("", "one epoch on 256 pictures leaves all networks at chance")
lesson.outcome("same_cost", verdict("without"), undecided=too_short)
lesson.outcome("same_width", verdict("without_wide"), undecided=too_short)

# %% [markdown]
# Accuracy on 2,000 new pictures, mean and from lowest to highest of four seeds:
#
# - with the 1x1: `0.915` (`0.910` to `0.922`), for `1.02` million multiply-adds a picture;
# - without, as wide: `0.907` (`0.898` to `0.914`), for `2.57` million;
# - without, of the same cost: `0.870` (`0.856` to `0.882`), for `0.96` million.
#
# Of the same cost, the network with the 1x1 is ahead by `0.045` (standard error `0.006`). This is significant: the 1x1
# is worth its cost. Of the same width, it is ahead by `0.009` (`0.005`), which is not significant: the information that
# the 1x1 may lose makes no measurable difference. Without it, the same accuracy takes `2.5` times the multiply-adds.
#
# [//]: # (with_mean:.3f with_min:.3f with_max:.3f with_multiply_adds:.2f without_wide_mean:.3f without_wide_min:.3f)
# [//]: # (without_wide_max:.3f without_wide_multiply_adds:.2f without_mean:.3f without_min:.3f without_max:.3f)
# [//]: # (without_multiply_adds:.2f lead_over_without:.3f error_over_without:.3f lead_over_without_wide:.3f)
# [//]: # (error_over_without_wide:.3f wide_times:.1f)

# %% [markdown]
# ## Control
#
# What makes the block cheaper: the 1x1, or its smaller number of channels? And why is the network with the 1x1 better:
# because it is wider for the same cost, or because it is deeper, with one more batch norm and ReLU before each window?
# A fourth network answers both. It has a 1x1 in the same places, but its 1x1 keeps all channels. A claim that should
# fail is that such a 1x1 makes block 3a cheaper. Then this network is trained too, so narrow that it costs the same as
# the others.

# %%


def with_keeping(in_channels, row):
    """The paper's block, but its two 1x1 give as many channels as they take."""
    return Inception(in_channels, row._replace(three_reduce=in_channels, five_reduce=in_channels), branch3_kernel=5)


ratio = sum(of_branches(with_keeping(192, TABLE["3a"]), 192)) / sum(of_3a["without"])
lesson.number("keeping_times", ratio, band=(1.1, 1.2), unit="times")
lesson.control("a 1x1 that keeps all channels makes block 3a cheaper", ratio, fails_above=1)

keeping = (with_keeping, stem_of_same_cost(with_keeping, same))
costs["keeping"] = cost(*keeping)
accuracies["keeping"] = accuracies_of("keeping", *keeping)
record("keeping", errors=(2, 30))
difference, error = lead("keeping", "without")
lesson.number("deeper_over_without", difference, band=(-0.03, 0.06), fast_band=(-0.2, 0.2))
lesson.number("error_of_deeper", error, band=(0, 0.03), fast_band=(0, 0.1))
lesson.number("errors_of_deeper", difference / error, band=(-4, 4), fast_band=(-1e3, 1e3), unit="errors")

# %% [markdown]
# With 1x1 that keep all channels, block 3a costs `1.19` times what it costs without any: a 1x1 saves only by leaving
# fewer channels to the window after it.
#
# And the network with such blocks, at `0.99` million multiply-adds, reaches `0.885` (`0.871` to `0.895`). That is
# between the two others of its cost. The network whose 1x1 leave fewer channels is ahead of it by `0.030` (`0.006`),
# which is significant: here the saving pays. The fourth network is ahead of the network without 1x1 by `0.015`
# (`0.008`), which is not: the additional layer may help as well, but four seeds are too few to decide.
#
# [//]: # (keeping_times:.2f keeping_multiply_adds:.2f keeping_mean:.3f keeping_min:.3f keeping_max:.3f)
# [//]: # (lead_over_keeping:.3f error_over_keeping:.3f deeper_over_without:.3f error_of_deeper:.3f)

# %% [markdown]
# ## Figure
#
# Above, block 3a as in the paper and without the two 1x1: boxes as high as they have channels, and beside each branch
# its multiply-adds in millions, for a map of 28x28 places. Below, the accuracies of the small networks.

# %%
row = TABLE["3a"]
one, pool = [("1x1", row.one)], [("max 3x3", 192), ("1x1", row.pool)]
three, five = ("3x3", row.three), ("5x5", row.five)
boxes = {
    "3a with the 1x1": [one, [("1x1", row.three_reduce), three], [("1x1", row.five_reduce), five], pool],
    "3a without": [one, [three], [five], pool],
}
drawn = {name: list(zip(boxes[name], counts, strict=True)) for name, counts in zip(boxes, of_3a.values(), strict=True)}
titles = {
    "with": "with the 1x1",
    "without_wide": "without, as wide",
    "without": "without, of the same cost",
    "keeping": "with a 1x1 that keeps all channels, of the same cost",
}
results = {f"{title}: {costs[name]:.2f} M multiply-adds": accuracies[name] for name, title in titles.items()}
lesson.figure(branches_figure(192, drawn, results))

# %% [markdown]
# ## Exercise
#
# **10a** `lessons/exercises/10a_count_block.py`: count the weights and the multiply-adds of a block from its row of the
# table.
#
# **10b** `lessons/exercises/10b_inception.py`: write the block, from six kernels and the functions of the library.
#
# `minicnn lesson start 10` copies them to `answers/`, where they are yours to edit. `minicnn lesson check 10` says
# whether your answers are right, and if not, what is wrong and where; with `--hint` it says how to go on.
#
# ## Change one line
#
# - Take torchvision's window in the paper's block, `branch3_kernel=3`. Expected: the 5x5 branch of 3a, now a 3x3, falls
#   to 6.0 million multiply-adds.
# - Leave the 5x5 a single channel: in `with_reduction` write `row._replace(five_reduce=1)` for `row`. Expected: 0.8
#   million for that branch of 3a.
# - Make the networks narrower, `stem = 192 // 12`. Expected: all are less accurate, by about 0.02, and of the same cost
#   the 1x1 is still ahead.

# %%
lesson.finish()
