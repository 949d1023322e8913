"""Training: the loop, its measures, and how a run stops, is saved and continues."""

from minicnn.training.batch_norm import reestimate_batch_norm
from minicnn.training.checkpoint import load_checkpoint, save_checkpoint
from minicnn.training.early_stopping import EarlyStopping
from minicnn.training.evaluation import TopLosses, evaluate, predict, top_losses
from minicnn.training.fit import fit
from minicnn.training.history import append_record, read_history, start_history
from minicnn.training.interruption import TrainingInterrupted
from minicnn.training.learning_rate_finder import LearningRateCurve, lr_find
from minicnn.training.loss_surface import loss_surface, random_direction
from minicnn.training.metrics import accuracy, binary_accuracy, confusion_matrix, topk_accuracy
from minicnn.training.run import Run

__all__ = [
    "EarlyStopping",
    "LearningRateCurve",
    "Run",
    "TopLosses",
    "TrainingInterrupted",
    "accuracy",
    "append_record",
    "binary_accuracy",
    "confusion_matrix",
    "evaluate",
    "fit",
    "load_checkpoint",
    "loss_surface",
    "lr_find",
    "predict",
    "random_direction",
    "read_history",
    "reestimate_batch_norm",
    "save_checkpoint",
    "start_history",
    "top_losses",
    "topk_accuracy",
]
