"""Optimisers, schedules, clipping and weight averaging; names, settings and update rules as in torch.optim."""

from minicnn.optim import lr_scheduler as lr_scheduler
from minicnn.optim.adam import Adam as Adam
from minicnn.optim.adam import AdamW as AdamW
from minicnn.optim.averaging import ExponentialMovingAverage as ExponentialMovingAverage
from minicnn.optim.clipping import clip_grad_norm_ as clip_grad_norm_
from minicnn.optim.clipping import clip_grad_value_ as clip_grad_value_
from minicnn.optim.lr_scheduler import ChainedScheduler as ChainedScheduler
from minicnn.optim.lr_scheduler import CosineAnnealingLR as CosineAnnealingLR
from minicnn.optim.lr_scheduler import LambdaLR as LambdaLR
from minicnn.optim.lr_scheduler import LinearLR as LinearLR
from minicnn.optim.lr_scheduler import LRScheduler as LRScheduler
from minicnn.optim.lr_scheduler import MultiStepLR as MultiStepLR
from minicnn.optim.lr_scheduler import OneCycleLR as OneCycleLR
from minicnn.optim.lr_scheduler import ReduceLROnPlateau as ReduceLROnPlateau
from minicnn.optim.lr_scheduler import SequentialLR as SequentialLR
from minicnn.optim.lr_scheduler import StepLR as StepLR
from minicnn.optim.optimizer import Optimizer as Optimizer
from minicnn.optim.rmsprop import RMSprop as RMSprop
from minicnn.optim.sgd import SGD as SGD
