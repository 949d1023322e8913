# %% [markdown]
# # 5. LeNet
#
# **Question.** Why does a convolutional network beat a multi-layer perceptron (MLP) that has more parameters?
#
# **What you need to know.** What a convolution computes (lesson 1), how gradient descent learns weights (lessons 2 and
# 3), and that stacked windows see farther and farther (lesson 4).
#
# **Your time.** 55 minutes, both exercises included.
#
# **Machine time.** `88` s on two cores.
#
# **Numbers in this text** are from one recorded run of `minicnn lesson run 5`; `lessons/recorded/05_lenet.json` names
# its machine and versions. Yours are printed beside the bands in which they are expected.
#
# In 1998 Yann LeCun and others had a network read cheques: two convolutions, each followed by pooling (*subsampling*),
# then three linear layers (*fully connected* layers). LeNet-5 is small enough to be trained here many times over.
#
# The network of this lesson has LeNet-5's layers and sizes, but it is a modern form of the network of 1998. That
# network had a scaled tanh as its activation; ours has ReLU. Its pooling added up 2x2 values, multiplied the sum by a
# learned weight, added a learned bias and applied a sigmoid; ours is *max pooling*, which keeps the largest value. In
# its second convolution most outputs were made of some of the 6 maps only; ours are made of all 6, which takes 2,416
# parameters where the paper has 1,516. Its last layer compared 84 values with ten fixed patterns (*radial basis
# functions*); ours is linear, and its loss is the cross-entropy. It learned from grey pictures by a second-order
# method; ours learns from coloured ones with Adam.
#
# Beside LeNet-5 we set an MLP: linear layers only, so that each value of the first layer is made of *all* pixels. That
# is more than a convolution can do: for every convolution there is a linear layer that computes the same. So how can it
# lose?
#
# The pictures are PartWorld's. The class of a picture is how its three parts are arranged; their colours, textures,
# place and size say nothing about it.
#
# [//]: # (seconds:.0f)

# %%
import copy
import math

import numpy as np

from minicnn import Tensor, backbones, manual_seed, nn, optim, random, teach, use_algorithm
from minicnn.data import DataLoader, PartWorld, TensorDataset
from minicnn.data.transforms import Normalize
from minicnn.figures.classification import comparison_figure
from minicnn.training import confusion_matrix, evaluate, fit, predict

PICTURE = 39  # one whose parts are easy to see
lesson = teach.begin("05_lenet", budget=120)


def lenet():
    return backbones.create("lenet5", num_classes=10, in_chans=3, image_size=32)


def mlp():
    hidden = [nn.Linear(3 * 32 * 32, 256), nn.ReLU(), nn.Linear(256, 84), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(84, 10))


def batches(dataset, shuffle=False):
    return DataLoader(dataset, batch_size=100, shuffle=shuffle, transform=Normalize(0.5, 0.25))


networks = {"LeNet-5": lenet, "MLP": mlp}
key = {"LeNet-5": "lenet", "MLP": "mlp"}  # in the names of numbers

# %% [markdown]
# ## Predict
#
# Before you run on, write down your answers: `minicnn lesson predict 5` asks for them, and keeps them in
# `answers/predictions.json`, a file of your own.

# %%
lesson.predict("first_loss", "Ten classes, and a network with random weights: what is its cross-entropy?")
lesson.predict("share", "An MLP of 13 times LeNet's parameters: what share of its accuracy does it reach?")
lesson.predict(
    "shuffled",
    "The pixels of all pictures are shuffled, in all of them in the same way. Who gets worse?",
    choices=("LeNet-5", "the MLP", "both", "neither"),
)

# %% [markdown]
# ## Read
#
# LeNet's features are two lines. Each is a convolution, which gives a stack of *feature maps*; an activation that takes
# negative values to 0 (ReLU); and a pooling that keeps the largest of every 2x2 values (max pooling). (The shapes in
# the comments are those for grey pictures of 28x28; ours have three colours and 32x32 pixels, and from the first
# convolution on the shapes are the same.)

