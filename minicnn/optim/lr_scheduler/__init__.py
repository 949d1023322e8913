"""Learning-rate schedules; names and values as in torch.optim.lr_scheduler."""

from minicnn.optim.lr_scheduler.combined import ChainedScheduler as ChainedScheduler
from minicnn.optim.lr_scheduler.combined import SequentialLR as SequentialLR
from minicnn.optim.lr_scheduler.curves import CosineAnnealingLR as CosineAnnealingLR
from minicnn.optim.lr_scheduler.curves import LambdaLR as LambdaLR
from minicnn.optim.lr_scheduler.curves import LinearLR as LinearLR
from minicnn.optim.lr_scheduler.curves import MultiStepLR as MultiStepLR
from minicnn.optim.lr_scheduler.curves import StepLR as StepLR
from minicnn.optim.lr_scheduler.one_cycle import OneCycleLR as OneCycleLR
from minicnn.optim.lr_scheduler.plateau import ReduceLROnPlateau as ReduceLROnPlateau
from minicnn.optim.lr_scheduler.scheduler import LRScheduler as LRScheduler
