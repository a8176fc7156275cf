"""Traced adapters for Consul, etcd and Vault: the target state."""