# %%
lesson.read("minicnn/backbones/lenet.py:LeNet5.forward_features")
images, labels = PartWorld("train", 4).batch([0, 1, 2, 3])  # (4, 3, 32, 32) of 0..1, and (4,)
network = lenet()
with use_algorithm("im2col"):  # quick without compiled kernels, too
    if lesson.stop("forward_features"):
        breakpoint()  # step into forward_features, and on into the layers
    maps = network.forward_features(Tensor(images))
print("maps after the second pooling:", maps.shape)

# %% [markdown]
# And this is how it learns: the training loop, the same for every network of this library. `fit` calls it once an
# epoch. Its heart is four lines: outputs, loss, backward, and in `_update` the step of the optimiser. The pictures of
# one step are a *mini-batch*; an *epoch* is one pass over all training pictures.

# %%
lesson.read("minicnn/training/fit.py:_train_epoch")
with use_algorithm("im2col"):
    if lesson.stop("training_step"):
        breakpoint()  # step into fit, and on into _train_epoch
    records = fit(network, [(images, labels)], optim.SGD(network.parameters(), lr=0.1), epochs=1, progress=False)
print(f"one step with four pictures: loss {records[0]['loss']:.3f}")

# %% [markdown]
# ## Run
#
# ### Two checks before any training
#
# A wrong training rarely stops with an error; it only learns less than it could. Two checks cost seconds and find most
# of the mistakes.
#
# First, the loss before the first step. A network that knows nothing should give each of C classes a probability of
# about 1/C, and the cross-entropy is minus the logarithm of the right one's,
# $-\log\, p_{right} = -\log\, (1/C) = \log\, C$. Much more means that the network begins sure of wrong answers: weights
# or pixels are too large.

# %%
world = {
    "train": PartWorld("train", lesson.either(20_000, 4_000)),
    "val": PartWorld("val", lesson.either(2_000, 500)),
    "test": PartWorld("test", lesson.either(2_000, 500)),
}
manual_seed(0)
for name, make in networks.items():
    first_loss = evaluate(make(), batches(world["val"]))["loss"]
    print(f"{name}: the first loss is {first_loss:.3f}, log(10) is {math.log(10):.3f}")
    lesson.number(f"first_loss_{key[name]}", first_loss, band=(2.28, 2.34), unit="nats")
lesson.outcome("first_loss", first_loss, within=lesson.either(0.03, 0.04))

# %% [markdown]
# LeNet-5 begins with a loss of `2.305`, the MLP with `2.305`; log 10 is 2.303.
#
# Second, can the network learn 32 pictures by heart? It has almost two thousand parameters for each. If its loss does
# not go to zero, something is wrong with loss, gradients, labels or learning rate, and more pictures won't help.
#
# [//]: # (first_loss_lenet:.3f first_loss_mlp:.3f)

# %%
few = PartWorld("train", 32)
network = lenet()
by_heart = fit(network, batches(few), optim.Adam(network.parameters(), lr=0.002), epochs=40, progress=False)
for record in by_heart[9::10]:
    print(f"step {record['epoch']}: loss {record['loss']:.4f}, {record['accuracy']:.0%} right")
lesson.number("loss_by_heart", by_heart[-1]["loss"], band=(0, 0.02), unit="nats")
lesson.number("right_by_heart", by_heart[-1]["accuracy"], band=(1, 1))

# %% [markdown]
# After 40 steps the loss is `0.00004`, and `100%` of the 32 answers are right. Both checks are passed. (Learning by
# heart is a check here, not a success. It is called *overfitting* where new pictures are answered much worse, as the
# MLP's will be below.)
#
# [//]: # (loss_by_heart:.5f right_by_heart:.0%)

# %% [markdown]
# ### What the networks cost
#
# If the MLP loses, its size must not be the reason. So it gets more parameters than LeNet-5, and more multiply-adds.

# %%
costs = {name: nn.summary(make(), (3, 32, 32)) for name, make in networks.items()}
for name, cost in costs.items():
    print(f"\n{name}\n{cost}")
of_lenet, of_mlp = costs.values()
lesson.number("parameters_lenet", of_lenet.parameters, band=(62_006, 62_006))
lesson.number("parameters_mlp", of_mlp.parameters, band=(809_126, 809_126))
lesson.number("parameter_ratio", of_mlp.parameters / of_lenet.parameters, band=(13, 13.1), unit="times")
lesson.number("multiply_add_ratio", of_mlp.multiply_adds / of_lenet.multiply_adds, band=(1.24, 1.25), unit="times")

