"""Traced adapters for Consul, etcd and Vault: the target state.

`bridge.adapters.consul`, `.etcd` and `.vault` need the extra of that name. What they share is
here: `errors`, `tracing`, `metrics`, `worker`, `redaction`, and the names in `conventions`.
"""
