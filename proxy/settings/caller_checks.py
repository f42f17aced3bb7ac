"""What the tables of callers must be, together and beside the other settings (I1, I2)."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from proxy.files import UnusableFileError
from proxy.guard.keys import digest_of, read_keys
from proxy.net.addresses import ListenAddress
from proxy.net.inherited import Claims
from proxy.net.peer import KNOWS_UNIX_USERS
from proxy.settings.caller_table import CallerTable
from proxy.settings.client_table import SECRET_FILES
from proxy.settings.errors import SettingError
from proxy.settings.model import Settings
from proxy.settings.names import setting_name

__all__ = ["caller_errors", "key_file_setting"]


def key_file_setting(caller: str) -> str:
    """Return what a caller's key file is called: in errors, in the log and in the metric."""
    return setting_name("caller_tables", caller, "key_file")


def caller_errors(
    settings: Settings, failed: frozenset[str], claims: Claims
) -> Iterator[SettingError]:
    """Yield every error of the callers; fields in `failed` hold a default and tell nothing."""
    listen = claims.places(settings.listen)
    if "caller_tables" in failed:
        return
    for name, table in settings.caller_tables.items():
        yield from _proof_errors(name, table)
        if "client_tables" not in failed:
            yield from _client_errors(name, table, settings)
            yield from _secret_errors(name, table, settings)
        if "listen" not in failed:
            yield from _place_errors(name, table, settings, listen)
    yield from _shared_proof_errors(settings)


def _error(caller: str, key: str, message: str) -> SettingError:
    return SettingError(setting_name("caller_tables", caller, key), message)


def _proof_errors(name: str, table: CallerTable) -> Iterator[SettingError]:
    """Find a caller without a proof, and a key file beside digests."""
    if table.key_file is not None and table.key_sha256:
        yield _error(name, "key_file", "give it or key_sha256, not both")
    if not (table.key_file or table.key_sha256 or table.certificate or table.unix_user):
        yield SettingError(
            setting_name("caller_tables", name),
            "nothing proves who it is; give key_file, key_sha256, certificate or unix_user",
        )


def _client_errors(name: str, table: CallerTable, settings: Settings) -> Iterator[SettingError]:
    known = {client.name for client in settings.clients}
    for client in table.clients or ():
        if client not in known:
            yield _error(name, "clients", f"names the client '{client[:60]}', which there is not")


def _secret_errors(name: str, table: CallerTable, settings: Settings) -> Iterator[SettingError]:
    """Find a key that is a secret of our own: with it, a caller needs no proxy and no leave."""
    for client, field in itertools.product(settings.clients, SECRET_FILES):
        secret: Path | None = getattr(client, field)
        if table.key_file and secret and _is_same(table.key_file, secret):
            of = settings.name_of(client, field)
            yield _error(name, "key_file", f"is the file of {of}; no caller may know that secret")
            return


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # told where it is read
        return False


def _place_errors(
    name: str, table: CallerTable, settings: Settings, listen: Sequence[ListenAddress]
) -> Iterator[SettingError]:
    """Find proofs that no caller can ever show: no port asks for them.

    What sockets systemd will hand over is not known to each command.
    """
    is_known = all(address.inherited is None for address in listen)
    if table.unix_user and not KNOWS_UNIX_USERS:
        yield _error(name, "unix_user", "this system does not tell who is at a Unix socket")
    elif table.unix_user and is_known and not any(address.path for address in listen):
        yield _error(
            name,
            "unix_user",
            f"{setting_name('listen')} has no Unix socket; add one, as unix:/run/proxy.sock",
        )
    if table.certificate and settings.tls_client_ca_file is None:
        yield _error(
            name, "certificate", f"needs {setting_name('tls_client_ca_file')}, which verifies it"
        )
    elif table.certificate and all(address.path for address in listen):
        yield _error(
            name, "certificate", f"{setting_name('listen')} has no TCP address; only these have TLS"
        )


def _shared_proof_errors(settings: Settings) -> Iterator[SettingError]:
    """Find key files that cannot be used, and proofs that would prove two callers."""
    owners: dict[str, str] = {}
    for name, table in settings.caller_tables.items():
        keys: tuple[str, ...] = ()
        if table.key_file is not None:
            try:
                keys = read_keys(key_file_setting(name), table.key_file)
            except UnusableFileError as error:
                yield SettingError(error.file, f"{table.key_file} {error.reason}")
        for key, proof, told in _proofs(table, keys):
            owner = owners.setdefault(proof, name)
            if owner != name:
                yield _error(name, key, f"{told} is one of the caller '{owner}' too")


def _proofs(table: CallerTable, keys: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield each proof of a caller: its key in the table, what is compared, how it is told."""
    for key in keys:
        yield "key_file", f"key {digest_of(key.encode()).hex()}", f"a key in {table.key_file}"
    for digest in table.key_sha256:
        yield "key_sha256", f"key {digest}", f"the key of {digest[:8]}…"
    for entry in table.certificate:
        yield "certificate", entry, entry.partition(":")[2]
    for uid in table.unix_user:
        yield "unix_user", f"uid {uid}", f"the user {uid}"
