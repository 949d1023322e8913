"""minicnn: convolutional networks written to be read, stepped through and measured."""

__version__ = "0.1.0"
