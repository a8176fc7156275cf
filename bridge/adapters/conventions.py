"""Every attribute, metric and unit name of the adapters' telemetry, with where it comes from."""

from __future__ import annotations

# The release of the semantic conventions that the first group is taken from.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

# --- OpenTelemetry semantic conventions
DB_SYSTEM_NAME = "db.system.name"  # "consul" and "etcd" are custom values, as the conventions allow
DB_OPERATION_NAME = "db.operation.name"
DB_OPERATION_BATCH_SIZE = "db.operation.batch.size"
DB_RESPONSE_STATUS_CODE = "db.response.status_code"
ERROR_TYPE = "error.type"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
RPC_METHOD = "rpc.method"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
SERVICE_PEER_NAME = "service.peer.name"

# --- ours, for the background workers of every adapter
ADAPTER_SYSTEM = "adapter.system"
ADAPTER_WORKER = "adapter.worker"
ADAPTER_STATE = "adapter.state"
ADAPTER_STATE_PREVIOUS = "adapter.state.previous"

HEARTBEATS = "adapter.heartbeats"
RENEWALS = "adapter.renewals"
WATCH_LAG = "adapter.watch.lag"
WATCH_RESTARTS = "adapter.watch.restarts"
LOCK_WAIT = "adapter.lock.wait"
LOCK_ACQUIRED = "adapter.lock.acquired"

# --- health checks
HEALTH_CHECK = "health.check"
HEALTH_STATUS = "health.status"  # pass, warn, fail

# --- etcd
ETCD_FOUND = "etcd.found"
ETCD_KEY = "etcd.key"  # what the key policy shows of it
ETCD_LEASE_TTL = "etcd.lease.ttl"  # seconds
ETCD_REVISION = "etcd.revision"
ETCD_TXN_SUCCEEDED = "etcd.txn.succeeded"

# --- Consul
CONSUL_KEY = "consul.key"  # as much of it as the key policy shows
CONSUL_INDEX = "consul.index"
CONSUL_FOUND = "consul.found"
CONSUL_CONSISTENCY = "consul.consistency"
CONSUL_DATACENTER = "consul.datacenter"
CONSUL_SERVICE_NAME = "consul.service.name"
CONSUL_SERVICE_ID = "consul.service.id"
CONSUL_INSTANCES_COUNT = "consul.instances.count"

# --- Vault
VAULT_ENGINE = "vault.engine"
VAULT_FOUND = "vault.found"
VAULT_LEASE_DURATION = "vault.lease.duration"  # seconds
VAULT_LEASE_RENEWABLE = "vault.lease.renewable"
VAULT_MOUNT = "vault.mount"
VAULT_OPERATION = "vault.operation"
