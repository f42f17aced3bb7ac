"""Which secret to ask with: the configured one, or another where that is of no use (T7)."""

from collections.abc import Iterator

from proxy.oauth.credential import Credential, CredentialSource, secrets_of
from proxy.oauth.response import Failure
from proxy.oauth.secret import SecretUnreadableError

__all__ = ["SecretRotation"]


class SecretRotation:
    """What has become of one client's secrets; `source` gives the configured one.

    A key, or a certificate with its key, is a secret like any other here.
    `previous` gives the one that was configured before: it is asked with only while no secret
    has worked in this process, so that a start in the middle of a rotation gets tokens too.
    The client's refresher is the only one to call what changes anything. Each attempt begins
    with `read`, may go on with `fallback`, and `worked` says which of them brought a token.
    """

    def __init__(self, source: CredentialSource, previous: CredentialSource | None = None) -> None:
        self._source = source
        self._previous = previous
        self._configured: Credential | None = None  # as read for this attempt; None: unreadable
        self._tried: Credential | None = None  # the last one that could be read
        self._good: Credential | None = None
        self._is_refused = False  # the configured one, in the last attempt
        self._tried_before: Credential | None = None  # the last one that `previous` gave
        self._is_on_fallback = False
        self.previous_error: str | None = None
        """Why the previous secret could not be read when it was needed last; else None."""

    @property
    def may_change(self) -> bool:
        """Whether `has_new` is worth asking."""
        return self._source.may_change or self._needs_previous

    @property
    def is_on_fallback(self) -> bool:
        """Whether the last token was got by another secret than the configured one."""
        return self._is_on_fallback

    @property
    def has_good(self) -> bool:
        """Whether a secret has worked in this process."""
        return self._good is not None

    @property
    def _needs_previous(self) -> bool:
        return self._previous is not None and self._good is None

    def has_new(self) -> bool:
        """Read the files and say whether one holds a secret that is worth an attempt at once.

        That is another one than was tried. So is one that could not be read then and can be
        now, whatever it holds: until it is tried, the proxy goes on with its fallback and says so.
        """
        if self._source.may_change:
            secret = _read_or_none(self._source)
            if secret is not None and (self._configured is None or secret != self._tried):
                return True
        # Else the attempt in which it would be tried is due anyway, and not before its time (T5).
        if self._previous is None or not (self._needs_previous and self._is_refused):
            return False
        previous = _read_or_none(self._previous)
        return previous is not None and previous != self._tried_before

    def read(self) -> Credential | Failure:
        """Return the configured secret, to be tried now, or why it cannot be read.

        Where there may be another to go on with, an unreadable one counts as refused: permanent.
        """
        self._configured, self._is_refused = None, False
        try:
            self._configured = self._tried = self._source.read()
        except SecretUnreadableError as error:
            is_permanent = self.has_good or self._previous is not None
            return Failure("secret_unreadable", is_permanent=is_permanent, detail=str(error))
        return self._configured

    def fallback(self, failure: Failure) -> Credential | None:
        """Return the secret to go on with, if `failure` of the configured one calls for it.

        What is said of the scope is said of the client: no other secret gets more.
        """
        is_refusal = failure.is_permanent or failure.may_be_refusal
        if not is_refusal or failure.outcome == "invalid_scope":
            return None
        self._is_refused = True
        secret = self._good or self._read_previous()
        return None if secret == self._configured else secret

    def _read_previous(self) -> Credential | None:
        self.previous_error = self._tried_before = None
        if self._previous is None:
            return None
        try:
            self._tried_before = self._previous.read()
        except SecretUnreadableError as error:
            self.previous_error = str(error)
        return self._tried_before

    def worked(self, secret: Credential) -> None:
        """Learn that a token was granted for `secret`."""
        self._is_on_fallback = secret != self._configured
        self._good = secret
        self._tried_before = self.previous_error = None

    def in_use(self) -> Iterator[str]:
        """Yield what must never be logged: all secrets that may still be sent."""
        for secret in (self._tried, self._good, self._tried_before):
            yield from secrets_of(secret)


def _read_or_none(source: CredentialSource) -> Credential | None:
    try:
        return source.read()
    except SecretUnreadableError:
        return None
