"""memstudy: study memorization under noisy labels."""

__version__ = "0.1.0"
