# %% [markdown]
# # 3. Step through autograd
#
# **Question.** Who calls whom in `backward`, and how do we know that the gradients are right?
#
# **What you need to know.** Lesson 2; the chain rule.
#
# **Your time.** 60 minutes, both exercises included.
#
# **Machine time.** `7` s on two cores.
#
# **Numbers in this text** are from one recorded run of `minicnn lesson run 3`;
# `lessons/recorded/03_step_through_autograd.json` names its machine and versions. Yours are printed beside the bands in
# which they are expected.
#
# Lesson 2 asked for the gradient of a loss and got it, by `loss.backward()`. That gradient was not worked out with
# pencil and paper; the program found it from the operations that had made the loss. This is *automatic
# differentiation*, autograd for short (here in *reverse mode*; for neural networks it is called *backpropagation*). It
# needs only two things: each operation must know its own slope (its *derivative*), and the operations must be called in
# the right order.
#
# [//]: # (seconds:.0f)

# %%
import numpy as np

from minicnn import Tensor, gradcheck, optim, random, teach
from minicnn import functional as F
from minicnn.data import PartWorld
from minicnn.engine import topological_order
from minicnn.figures.gradients import autograd_figure
from minicnn.tensor import make_result

lesson = teach.begin("03_step_through_autograd", budget=20)

# %% [markdown]
# ## Predict
#
# First: `y = y + y`, 16 times over, beginning with a number `x`. From the last sum back to the first there are two to
# the power of 15, that is 32,768, ways, for each sum uses the one before it twice.
#
# Second: a slope can also be had without any calculus, by going a step h to either side and dividing the rise by 2h.
# In float64, about 16 digits of each number are kept.
#
# Before you run on, write down your answers: `minicnn lesson predict 3` asks for them, and keeps them in
# `answers/predictions.json`, a file of your own.

# %%
lesson.predict("calls", "How often is the first sum's backward called?", choices=("once", "16 times", "32,768 times"))
lesson.predict(
    "step",
    "With which step does that slope come nearest to the true one?",
    choices=("0.01", "0.000001", "0.000000000001"),
)

# %% [markdown]
# ## Read
#
# An operation is a function that computes its result, says how to go back, and hands both to `make_result`. Here is one
# of the shortest, relu, which keeps positive numbers and puts 0 for all others: $y = \max(x, 0)$.

# %%
lesson.read("minicnn/functional/activation.py:relu")
lesson.read("minicnn/tensor.py:make_result")

# %% [markdown]
# `backward` is a function inside a function: it remembers `y` from the time when relu was called. Give it the slope of
# the loss in relu's *result*, and it gives back the slope in relu's *input*: the same number where the input was
# positive, else 0. This is the chain rule,
# $\partial L / \partial x = \partial L / \partial y \cdot \partial y / \partial x$, for every element. The function
# needs to know nothing of the operations before and after it.
#
# `make_result` puts it into a `Node`, which points to the nodes of the inputs; together the nodes are the
# *computational graph*. Let us call one by hand. (To see it from inside, set
# `MINICNN_STOP=03_step_through_autograd:one_relu`.)

# %%
y = F.relu(Tensor(np.array([-1.0, 2.0, 3.0]), requires_grad=True))
print("a result remembers its operation:", y.node, "made from", y.node.inputs)
if lesson.stop("one_relu"):
    breakpoint()  # step into backward, in functional/activation.py
print("slopes 10, 20, 30 in the result are these in the input:", y.node.backward(np.array([10.0, 20.0, 30.0]))[0])

# %% [markdown]
# That is all an operation has to know. The rest is done once, for all of them, by the three functions below: the order,
# the walk, and the place where slopes arrive.

# %%
lesson.read("minicnn/engine.py:topological_order")
lesson.read("minicnn/engine.py:run_backward")
lesson.read("minicnn/engine.py:Node.receive")

# %% [markdown]
# The smallest graph with a difficulty in it: `x` is used twice, once directly and once through a product. A *hook* is a
# function that a Tensor calls when its gradient has come; we let every Tensor print. To walk along, set
# `MINICNN_STOP=03_step_through_autograd:walk`, or choose "Lesson 3: the walk through a small graph" in VS Code.