# %% [markdown]
# The MLP has `809,126` parameters, LeNet-5 `62,006`: `13.0` times as many, and `1.24` times as many multiply-adds for a
# picture.
#
# ### The comparison
#
# Both networks learn from the same pictures, for the same number of epochs, with the same optimiser. What is best for
# one need not be best for the other, so each chooses its learning rate (a *hyperparameter*, which training does not
# learn). All rates are tried, and the rate with the most right answers on the *validation* pictures after the last
# epoch is taken. The *test* pictures are read once, when all is chosen and trained. With the chosen rate we train again
# from other random weights and in another order: a difference counts only if it is larger than that between such runs.
#
# At the same time the control: the same pictures with their pixels shuffled, in all pictures in the same way. No
# information is lost, because the order can be undone. The pictures lose only this: which pixels were neighbours.
#
# [//]: # (parameters_mlp:,.0f parameters_lenet:,.0f parameter_ratio:.1f multiply_add_ratio:.2f)

# %%
order = random.stream("pixel order", seed=0).permutation(32 * 32)


def shuffled(dataset):
    rows = dataset.images.reshape(-1, 3, 32 * 32)[:, :, order]  # (N, 3, H, W) -> (N, 3, H*W)
    return TensorDataset(rows.reshape(-1, 3, 32, 32), dataset.labels)


forms = {"as drawn": world, "shuffled": {split: shuffled(dataset) for split, dataset in world.items()}}
epochs = lesson.either(5, 3)
seeds = lesson.either([0, 1, 2], [0])
rates = lesson.either([0.0005, 0.001, 0.002], [0.003])


def trained(make, pictures, rate, seed):
    """A network after its training, and the records of it."""
    manual_seed(seed)
    network = make()
    learn, choose = batches(pictures["train"], shuffle=True), batches(pictures["val"])
    optimizer = optim.Adam(network.parameters(), lr=rate)
    records = fit(network, learn, optimizer, epochs=epochs, validation=choose, progress=False)
    print(f" {records[-1]['validation_accuracy']:.3f}", end="", flush=True)
    return network, records


runs = {}
for form, pictures in forms.items():
    for name, make in networks.items():
        print(f"{name}, pictures {form}: validation accuracy of each run", end="", flush=True)
        tried = {rate: trained(make, pictures, rate, seeds[0]) for rate in rates}
        scores = {rate: records[-1]["validation_accuracy"] for rate, (_, records) in tried.items()}
        rate = max(scores, key=scores.get)
        runs[form, name] = [tried[rate], *(trained(make, pictures, rate, seed) for seed in seeds[1:])]
        print(f"\n    by learning rate {scores}; taken: {rate}")
        if form == "as drawn":
            lesson.number(f"rate_{key[name]}", rate, band=(0.0005, 0.002), fast_band=(0.003, 0.003))

# %% [markdown]
# For the pictures as drawn, LeNet-5 takes the rate `0.002`, the MLP `0.001`. (If the best rate is the highest or the
# lowest that was tried, a rate beyond it could be better. For LeNet-5 this is so; for the MLP it is not, so its rate is
# not to blame.)
#
# Now the test pictures, once.
#
# [//]: # (rate_lenet:g rate_mlp:g)

# %%
accuracies = {form: {} for form in forms}
for (form, name), of_seeds in runs.items():
    right = [evaluate(network, batches(forms[form]["test"]))["accuracy"] for network, _ in of_seeds]
    accuracies[form][name] = right
    print(f"{name}, pictures {form}: test accuracy {np.mean(right):.3f}, from {min(right):.3f} to {max(right):.3f}")
drawn, after = ({name: np.mean(values) for name, values in accuracies[form].items()} for form in forms)
spread = max(max(values) - min(values) for of_form in accuracies.values() for values in of_form.values())
lesson.number("lenet", drawn["LeNet-5"], band=(0.74, 0.88), fast_band=(0.2, 0.6))
lesson.number("mlp", drawn["MLP"], band=(0.3, 0.44), fast_band=(0.08, 0.2))
lesson.number("spread", spread, band=(0, 0.1))
too_short = lesson.either("", "three epochs on 4,000 pictures are too few for either network")
lesson.outcome("share", drawn["MLP"] / drawn["LeNet-5"], within=0.15, undecided=too_short)

