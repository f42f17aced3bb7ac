"""The files that prove a client without a secret: a key, or a certificate with its key (T12)."""

from proxy.hosts import host_of
from proxy.net.tls_client import ClientTlsFiles
from proxy.net.tls_pair import CertificatePair
from proxy.oauth.key_file import KeyFile
from proxy.settings.client_table import ClientSettings
from proxy.settings.model import Settings

__all__ = ["ProofFiles", "proof_files"]

ProofFiles = KeyFile | ClientTlsFiles
"""Two are equal where what they hold is one and the same: clients may share it."""


def proof_files(client: ClientSettings, settings: Settings) -> ProofFiles | None:
    """Return where the proof of a client is, None where that is a secret, or files are missing."""
    key, cert = client.client_key_file, client.client_cert_file
    if key is None:
        return None
    setting = settings.file_of(client, "client_key_file")
    if client.client_auth == "private_key_jwt":
        # Where there is no id, it is wanted beside the file: clients that share one share both.
        id_setting = f"{setting.removesuffix('file')}id"
        if client.client_key_id is not None:
            id_setting = settings.file_of(client, "client_key_id")
        return KeyFile(key, setting, client.client_key_id, id_setting)
    if client.client_auth == "tls_client_auth" and cert is not None:
        pair = CertificatePair(cert, key, settings.file_of(client, "client_cert_file"), setting)
        return ClientTlsFiles(pair, host_of(client.token_url))
    return None
