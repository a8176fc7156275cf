"""The command line: scan, migrate, compare, run."""

__version__ = "0.1.0"
