"""Vault and OpenBao, traced: secrets, dynamic database credentials, encryption.

    with VaultConnection("https://vault:8200", auth=AppRole(role_id, secret_id)) as vault:
        password = SecretStore(vault).read("shop/payment")["password"]
        with DynamicCredentials(vault, "shop-db") as credentials:
            use_with_sqlalchemy(engine, credentials)

Needs the extra `jaeger2otlp[vault]`.
"""

from bridge.adapters.vault.auth import AppRole, Auth, ServiceAccount
from bridge.adapters.vault.connection import VaultConnection
from bridge.adapters.vault.database import (
    Credentials,
    DynamicCredentials,
    psycopg_pool_arguments,
    use_with_sqlalchemy,
)
from bridge.adapters.vault.kv import SecretData, SecretStore, Version
from bridge.adapters.vault.transit import Transit

__all__ = [
    "AppRole",
    "Auth",
    "Credentials",
    "DynamicCredentials",
    "SecretData",
    "SecretStore",
    "ServiceAccount",
    "Transit",
    "VaultConnection",
    "Version",
    "psycopg_pool_arguments",
    "use_with_sqlalchemy",
]
