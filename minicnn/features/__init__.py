"""The microscope: what the stages of a network see, and how much can be read from them.

activations      the outputs of named modules; pooled over pictures or under masks
receptive_field  the receptive field of every layer, exact, and effective as gradients measure it
probe            linear probes: how well labels can be read from features
ladder           probes for every level of PartWorld, at every stage of a network
separation       which kinds of model can learn PartWorld, and which can't
"""

from minicnn.features.activations import average_pool, extract, pool_under_masks
from minicnn.features.ladder import probe_ladder, probe_pixels
from minicnn.features.probe import LinearProbe, fit_linear_probe
from minicnn.features.receptive_field import EffectiveField, LayerField, effective_field, receptive_fields
from minicnn.features.separation import measure_separation

__all__ = [
    "EffectiveField",
    "LayerField",
    "LinearProbe",
    "average_pool",
    "effective_field",
    "extract",
    "fit_linear_probe",
    "measure_separation",
    "pool_under_masks",
    "probe_ladder",
    "probe_pixels",
    "receptive_fields",
]
