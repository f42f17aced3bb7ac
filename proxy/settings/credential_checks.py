"""What proves a client must be: given once, for the method in use, and readable (T7, T12)."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.extras import with_extra
from proxy.files import UnusableFileError, all_faults
from proxy.net.tls_client import ClientTlsFiles, client_tls_faults
from proxy.oauth.key_file import KeyFile, load_key
from proxy.oauth.secret import SecretSource, SecretUnreadableError
from proxy.settings.client_table import ClientSettings
from proxy.settings.errors import SettingError
from proxy.settings.model import Settings
from proxy.settings.names import file_name
from proxy.settings.proof_files import proof_files
from proxy.settings.values import secret as check_secret

__all__ = ["credential_errors", "secret_file_fault"]


@dataclass(frozen=True, slots=True)
class _Method:
    """What a method of CLIENT_AUTH takes: fields that it needs, and others that it uses."""

    needs: tuple[str, ...]
    uses: tuple[str, ...] = ()


_SECRET: Final = _Method((), ("client_secret", "client_secret_file", "previous_secret_file"))
_METHODS: Final = {
    "client_secret_basic": _SECRET,
    "client_secret_post": _SECRET,
    "private_key_jwt": _Method(("client_key_file",), ("client_key_id",)),
    "tls_client_auth": _Method(("client_cert_file", "client_key_file")),
}
_FIELDS: Final = tuple(
    dict.fromkeys(field for each in _METHODS.values() for field in (*each.needs, *each.uses))
)


def credential_errors(
    client: ClientSettings, settings: Settings, failed: frozenset[str]
) -> Iterator[SettingError]:
    """Yield every error in what proves a client; fields in `failed` hold a default."""
    if "client_auth" in failed:
        return
    method = _METHODS[client.client_auth]
    yield from _misplaced_errors(client, settings, method, failed)
    if method is _SECRET:
        yield from _secret_errors(client, settings, failed)
    elif not failed & {*method.needs, *method.uses}:
        yield from _file_errors(client, settings)


def _misplaced_errors(
    client: ClientSettings, settings: Settings, method: _Method, failed: frozenset[str]
) -> Iterator[SettingError]:
    """Find what the method needs and lacks, and what is given for another one."""
    auth = f"{settings.name_of(client, 'client_auth')}={client.client_auth}"
    lacks = [field for field in method.needs if getattr(client, field) is None]
    for field in lacks:
        if field not in failed:
            yield SettingError(settings.name_of(client, field), f"is required with {auth}")
    for field in _FIELDS:
        if field in (*method.needs, *method.uses) or getattr(client, field) is None:
            continue
        # What all clients share is right for others, where this one lacks its own.
        is_shared = client.name in settings.client_tables and settings.place_of(client, field) == (
            field,
        )
        if not (is_shared and lacks):
            text = f"is of no use with {auth}; leave it out, or change that"
            yield SettingError(settings.name_of(client, field), text)


def _secret_errors(
    client: ClientSettings, settings: Settings, failed: frozenset[str]
) -> Iterator[SettingError]:
    if failed & {"client_secret", "client_secret_file"}:
        return
    path, name = client.client_secret_file, settings.name_of(client, "client_secret")
    file_name = settings.name_of(client, "client_secret_file")
    if client.client_secret is not None and path is not None:
        yield SettingError(name, f"give it or {file_name}, not both")
    elif client.client_secret is None and path is None:
        yield SettingError(name, f"is required, or a file in {file_name}")
    elif path is not None and (fault := secret_file_fault(path, str(path))) is not None:
        yield SettingError(file_name, fault)
    yield from _previous_secret_errors(client, settings)


def secret_file_fault(path: Path, called: str) -> str | None:
    """Return why no secret can be read from a file, None where one can; `called` is its name."""
    try:
        check_secret(SecretSource(path=path).read())
    except SecretUnreadableError as error:
        return f"cannot read {called} ({error})"
    except ValueError as error:
        return f"the secret in {called} {error}"
    return None


def _previous_secret_errors(client: ClientSettings, settings: Settings) -> Iterator[SettingError]:
    """Find a reserve that is none; one that is not there is no error, but a risk (T7)."""
    previous, current = client.previous_secret_file, client.client_secret_file
    if previous is not None and previous == current:
        yield SettingError(
            settings.name_of(client, "previous_secret_file"),
            f"is the file of {settings.name_of(client, 'client_secret_file')}; give the secret "
            "before that one",
        )


def _file_errors(client: ClientSettings, settings: Settings) -> Iterator[SettingError]:
    """Find a key, or a certificate, that cannot be used."""
    files = proof_files(client, settings)
    if files is None:
        return
    if isinstance(files, KeyFile):
        faults = _key_faults(files, settings.file_of(client, "client_auth"))
    else:
        faults = client_tls_faults(files, time.time)
    yield from map(_unusable, all_faults(next(iter(files.paths())), faults))
    if isinstance(files, ClientTlsFiles) and client.token_url.startswith("http:"):
        auth = f"{settings.name_of(client, 'client_auth')}={client.client_auth}"
        text = f"must be https:// with {auth}: the proof is part of TLS"
        yield SettingError(settings.name_of(client, "token_url"), text)


def _key_faults(files: KeyFile, auth: str) -> Iterator[UnusableFileError]:
    try:
        load_key(files)
    except UnusableFileError as error:
        yield error
    except ImportError:
        reason = f"needs PyJWT and cryptography: install {with_extra('jwt')}"
        yield UnusableFileError(auth, reason)


def _unusable(error: UnusableFileError) -> SettingError:
    return SettingError(file_name(error.file), error.reason)
