"""Run a program before and after its migration, and say whether Jaeger would show the same."""
