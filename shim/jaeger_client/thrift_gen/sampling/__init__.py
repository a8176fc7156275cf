"""Sampling strategies."""
