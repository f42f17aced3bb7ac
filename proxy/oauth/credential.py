"""What proves a client: a secret, a key that signs, or a certificate (T7, T12)."""

from collections.abc import Callable, Iterator
from typing import Final, Literal, Protocol

from proxy.net.tls_client import ClientCertificate

__all__ = [
    "ASSERTION_SECONDS",
    "MAX_KEY_ID",
    "ClientAuth",
    "Credential",
    "CredentialSource",
    "HeldCredential",
    "SigningKey",
    "is_key_id",
    "secrets_of",
]

ClientAuth = Literal[
    "client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"
]
"""How a client proves itself at the token endpoint (CLIENT_AUTH)."""
ASSERTION_SECONDS: Final = 60
"""How long an assertion is valid."""
MAX_KEY_ID: Final = 256
"""The most characters of the id of a key."""


class SigningKey(Protocol):
    """A private key and its id; two are equal where both are the same.

    `oauth.assertion` has the one there is, and is imported only where a client has a key.
    """

    def assertion(self, client_id: str, audience: str, now: float) -> str:
        """Return a new proof for one token request (RFC 7523); `now` is Unix time."""
        ...

    @property
    def summary(self) -> str:
        """What people may read of it."""
        ...

    def secrets(self) -> Iterator[str]:
        """Yield what must never be logged of the key."""
        ...


Credential = str | SigningKey | ClientCertificate
"""A secret is its text."""


class CredentialSource(Protocol):
    """Gives the configured credential as it is now."""

    @property
    def may_change(self) -> bool:
        """Whether it can change while the process runs."""
        ...

    def read(self) -> Credential:
        """Return it; raise `SecretUnreadableError`."""
        ...


class HeldCredential:
    """A credential that is loaded elsewhere, as parsing one takes longer than a request may wait.

    `put` is for whoever looks at the file; those that use it learn at once of another one.
    """

    may_change = True

    def __init__(self) -> None:
        self._held: Credential | None = None
        self._users: list[Callable[[], None]] = []

    def tell(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` from now on whenever another credential is put into force."""
        self._users.append(on_change)

    def put(self, credential: Credential) -> None:
        """Put a credential into force."""
        is_another = self._held != credential
        self._held = credential
        if is_another:
            for on_change in self._users:
                on_change()

    def read(self) -> Credential:
        """Return the one in force."""
        if self._held is None:
            raise AssertionError("nothing was put into force")
        return self._held


def is_key_id(text: str) -> bool:
    """Say whether text can be the id of a key: any (RFC 7515 §4.1.4) that people can read."""
    return 0 < len(text) <= MAX_KEY_ID and text.isprintable()


def secrets_of(credential: Credential | None) -> Iterator[str]:
    """Yield what must never be logged of a credential."""
    if isinstance(credential, str):
        yield credential
    elif credential is not None:
        yield from credential.secrets()
