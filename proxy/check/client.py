"""The checks of one API client: its secret, its token, the scope, and the clock."""

from dataclasses import dataclass, replace
from typing import Final

from proxy.check.copied_values import oddities
from proxy.check.network import destination_key
from proxy.check.result import Result
from proxy.clock import Clock, Instant
from proxy.oauth.credential import Credential
from proxy.oauth.endpoint import Attempt
from proxy.oauth.response import Failure, FailureOutcome, Grant, hint, lacks_scope
from proxy.oauth.server_clock import server_time
from proxy.server.credentials import new_rotation
from proxy.settings.loader import ClientSettings, Settings
from proxy.settings.names import setting_name

__all__ = [
    "Asked",
    "clock_result",
    "previous_secret",
    "read_secret",
    "reserve_result",
    "scope_result",
    "token_result",
]

_SHORTEST_SECRET: Final = 16
_IF_SHORT: Final = (
    "Check that {} holds all of it. Wherever a log line has the secret's text, the log shows "
    "[redacted], so one that is short hides other words too."
)
_MOST_SKEW_SECONDS: Final = 60.0
_WAIT: Final = "check again in a while; if it lasts, ask Signicat, naming the x-trace-id"


@dataclass(frozen=True, slots=True)
class Asked:
    """One token request, and the moments around it."""

    attempt: Attempt
    before: Instant
    after: Instant

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.after.monotonic - self.before.monotonic


_PLACES: Final = ("client_cert_file", "client_key_file", "client_secret_file", "client_secret")


def _secret_setting(client: ClientSettings, settings: Settings) -> str:
    """Return the setting of what proves the client."""
    given = (name for name in _PLACES if getattr(client, name) is not None)
    return settings.name_of(client, next(given, "client_secret"))


def read_secret(
    client: ClientSettings, settings: Settings, clock: Clock
) -> tuple[Result, Credential | None]:
    """Read the secret, key or certificate as the proxy does; return what to say of it, and it."""
    setting, target = _secret_setting(client, settings), f"client {client.name}"
    file = client.client_cert_file or client.client_key_file or client.client_secret_file
    secret = new_rotation(client, settings, clock).read()
    if isinstance(secret, Failure):
        fix = f"Check the path in {setting}, that the file is mounted, and that this user may read."
        return Result("secret", "failed", target, f"{file}: {secret.detail}", fix), None
    odd = []
    if isinstance(secret, str):
        odd += [(setting, f"the secret {oddity}") for oddity in oddities(secret)]
    id_setting = settings.name_of(client, "client_id")
    odd += [(id_setting, f"the client id {oddity}") for oddity in oddities(client.client_id)]
    if odd:
        names = " and ".join(dict.fromkeys(name for name, _ in odd))
        fix = f"Take it out of {names}, unless the Signicat Dashboard shows it too."
        detail = ", ".join(text for _, text in odd)
        return Result("secret", "warning", target, detail, fix), secret
    if not isinstance(secret, str):
        return Result("secret", "ok", target, f"{secret.summary}, read from {file}"), secret
    if len(secret) < _SHORTEST_SECRET:
        detail = f"the secret has fewer than {_SHORTEST_SECRET} characters"
        return Result("secret", "warning", target, detail, _IF_SHORT.format(setting)), secret
    detail = "in the settings" if file is None else f"read from {file}"
    return Result("secret", "ok", target, detail), secret


def previous_secret(client: ClientSettings, settings: Settings, asked: Asked) -> Credential | None:
    """Return what the proxy would ask with after `asked`, which it asked with the configured one.

    None where that was granted, or refused for a reason that no other secret can change (T7).
    """
    rotation = new_rotation(client, settings)
    refusal = asked.attempt.result
    if isinstance(rotation.read(), Failure) or not isinstance(refusal, Failure):
        return None
    return rotation.fallback(refusal)


def clock_result(asked: Asked, client: ClientSettings) -> Result:
    """Compare the clock of this machine with that of the token endpoint."""
    target = destination_key(client.token_url)[1]
    theirs = server_time(asked.attempt.date)
    if theirs is None:
        return Result("clock", "skipped", target, "the token endpoint's response has no valid Date")
    skew = (asked.before.wall + asked.after.wall) / 2 - theirs
    if abs(skew) <= _MOST_SKEW_SECONDS:
        return Result("clock", "ok", target, "agrees with the token endpoint's within a minute")
    detail = f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server"
    fix = (
        "Have this machine's clock set (chrony, systemd-timesyncd; on Kubernetes the node's). The "
        "proxy counts lifetimes by itself, but certificates are judged by this clock."
    )
    return Result("clock", "warning", target, detail, fix)


def _token_fix(outcome: FailureOutcome, client: ClientSettings, settings: Settings) -> str:
    """Return the hint of the log, with the names of this client's settings."""

    def name_of(field: str) -> str:
        if field == "client_secret":
            return _secret_setting(client, settings)
        is_own = field in ClientSettings.model_fields
        return settings.name_of(client, field) if is_own else setting_name(field)

    text = hint(outcome, name_of) or _WAIT
    return text[0].upper() + text[1:] + "."


def token_result(asked: Asked, client: ClientSettings, settings: Settings) -> Result:
    """Say whether a token was granted, and if not, why."""
    target, result = f"client {client.name}", asked.attempt.result
    if isinstance(result, Failure):
        trace = asked.attempt.trace_id
        facts = (result.outcome, result.detail, f"x-trace-id {trace}" if trace else None)
        detail = ", ".join(fact for fact in facts if fact)
        fix = _token_fix(result.outcome, client, settings)
        return Result("token", "failed", target, detail, fix, asked.seconds)
    detail = f"granted for {result.lifetime_seconds:g} s"
    return Result("token", "ok", target, detail, seconds=asked.seconds)


def reserve_result(
    refused: Asked, asked: Asked, client: ClientSettings, settings: Settings
) -> Result:
    """Say that the previous secret was granted a token, where the configured one was refused."""
    result = token_result(asked, client, settings)
    setting = settings.name_of(client, "previous_secret_file")
    refusal = refused.attempt.result
    outcome = refusal.outcome if isinstance(refusal, Failure) else ""
    return replace(
        result,
        state="warning",
        detail=f"{result.detail} for the secret in {setting}; the configured one: {outcome}",
        fix=f"Check {_secret_setting(client, settings)}. Until it works, every start needs the "
        "secret of before, so keep that one at Signicat.",
    )


def scope_result(grant: Grant, client: ClientSettings, settings: Settings) -> Result:
    """Say whether the scope asked for was granted; what is not said counts as granted (T8)."""
    target = f"client {client.name}"
    if lacks_scope(grant, client.scope):
        fix = f"Check {settings.name_of(client, 'scope')}, and the client in the Dashboard."
        detail = f"asked for '{client.scope}', granted '{grant.scope or ''}'"
        return Result("scope", "warning", target, detail, fix)
    detail = f"'{client.scope}' granted" if client.scope else "none was asked for"
    return Result("scope", "ok", target, detail)