lenet_right, mlp_right = (
    np.mean([records[-1]["accuracy"] for _, records in runs["as drawn", name]]) for name in networks
)
lesson.number("lenet_while_training", lenet_right, band=(0.74, 0.9), fast_band=(0.1, 0.6))
lesson.number("mlp_while_training", mlp_right, band=(0.45, 0.7), fast_band=(0.1, 0.4))

# %% [markdown]
# LeNet-5 is right about `82%` of the test pictures, the MLP about `34%`; chance is 10%. Between runs of one kind, the
# accuracy differs by `0.03` at most, which is far less than the lead.
#
# Does the MLP fail to learn? No: in the last epoch it was right about `53%` of its *training* pictures, far more than
# of new ones. It is learning them by heart (*overfitting*). For LeNet-5 the two are alike (`84%` while training): it
# *generalises*. What an MLP learns about a disc in the upper left corner says nothing about a disc in the middle: other
# pixels, other weights. It has to see every part at every place. LeNet learns a kernel once, and uses the same kernel
# everywhere (*weight sharing*). If a part moves by some pixels, the feature maps move with it (*translation
# equivariance*).
#
# [//]: # (lenet:.0% mlp:.0% spread:.2f mlp_while_training:.0% lenet_while_training:.0%)

# %% [markdown]
# ## Control
#
# If that is the reason, then LeNet's lead must disappear when the pixels are shuffled, and the MLP's accuracy must stay
# the same.

# %%
changes = {name: after[name] - drawn[name] for name in networks}
lesson.number("lenet_shuffled", after["LeNet-5"], band=(0.12, 0.28), fast_band=(0.07, 0.2))
lesson.number("mlp_shuffled", after["MLP"], band=(0.28, 0.44), fast_band=(0.08, 0.2))
lesson.number("mlp_change", changes["MLP"], band=(-0.04, 0.04), fast_band=(-0.06, 0.06))
lesson.control("LeNet-5 leads with shuffled pixels, too", after["LeNet-5"] - after["MLP"], fails_below=0.05)
lenet_worse, mlp_worse = (change < -0.06 for change in changes.values())
who = {(True, True): "both", (True, False): "LeNet-5", (False, True): "the MLP", (False, False): "neither"}
lesson.outcome("shuffled", who[lenet_worse, mlp_worse], undecided=too_short)

# %% [markdown]
# With shuffled pixels LeNet-5 falls to `17%`. The MLP, `34%` before, is now at `34%`: the difference is within the
# spread. For an MLP both are the same task. To see it, take the MLP that has learned the pictures as drawn, and move
# the columns of its first weight matrix as the pixels were moved. What it says about shuffled pictures is then what it
# said about them as drawn.
#
# [//]: # (lenet_shuffled:.0% mlp:.0% mlp_shuffled:.0%)

# %%
original = runs["as drawn", "MLP"][0][0]
twin = copy.deepcopy(original)
columns = np.concatenate([colour * 32 * 32 + order for colour in range(3)])
twin[1].weight.data[:] = original[1].weight.data[:, columns]
of_drawn, of_shuffled = (
    predict(network, batches(forms[form]["test"]))[0] for network, form in ((original, "as drawn"), (twin, "shuffled"))
)
lesson.number("difference_of_twins", np.abs(of_drawn - of_shuffled).max(), band=(0, 1e-4))

# %% [markdown]
# The largest difference between their outputs is `2e-05`, the rounding of sums that are added in another order. LeNet-5
# does not have such a twin: its kernels look at pixels that lie together, and after shuffling those have nothing to do
# with each other.
#
# ### Locality and sharing, counted
#
# The first layer of LeNet-5 makes 6x28x28 numbers of 3x32x32. What would it cost without its two restrictions? If every
# place had kernels of its own, there would be a weight for each of its multiply-adds: that is locality without sharing.
# If every output were made of all pixels, there would be a weight for every pair: that is a linear layer.
#
# [//]: # (difference_of_twins:.0e)