# %%
x = Tensor(np.array(2.0), requires_grad=True)
w = Tensor(np.array(3.0), requires_grad=True)
product = x * w
total = product + x
loss = F.relu(total)
for name, tensor in {"x": x, "w": w, "product": product, "total": total, "loss": loss}.items():
    tensor.register_hook(lambda gradient, name=name: print(f"  the gradient of {name} is {gradient.item():g}"))
print("the order:", [node.name for node in topological_order(loss.node)])
if lesson.stop("walk"):
    breakpoint()  # step into backward, then run_backward
loss.backward()
lesson.number("gradient_of_x", x.grad.item(), band=(4, 4))

# %% [markdown]
# `x` printed last, and it printed once. Its gradient is `4`: 1 by the direct way, and 3, which is `w`, through the
# product. `receive` added the two up, and `x`'s own turn came only when both were in. This is what the order is for: *a
# node comes after every node that uses it*. An order with this property is called topological. Had `x` been called as
# soon as the first slope arrived, it would have had to be called again.
#
# ## Run
#
# Now the 16 sums.
#
# [//]: # (gradient_of_x:.0f)

# %%
calls = []
x = Tensor(np.array(1.0), requires_grad=True)
y = x + x
y.register_hook(calls.append)
for _ in range(15):
    y = y + y
y.backward()
lesson.number("calls", len(calls), band=(1, 1))
lesson.number("doubled", x.grad.item(), band=(2**16, 2**16))
lesson.outcome("calls", {1: "once", 16: "16 times", 2**15: "32,768 times"}[len(calls)])

# %% [markdown]
# `1` call, and the gradient is `65,536`, two to the power of 16. A walk that follows every way separately gets the same
# number from 32,768 calls; in a network with 50 shortcuts it would make more than $10^{15}$ calls. In topological order
# each operation is called once, and going back costs about twice as much as going forward.
#
# Second, a network: two layers of convolution, whose scores are averaged over all places, and a loss, the
# *cross-entropy*, that says how surprised the network is by the right class: $L = -\log\, p$, where $p$ is the
# probability that the network gives to the right class. The task is lesson 1's: in which of four directions are the
# strokes drawn?
#
# [//]: # (calls:.0f doubled:,.0f)

# %%
world = PartWorld("train", lesson.either(1000, 300))
grey = world.images.mean(axis=1, keepdims=True, dtype=np.float32) / 255  # (N, 3, 32, 32) -> (N, 1, 32, 32)
grey = (grey - grey.mean()) / grey.std()
labels = world.factors["orientation"]  # (N,): 0 to 3
generator = random.stream("weights")
shapes = {"conv1.weight": (8, 1, 3, 3), "conv1.bias": (8,), "conv2.weight": (4, 8, 3, 3), "conv2.bias": (4,)}
start = {name: generator.uniform(-1, 1, shape) / (3 if "conv1" in name else 8.5) for name, shape in shapes.items()}


def loss_of(weights, pictures, labels, activation=F.relu):
    """The mean cross-entropy of two convolutions with `activation` between them."""
    maps = activation(F.conv2d(pictures, weights["conv1.weight"], weights["conv1.bias"]))  # -> (N, 8, 30, 30)
    scores = F.conv2d(maps, weights["conv2.weight"], weights["conv2.bias"]).mean((2, 3))  # -> (N, 4)
    return F.cross_entropy(scores, labels)


def leaves(dtype):
    """The weights at the start, as Tensors that ask for gradients."""
    return {name: Tensor(array.astype(dtype), requires_grad=True) for name, array in start.items()}


weights = leaves(np.float64)
few, few_labels = grey[:8].astype(np.float64), labels[:8]
loss = loss_of(weights, few, few_labels)
for place, node in enumerate(topological_order(loss.node), 1):
    called = next((name for name, leaf in weights.items() if leaf.node is node), node.name)
    print(f"{place:3d}. {called:13s} {'x'.join(map(str, node.shape)) or 'scalar'}")

