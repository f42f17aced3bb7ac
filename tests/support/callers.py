"""Callers that prove who they are: keys, and a file that knows them."""

import base64
import hashlib
from pathlib import Path
from typing import Final

__all__ = [
    "BILLING_KEY",
    "CALLERS",
    "OTHER_SHOP_KEY",
    "SHOP_KEY",
    "STRANGE_KEY",
    "basic",
    "bearer",
    "config_with",
    "key_file",
]

SHOP_KEY: Final = "shop-key-of-the-test+/0123456789AB=="
OTHER_SHOP_KEY: Final = "other-shop-key-of-the-test-0123456789"
BILLING_KEY: Final = "billing-key-of-the-test-0123456789ab"
STRANGE_KEY: Final = "strange-key-of-the-test-0123456789ab"
CALLERS: Final = """
[clients.auth]
client_id = "dev-auth-1"

[clients.sign]
client_id = "dev-sign-1"

[[routes]]
path = "/"
client = "auth"

[[routes]]
path = "/sign"
client = "sign"

[callers.shop]
key_file = "{folder}/shop-key"

[callers.billing]
key_sha256 = ["{billing}"]
clients = ["sign"]
max_in_flight = 2
"""
"""Two clients; `shop` may use both, `billing` one, with two requests at a time."""


def bearer(key: str, header: str = "Authorization") -> str:
    """Return a header line with a key."""
    return f"{header}: Bearer {key}"


def basic(name: str, key: str, header: str = "Authorization") -> str:
    """Return a header line with a name and a key."""
    return f"{header}: Basic {base64.b64encode(f'{name}:{key}'.encode()).decode()}"


def key_file(folder: Path, *keys: str) -> Path:
    """Write the file of the caller `shop` anew."""
    path = folder / "shop-key"
    path.write_text("".join(f"{key}\n" for key in keys))
    return path


def config_with(folder: Path, callers: str = CALLERS) -> Path:
    """Write a configuration file with callers, and the key file of `shop`."""
    key_file(folder, SHOP_KEY)
    path = folder / "callers.toml"
    digest = hashlib.sha256(BILLING_KEY.encode()).hexdigest()
    path.write_text(callers.format(folder=folder, billing=digest))
    return path
