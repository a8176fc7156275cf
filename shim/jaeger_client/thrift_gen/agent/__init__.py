"""The agent's interface."""