# %% [markdown]
# The loss comes first, and the weights of the first layer last. The picture is not in the list, because its gradient
# was not asked for; no time is spent on it.
#
# Is what comes out right? Take a random direction in the space of all weights. The slope of the loss along it is, by
# backward, the sum of gradient times direction. By *central differences* it is the rise of the loss from a step h
# before to a step h after, divided by 2h: $(L(w + h d) - L(w - h d)) / (2 h)$. The second way uses no calculus, no
# graph and no backward function, so the two can agree only if backward is right. We go through many steps h; in
# float64, in float32, and with tanh, which is smooth, in place of relu.

# %%
generator = random.stream("directions")
directions = [
    {name: generator.standard_normal(array.shape) for name, array in start.items()} for _ in range(lesson.either(5, 2))
]


def disagreement(activation, steps, dtype=np.float64):
    """For each step h, the relative difference of backward and central differences: the median over the directions."""
    weights = leaves(dtype)
    loss_of(weights, few.astype(dtype), few_labels, activation).backward()
    shares = np.empty((len(directions), len(steps)))
    for i, direction in enumerate(directions):
        slope = sum((weights[name].grad.numpy() * along).sum() for name, along in direction.items())
        for j, h in enumerate(steps):
            ends = []
            for side in (-h, h):
                moved = {name: (start[name] + side * along).astype(dtype) for name, along in direction.items()}
                ends.append(loss_of(moved, few.astype(dtype), few_labels, activation).item())
            shares[i, j] = abs((ends[1] - ends[0]) / (2 * h) - slope) / abs(slope)
    return np.median(shares, axis=0)


steps = 10.0 ** np.arange(-12, 0.1, lesson.either(0.5, 2))
differences = {
    "tanh, float64": disagreement(F.tanh, steps),
    "relu, float64": disagreement(F.relu, steps),
    "relu, float32": disagreement(F.relu, steps, np.float32),
}
for h, smooth, kinked in zip(steps, differences["tanh, float64"], differences["relu, float64"], strict=True):
    print(f"h {h:.0e}: tanh {smooth:.0e}, relu {kinked:.0e}")
by_step = dict(zip(("0.01", "0.000001", "0.000000000001"), disagreement(F.tanh, (1e-2, 1e-6, 1e-12)), strict=True))
lesson.outcome("step", min(by_step, key=by_step.get))
lesson.number("tanh_at_1e_6", by_step["0.000001"], band=(0, 1e-7))
lesson.number("relu_at_1e_6", differences["relu, float64"][np.isclose(steps, 1e-6)].item(), band=(0, 1e-5))

# %% [markdown]
# At h = 0.000001 the two ways differ by `5e-11` of the slope with tanh and by `2e-10` with relu: nine digits or more
# agree. Along these directions backward is right.
#
# Why not with a smaller step? Then the losses at the two ends agree in nearly all of their 16 digits, and their
# difference consists of *rounding errors*: the error grows as h shrinks. And with a larger step the loss is not a
# straight line from end to end (*truncation error*): with tanh the error is a hundred times as large for ten times the
# step. relu has a kink at 0 besides. Between the two ends of a larger step some of its 57,600 inputs change their sign,
# and each of them bends the line a little. In float32 no step makes a precise check possible; therefore gradients are
# checked in float64.
#
# ## Control
#
# A check is worth something only if it finds mistakes. Here is a relu that forgets: its result is right, but its
# backward lets every slope pass, also where the input was negative.
#
# [//]: # (tanh_at_1e_6:.0e relu_at_1e_6:.0e)

# %%


def forgetful_relu(input):
    """relu with a mistake in its backward."""
    return make_result(np.maximum(input.data, 0), (input,), lambda gradient: (gradient,), "forgetful_relu")


share = disagreement(forgetful_relu, [1e-6]).item()
lesson.control("a relu that forgets where its input was negative passes the check", share, fails_above=1e-3)
try:
    gradcheck(forgetful_relu, Tensor(np.array([-1.0, 2.0, 3.0]), requires_grad=True))
except ValueError as error:
    print(error)

# %% [markdown]
# `minicnn.gradcheck` does the same for any function, and names the input and the element that is most wrong. Every
# operation of minicnn is tested with it.
#
# Would we have noticed without it? Train the network twice, from the same start and with the same pictures.

