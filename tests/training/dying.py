"""A run with everything that has a state, and a loss that ends it at a chosen call, as the end of a process would."""

from minicnn import functional as F
from minicnn import optim
from minicnn.training import EarlyStopping, fit
from tests.training.parts import bits, loader, small_model, without_seconds

EPOCHS, BATCHES, VALIDATION_BATCHES = 3, 7, 3
CALLS = EPOCHS * (BATCHES + VALIDATION_BATCHES)  # of the loss, in a whole run


class Killed(BaseException):
    """Stands in for the end of the process: nothing in the package catches it."""


def dying_loss(at_call, death=Killed):
    calls = []

    def loss(outputs, targets):
        calls.append(1)
        if len(calls) == at_call:
            death()
            raise Killed
        return F.cross_entropy(outputs, targets)

    return loss


def train(folder, seed=0, resume=False, loss=F.cross_entropy, epochs=EPOCHS, **options):
    """One run with everything that has a state; returns the bits of the weights, their average, and the records."""
    model = small_model(seed)
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    average = optim.ExponentialMovingAverage(model, decay=0.9)
    records = fit(
        model,
        loader(prefetch=1),
        optimizer,
        epochs=epochs,
        loss=loss,
        schedule=optim.CosineAnnealingLR(optimizer, T_max=EPOCHS * BATCHES),
        schedule_every="step",
        ema=average,
        early_stopping=EarlyStopping("validation_loss", patience=50),
        validation=loader(size=12, shuffle=False),
        max_gradient_norm=1.0,
        checkpoint=folder / "checkpoint.safetensors",
        history=folder / "history.jsonl",
        resume=resume,
        **options,
    )
    return bits(model), bits(average.module), without_seconds(records)
