"""The checks of certificates: the days left, and the names that callers use."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from proxy.check.result import Result
from proxy.files import UnusableFileError, short_name
from proxy.hosts import one_spelling
from proxy.net.tls import ENDS_SOON_DAYS
from proxy.net.tls_client import ClientTlsFiles, load_client_certificate
from proxy.net.tls_server import load_server_tls
from proxy.settings.model import Settings
from proxy.settings.names import file_name, setting_name
from proxy.settings.proof_files import proof_files

__all__ = ["certificate_results", "client_certificate_results"]

_DAY: Final = 86_400


def certificate_results(settings: Settings, wall: Callable[[], float]) -> Iterator[Result]:
    """Yield a result for each file with certificates that callers meet (I3)."""
    files = settings.tls_files
    if files is None:
        detail = f"{setting_name('tls_cert_file')} is not set: callers speak plain HTTP"
        yield Result("certificate", "skipped", "LISTEN", detail)
        return
    try:
        tls = load_server_tls(files, wall)
    except UnusableFileError as error:
        yield _failed_result(error)
        return
    for file, end in tls.ends.items():
        names = f", for {', '.join(tls.names) or 'no name'}" if file == "tls_cert_file" else ""
        yield _days_result(file, end, wall(), names)
    if not any(_is_covered(host, tls.names) for host in settings.allowed_hosts):
        yield Result(
            "certificate",
            "warning",
            "ALLOWED_HOSTS",
            "no name in it is one of the certificate, so no caller can use either",
            f"Put a name of the certificate into {setting_name('allowed_hosts')}, or have one "
            "issued for a name that stands there.",
        )


def client_certificate_results(settings: Settings, wall: Callable[[], float]) -> Iterator[Result]:
    """Yield a result for each certificate that proves a client at the token endpoint (T12)."""
    files = (proof_files(client, settings) for client in settings.clients)
    for each in dict.fromkeys(files):
        if not isinstance(each, ClientTlsFiles):
            continue
        try:
            end = load_client_certificate(each, wall).end
        except UnusableFileError as error:
            yield _failed_result(error)
            continue
        yield _days_result(each.pair.cert_setting, end, wall())


def _failed_result(error: UnusableFileError) -> Result:
    """Say what is wrong with a file that has changed since the settings were read."""
    fix = f"Correct the file in {file_name(error.file)}."
    return Result("certificate", "failed", short_name(error.file), error.reason, fix)


def _days_result(file: str, end: float, now: float, names: str = "") -> Result:
    detail = f"valid until {datetime.fromtimestamp(end, UTC):%Y-%m-%d}{names}"
    if (end - now) / _DAY > ENDS_SOON_DAYS:
        return Result("certificate", "ok", short_name(file), detail)
    fix = f"Replace the file in {file_name(file)}; no restart is needed."
    return Result("certificate", "warning", short_name(file), detail, fix)


def _is_covered(host: str, names: tuple[str, ...]) -> bool:
    """Say whether a caller that uses this name would accept the certificate (RFC 6125)."""
    plain = one_spelling(host.strip("[]"))
    beyond_first_label = plain.partition(".")[2]
    wildcard = f"*.{beyond_first_label}"
    # OpenSSL writes IPv6 addresses in full, with a line end after them.
    return host == "*" or any(one_spelling(name.strip()) in (plain, wildcard) for name in names)