# %%
trainings = {}
for name, activation in {"relu": F.relu, "forgetful relu": forgetful_relu}.items():
    weights = leaves(np.float32)
    optimizer = optim.SGD(weights.values(), lr=0.1, momentum=0.9)
    batches = random.stream("batches")
    trainings[name] = []
    for _ in range(lesson.either(400, 60)):
        chosen = batches.choice(len(grey), 50, replace=False)
        batch_loss = loss_of(weights, grey[chosen], labels[chosen], activation)
        optimizer.zero_grad()
        batch_loss.backward()
        optimizer.step()
        trainings[name].append(batch_loss.item())
lesson.number("relu_loss", np.mean(trainings["relu"][-20:]), band=(0.4, 1.1), fast_band=(1.2, 1.5), unit="nats")
forgetful_loss = np.mean(trainings["forgetful relu"][-20:])
lesson.number("forgetful_loss", forgetful_loss, band=(1.3, 1.5), fast_band=(1.2, 1.5), unit="nats")

# %% [markdown]
# With relu the loss falls to `0.63`. With the forgetful one it stays at `1.39`, and log 4 = 1.39 is what guessing among
# four directions costs. Yet nothing was printed: no error, no NaN, just a network that seems to be too small, or a task
# that seems too hard. A wrong gradient does not look wrong. It has to be checked.
#
# The second control. `detach()` gives a Tensor without a node: the graph is cut there, on purpose. No slope should
# reach the operations before it.
#
# [//]: # (relu_loss:.2f forgetful_loss:.2f)

# %%
weights = leaves(np.float64)
maps = F.relu(F.conv2d(few, weights["conv1.weight"], weights["conv1.bias"])).detach()
scores = F.conv2d(maps, weights["conv2.weight"], weights["conv2.bias"]).mean((2, 3))
F.cross_entropy(scores, few_labels).backward()
arrived = {name: 0.0 if leaf.grad is None else np.abs(leaf.grad.numpy()).max() for name, leaf in weights.items()}
for name, largest in arrived.items():
    print(f"{name:13s} largest gradient {largest:.2g}")
lesson.control("before detach() the first layer still gets a gradient", arrived["conv1.weight"], fails_below=1e-12)

# %% [markdown]
# ## Figure
#
# Left, the graph of the network's loss, forward along the arrows, with the shape of each result and the Euclidean norm
# of its gradient; the numbers are the order of backward. `minicnn.draw_graph(loss)` draws this for any Tensor. Right,
# above, the check at all steps; below, what the mistake did.

# %%
weights = leaves(np.float64)
loss = loss_of(weights, few, few_labels)
averaged = {name: np.reshape(values, (-1, 10)).mean(axis=1) for name, values in trainings.items()}  # over ten steps
lesson.figure(autograd_figure(loss, weights, steps, differences, averaged, every=10))

# %% [markdown]
# ## Exercise
#
# **03a** `lessons/exercises/03a_squared_difference.py`: write an operation of your own, forward and backward.
#
# **03b** `lessons/exercises/03b_backward_order.py`: find an order in which the nodes of a graph can be called.
#
# `minicnn lesson start 3` copies them to `answers/`, where they are yours to edit. `minicnn lesson check 3` says
# whether your answers are right, and if not, what is wrong and where; with `--hint` it says how to go on.
#
# ## Change one line
#
# - In the small graph cut one of the two ways: `total = product.detach() + x`. Expected: `product` and `w` print
#   nothing, and the gradient of `x` is 1.
# - Begin on the other side of the kink: `x = Tensor(np.array(-2.0), requires_grad=True)`. Expected: the loss is 0, and
#   so is every gradient but its own. A relu whose inputs are all negative learns nothing any more.
# - In the loop of sums write `y = y + x`. Expected: still one call, and the gradient is 17, one for each use of `x`.
# - Make the mistake smaller: in `forgetful_relu` write `lambda gradient: (0.99 * gradient * (input.data > 0),)`.
#   Expected: the check still finds it, the training does not; its curve is nearly that of relu.

# %%
lesson.finish()
