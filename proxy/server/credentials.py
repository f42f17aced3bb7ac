"""From settings to what proves each client at the token endpoint (T7, T12)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from proxy.clock import SYSTEM_CLOCK, Clock
from proxy.files import UnusableFileError, unforeseen_is_unusable
from proxy.net.tls_client import ClientCertificate, ClientTlsFiles, load_client_certificate
from proxy.oauth.credential import Credential, CredentialSource, HeldCredential, SigningKey
from proxy.oauth.key_file import KeyFile, load_key
from proxy.oauth.response import HINTS, FailureOutcome, hints
from proxy.oauth.rotation import SecretRotation
from proxy.oauth.secret import SecretSource, SecretUnreadableError
from proxy.server.file_watch import FileWatch, WatchedFiles
from proxy.settings.loader import ClientSettings, Settings
from proxy.settings.names import setting_name
from proxy.settings.proof_files import ProofFiles, proof_files

__all__ = ["Credentials", "hints_for", "load_proof", "new_rotation"]

_PROOFS: Final = {"private_key_jwt": "client_key_file", "tls_client_auth": "client_cert_file"}


def load_proof(files: ProofFiles, clock: Clock) -> SigningKey | ClientCertificate:
    """Return the key, or the certificate; raise `UnusableFileError`."""
    with unforeseen_is_unusable(next(iter(files.paths()))):
        if isinstance(files, KeyFile):
            return load_key(files)
        return load_client_certificate(files, clock.wall)


@dataclass(frozen=True, slots=True)
class _ReadNow:
    """A key, or a certificate, as it is in its file now: for commands, which ask once."""

    files: ProofFiles
    clock: Clock

    @property
    def may_change(self) -> bool:
        return True

    def read(self) -> Credential:
        try:
            return load_proof(self.files, self.clock)
        except UnusableFileError as error:
            raise SecretUnreadableError(error.reason) from None


def _secret_source(client: ClientSettings) -> SecretSource:
    value = client.client_secret
    return SecretSource(
        value=None if value is None else value.get_secret_value(), path=client.client_secret_file
    )


def _rotation(client: ClientSettings, source: CredentialSource) -> SecretRotation:
    previous = client.previous_secret_file
    return SecretRotation(source, None if previous is None else SecretSource(path=previous))


def new_rotation(
    client: ClientSettings, settings: Settings, clock: Clock = SYSTEM_CLOCK
) -> SecretRotation:
    """Return what proves a client, of which nothing has been tried yet; files are read now."""
    files = proof_files(client, settings)
    source = _secret_source(client) if files is None else _ReadNow(files, clock)
    return _rotation(client, source)


def hints_for(client: ClientSettings, settings: Settings) -> Mapping[FailureOutcome, str]:
    """Return the hints of log and status page for this client, which name what proves it."""
    proof = _PROOFS.get(client.client_auth)
    if proof is None:
        return HINTS

    def name_of(field: str) -> str:
        field = proof if field.startswith("client_secret") else field
        is_own = field in ClientSettings.model_fields
        return settings.name_of(client, field) if is_own else setting_name(field)

    return hints(name_of)


class Credentials:
    """Owns the keys and certificates that are in force; `watch` looks at their files (C4).

    Clients that share files share what is in them. Raises `UnusableFileError`.
    """

    def __init__(self, settings: Settings, clock: Clock, watch: FileWatch) -> None:
        self._settings = settings
        self._counters = watch.counters
        self._held: dict[ProofFiles, HeldCredential] = {}
        for client in settings.clients:
            files = proof_files(client, settings)
            if files is not None and files not in self._held:
                self._held[files] = HeldCredential()
                load, use = partial(load_proof, files, clock), partial(self._put, files)
                watch.add(WatchedFiles(files.paths(), load, use))

    def _put(self, files: ProofFiles, proof: SigningKey | ClientCertificate) -> None:
        if isinstance(files, ClientTlsFiles) and isinstance(proof, ClientCertificate):
            self._counters.certificate_ends_at(files.pair.cert_setting, proof.end)
        self._held[files].put(proof)

    def rotation(self, client: ClientSettings, on_change: Callable[[], None]) -> SecretRotation:
        """Return what proves a client; `on_change` is called where its files hold another one."""
        files = proof_files(client, self._settings)
        if files is None:
            return _rotation(client, _secret_source(client))
        self._held[files].tell(on_change)
        return _rotation(client, self._held[files])
