"""One module per rule; a rule is registered by being here."""
