"""TLS to the upstream, the token endpoint and the egress proxy (G8)."""

import ssl
from pathlib import Path

__all__ = ["CaFileError", "client_context"]


class CaFileError(ValueError):
    """The file of SIGNICAT_PROXY_CA_FILE cannot be used; the text says why and is safe to show."""


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that speaks TLS 1.2 or later and HTTP/1.1, and always verifies.

    Trusted is what the system trusts or, with `ca_file` (PEM), what stands
    there and nothing else. Reads files: call it before the loop runs. Raises
    `CaFileError`.

    `ssl.create_default_context` is not used because it obeys `SSLKEYLOGFILE`,
    which would write the session keys that protect tokens to a file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError as error:
        raise CaFileError(
            "SIGNICAT_PROXY_CA_FILE: no certificates in PEM form in this file"
        ) from error
    except OSError as error:
        raise CaFileError(f"SIGNICAT_PROXY_CA_FILE: cannot be read ({error.strerror})") from error
    return context