# %%
first_layer = of_lenet.rows[0]
for_every_place = first_layer.multiply_adds
for_every_pair = math.prod(first_layer.output_shape) * 3 * 32 * 32
print(f"the convolution {first_layer.parameters:,}, unshared {for_every_place:,}, linear {for_every_pair:,} weights")
lesson.number("first_layer", first_layer.parameters, band=(456, 456), unit="weights")
lesson.number("unshared", for_every_place, band=(352_800, 352_800), unit="weights")
lesson.number("linear", for_every_pair / 1e6, band=(14.45, 14.46), unit="million")

# %% [markdown]
# `14.45` million weights for a linear layer, `352,800` if each output sees 5x5 pixels only, and `456` (with biases) if
# all places share them. Locality divides the number of weights by about forty, and sharing divides it once more by
# almost eight hundred. The restrictions *are* the advantage: they say, before any learning, that near pixels belong
# together, and that a thing is the same thing everywhere. (An assumption that is built into a network is an *inductive
# bias*.) For pictures both assumptions are true. For shuffled pictures both are false, and the same restrictions make
# learning harder.
#
# [//]: # (linear:.2f unshared:,.0f first_layer:,.0f)

# %% [markdown]
# ## Figure
#
# Above, the training: means of the runs, in a band from the lowest to the highest. Below, the bars are means, the
# points single runs, and under them is one picture in both forms. And where is LeNet-5 still wrong? A *confusion
# matrix* counts, for each true class (row), how many of its pictures were given each class (column).

# %%
network = runs["as drawn", "LeNet-5"][0][0]
outputs, truth = predict(network, batches(world["test"]))
counts = confusion_matrix(outputs, truth)
wrong = outputs.argmax(axis=1) != truth
layouts = np.array([name.split()[0] for name in world["test"].classes])
same_layout = (layouts[outputs.argmax(axis=1)] == layouts[truth])[wrong].mean()
lesson.number("wrong_in_same_layout", same_layout, band=(0.4, 0.8), fast_band=(0.2, 1))

picture = {form: pictures["test"].images[PICTURE].transpose(1, 2, 0) / 255 for form, pictures in forms.items()}
curves = {name: [records for _, records in runs["as drawn", name]] for name in networks}
lesson.figure(comparison_figure(curves, accuracies, picture, counts, world["test"].classes))

# %% [markdown]
# Of its wrong answers, `61%` name a class of the right layout (stack, peak or valley) with the parts in wrong places;
# by chance it would be 29%. So LeNet-5 sees the layout better than the parts.
#
# ## Exercise
#
# **05a** `lessons/exercises/05a_count_convolution.py`: count the parameters and multiply-adds of a convolution.
#
# **05b** `lessons/exercises/05b_cross_entropy.py`: write the loss of a classifier, for scores of any size.
#
# `minicnn lesson start 5` copies them to `answers/`, where they are yours to edit. `minicnn lesson check 5` says
# whether your answers are right, and if not, what is wrong and where; with `--hint` it says how to go on.
#
# ## Change one line
#
# - Show the networks pixels that are too large: `Normalize(0.5, 0.25)` becomes `Normalize(0.5, 0.0025)`. Expected: the
#   first losses are clearly above log 10.
# - Learn nonsense by heart: `few = TensorDataset(few.images, random.stream("nonsense").permutation(few.labels))`, below
#   the line that makes `few`. Expected: the loss still goes to zero. Learning by heart needs no reason in the labels.
# - Give the MLP more hidden units, 512 and 256 in place of 256 and 84. Expected: twice as many parameters, some more
#   right answers, and still far fewer than LeNet-5 gives.
# - Let the learning rate be higher: add 0.004 to the row of the full form. Expected: LeNet-5 takes it for its first
#   run, and its runs differ more from each other; the MLP does not take it.
# - Mirror the pictures at their diagonal in place of shuffling them: `order = np.arange(1024).reshape(32,
#   32).T.ravel()`. Expected: neighbours stay neighbours, LeNet-5 keeps its lead, and the lesson says loudly that the
#   control holds.
#
# [//]: # (wrong_in_same_layout:.0%)

# %%
lesson.finish()
