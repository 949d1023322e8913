"""Transfer: a backbone that was trained on one data set, used on another with few labelled pictures.

target    TransferTask: the few pictures to adapt to, and those that judge the result
recipes   three ways to use a backbone on it (frozen, fine_tuned, from_scratch); each returns its test accuracy
"""

from minicnn.transfer.recipes import cached_features, fine_tuned, from_scratch, frozen, probe_head
from minicnn.transfer.target import TransferTask

__all__ = ["TransferTask", "cached_features", "fine_tuned", "from_scratch", "frozen", "probe_head"]
