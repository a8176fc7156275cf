"""What an operator does once: a secret, a database that Vault may make users in, and a role."""

from __future__ import annotations

from typing import Any

from bridge.adapters.redaction import Secret
from bridge.adapters.vault import AppRole

CREATE_USER = """
CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';
GRANT pg_read_all_data TO "{{name}}";
"""

MAY = """
path "secret/data/shop/*" { capabilities = ["read"] }
path "database/creds/shop" { capabilities = ["read"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/revoke" { capabilities = ["update"] }
"""


def set_up(root: Any, database_port: int, database_password: str) -> AppRole:
    """With hvac's plain client and all rights; how the shop logs in."""
    root.secrets.kv.v2.create_or_update_secret(
        "shop/payment", {"provider": "acme", "api_key": "a-key-nobody-should-see"}
    )
    root.sys.enable_secrets_engine("database")
    root.secrets.database.configure(
        "postgres",
        plugin_name="postgresql-database-plugin",
        allowed_roles=["shop"],
        connection_url="postgresql://{{username}}:{{password}}"
        f"@127.0.0.1:{database_port}/postgres?sslmode=disable",
        username="postgres",
        password=database_password,
    )
    root.secrets.database.create_role(
        "shop", "postgres", [CREATE_USER], default_ttl="3s", max_ttl="6s"
    )
    root.sys.create_or_update_policy("shop", MAY)
    root.sys.enable_auth_method("approle")
    root.auth.approle.create_or_update_approle("shop", token_policies=["shop"], token_ttl="1h")
    role_id = root.auth.approle.read_role_id("shop")["data"]["role_id"]
    secret_id = root.auth.approle.generate_secret_id("shop")["data"]["secret_id"]
    return AppRole(role_id, Secret(secret_id))
