"""Which secret to ask with: the configured one, or the last one that worked (T7)."""

from collections.abc import Iterator

from proxy.oauth.response import Failure
from proxy.oauth.secret import SecretSource, SecretUnreadableError

__all__ = ["SecretRotation"]


class SecretRotation:
    """What has become of one client's secrets; `source` gives the configured one.

    The client's refresher is the only one to call what changes anything. Each attempt begins
    with `read`, may go on with `fallback`, and `worked` says which of them brought a token.
    """

    def __init__(self, source: SecretSource) -> None:
        self._source = source
        self._configured: str | None = None  # as read for this attempt; None: unreadable
        self._tried: str | None = None  # the last one that could be read
        self._good: str | None = None
        self._is_on_fallback = False

    @property
    def may_change(self) -> bool:
        """Whether `has_new` is worth asking."""
        return self._source.may_change

    @property
    def is_on_fallback(self) -> bool:
        """Whether the last token was got by another secret than the configured one."""
        return self._is_on_fallback

    def has_new(self) -> bool:
        """Read the file and say whether it holds another secret than was tried.

        So does one that could not be read then and can be now, whatever it holds: until it is
        tried, the proxy goes on with its fallback and says so.
        """
        if not self._source.may_change:
            return False
        try:
            secret = self._source.read()
        except SecretUnreadableError:
            return False
        return self._configured is None or secret != self._tried

    def read(self) -> str | Failure:
        """Return the configured secret, to be tried now, or why it cannot be read.

        Once a secret has worked, an unreadable one counts as refused: permanent, with a fallback.
        """
        self._configured = None
        try:
            self._configured = self._tried = self._source.read()
        except SecretUnreadableError as error:
            is_permanent = self._good is not None
            return Failure("secret_unreadable", is_permanent=is_permanent, detail=str(error))
        return self._configured

    def fallback(self, failure: Failure) -> str | None:
        """Return the last good secret, if `failure` of the configured one calls for it."""
        if not failure.is_permanent or self._good == self._configured:
            return None
        return self._good

    def worked(self, secret: str) -> None:
        """Learn that a token was granted for `secret`."""
        self._is_on_fallback = secret != self._configured
        self._good = secret

    def in_use(self) -> Iterator[str]:
        """Yield what must never be logged: all secrets that may still be sent."""
        for secret in (self._tried, self._good):
            if secret is not None:
                yield secret
