"""Benchmarks: each prints ratios against the peers it names, measured in one run."""
