"""Spans, processes and batches."""
