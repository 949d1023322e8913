"""The microscope: activations of named modules, receptive fields, probes, and the feature ladder."""

from minicnn.features.activations import extract as extract
