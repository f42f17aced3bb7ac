"""From settings to what proves each client at the token endpoint (T7, T12)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from proxy.files import UnusableFileError
from proxy.oauth.credential import Credential, CredentialSource, HeldCredential
from proxy.oauth.key_file import KeyFile, load_key
from proxy.oauth.response import HINTS, FailureOutcome, log_hints
from proxy.oauth.rotation import SecretRotation
from proxy.oauth.secret import SecretSource, SecretUnreadableError
from proxy.server.file_watch import FileWatch, WatchedFiles
from proxy.settings.loader import ClientSettings, Settings

__all__ = ["Credentials", "hints_for", "new_rotation"]


@dataclass(frozen=True, slots=True)
class _ReadNow:
    """A key as it stands in its file now: for commands, which ask once."""

    file: KeyFile

    @property
    def may_change(self) -> bool:
        return True

    def read(self) -> Credential:
        try:
            return load_key(self.file)
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


def new_rotation(client: ClientSettings, settings: Settings) -> SecretRotation:
    """Return what proves a client, of which nothing has been tried yet; files are read now."""
    file = settings.key_file(client)
    return _rotation(client, _secret_source(client) if file is None else _ReadNow(file))


def hints_for(client: ClientSettings) -> Mapping[FailureOutcome, str]:
    """Return the hints of the log for this client, which name what proves it."""
    return log_hints("client_key_file") if client.client_auth == "private_key_jwt" else HINTS


class Credentials:
    """Owns the keys that are in force; `watch` looks at their files (C4).

    Clients that share a file share what is in it. Raises `UnusableFileError`.
    """

    def __init__(self, settings: Settings, watch: FileWatch) -> None:
        self._settings = settings
        self._held: dict[KeyFile, HeldCredential] = {}
        for file in map(settings.key_file, settings.clients):
            if file is not None and file not in self._held:
                held = self._held[file] = HeldCredential()
                files = WatchedFiles({file.setting: file.path}, partial(load_key, file), held.put)
                watch.add(files)

    def rotation(self, client: ClientSettings, on_change: Callable[[], None]) -> SecretRotation:
        """Return what proves a client; `on_change` is called where its file holds another key."""
        file = self._settings.key_file(client)
        if file is None:
            return _rotation(client, _secret_source(client))
        self._held[file].tell(on_change)
        return _rotation(client, self._held[file])
