"""From settings to the guard: which requests may pass, who may call, the keys from files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxy.files import UnusableFileError
from proxy.guard.admission import Admission
from proxy.guard.identity import CallerStatus, Identity
from proxy.guard.keys import digest_of, read_keys
from proxy.guard.known_callers import KeyClashError, KnownCallers
from proxy.guard.policy import Policy
from proxy.guard.routing import Route, Router
from proxy.guard.token_calls import TOKEN_CALL, token_call_paths
from proxy.server.file_watch import FileWatch, WatchedFiles
from proxy.settings.caller_checks import key_file_setting
from proxy.settings.loader import Settings

__all__ = [
    "Guard",
    "KeyFile",
    "configured_callers",
    "counted_routes",
    "new_rules",
    "placeholder_paths",
]


def _new_router(settings: Settings) -> Router:
    return Router(
        Route(
            path=route.path.encode(),
            client=route.client,
            methods=None
            if route.methods is None
            else frozenset(method.encode() for method in route.methods),
            label=route.path,
        )
        for route in settings.routes
    )


def new_rules(settings: Settings) -> tuple[Policy, Router]:
    """Return what says which requests may pass, and whose token a path gets."""
    router = _new_router(settings)
    policy = Policy(
        upstream_url=settings.upstream_url,
        token_urls={client.token_url for client in settings.clients},
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        allowed_paths=settings.allowed_paths,
        allowed_methods=settings.allowed_methods,
        routes_restrict_paths=router.restricts_paths,
    )
    return policy, router


def placeholder_paths(settings: Settings) -> frozenset[bytes]:
    """Return the paths at which token calls get a placeholder: none, unless it is on (P1)."""
    if not settings.placeholder_token:
        return frozenset()
    urls = (client.token_url for client in settings.clients)
    return token_call_paths(urls, settings.upstream_url)


def counted_routes(settings: Settings) -> dict[str, str]:
    """Return the client of each route that requests can take: what they are counted by (M)."""
    routes = {route.path: route.client for route in settings.routes}
    if settings.placeholder_token:
        routes[TOKEN_CALL.label] = TOKEN_CALL.client
    return routes


def _new_known_callers(settings: Settings) -> KnownCallers:
    """Return the callers of the settings, without the keys that stand in files."""
    tables = settings.caller_tables
    known = KnownCallers(
        [Identity(name, table.clients, table.max_in_flight) for name, table in tables.items()],
        certificates={entry: name for name, table in tables.items() for entry in table.certificate},
        users={uid: name for name, table in tables.items() for uid in table.unix_user},
    )
    for name, table in tables.items():
        if table.key_sha256:
            known.use_keys(name, map(bytes.fromhex, table.key_sha256))
    return known


class KeyFile:
    """The file of a caller's keys."""

    def __init__(self, caller: str, path: Path, known: KnownCallers) -> None:
        self._setting = key_file_setting(caller)
        self._path = path
        self._caller = caller
        self._known = known
        self._keys: tuple[str, ...] = ()

    @property
    def watched(self) -> WatchedFiles[tuple[str, ...]]:
        """The file as it is to be looked at (C4)."""
        return WatchedFiles({self._setting: self._path}, self.load, self.use)

    def load(self) -> tuple[str, ...]:
        """Read and check the file, and change nothing; raise `UnusableFileError`."""
        keys = read_keys(self._setting, self._path)
        try:
            self._known.check_keys(self._caller, _digests(keys))
        except KeyClashError as error:
            raise UnusableFileError(self._setting, str(error)) from None
        return keys

    def use(self, keys: tuple[str, ...]) -> None:
        """Put keys into force at once, for kept-alive connections too."""
        self._known.use_keys(self._caller, _digests(keys))
        self._keys = keys

    def keys_in_use(self) -> tuple[str, ...]:
        """Return the keys in force, for the redaction filter alone (G7)."""
        return self._keys


def _digests(keys: tuple[str, ...]) -> list[bytes]:
    return [digest_of(key.encode()) for key in keys]


def _key_files(settings: Settings, known: KnownCallers) -> Iterator[KeyFile]:
    for name, table in settings.caller_tables.items():
        if table.key_file is not None:
            yield KeyFile(name, table.key_file, known)


@dataclass(frozen=True, slots=True)
class Guard:
    """The gate and what it asks: the rules, who is known, and the files of their keys."""

    policy: Policy
    admission: Admission
    callers: KnownCallers
    key_files: tuple[KeyFile, ...]

    @classmethod
    def of(cls, settings: Settings, watch: FileWatch) -> "Guard":
        """Return the guard that the settings ask for; `watch` looks at the files of its keys.

        Raises `UnusableFileError`.
        """
        policy, router = new_rules(settings)
        callers = _new_known_callers(settings)
        files = tuple(_key_files(settings, callers))
        for file in files:
            watch.add(file.watched)
        return cls(
            policy, Admission(policy, router, callers, placeholder_paths(settings)), callers, files
        )


def configured_callers(settings: Settings) -> list[CallerStatus]:
    """Return the callers with all their proofs, as a proxy that starts now would know them.

    Raises `UnusableFileError`.
    """
    callers = _new_known_callers(settings)
    for file in _key_files(settings, callers):
        file.use(file.load())
    return callers.statuses()
