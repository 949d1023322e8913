"""What all tests share: Hypothesis without a deadline, because the first example of a kernel compiles it."""

from hypothesis import settings

settings.register_profile("minicnn", deadline=None)
settings.load_profile("minicnn")
