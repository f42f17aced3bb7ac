"""The extras of the package: what to install where a copy lacks one."""

import json
import shlex
from typing import Final
from urllib.parse import urlsplit

__all__ = ["requirement", "with_extra"]

_NAME: Final = "signicat-proxy"


def with_extra(extra: str) -> str:
    """Return what to install, by pip, pipx or uv, so that this copy has the extra too.

    It names the file or the folder that this copy was installed from: no index need have it.
    """
    import importlib.metadata

    try:
        origin = importlib.metadata.distribution(_NAME).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:  # sources that nobody installed
        origin = None
    return requirement(extra, origin)


def requirement(extra: str, origin: str | None) -> str:
    """Return the package with the extra as a word of a shell.

    `origin` is what the installer wrote of a package that came from no index (PEP 610).
    """
    if origin is None:
        return f"'{_NAME}[{extra}]'"
    found = json.loads(origin)
    parts = urlsplit(found["url"])
    # Who may fetch it is for nobody who reads the hint; installers leave out most of it, not all.
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if versions := found.get("vcs_info"):
        url = f"{versions['vcs']}+{url}@{versions['commit_id']}"
    return shlex.quote(f"{_NAME}[{extra}] @ {url}")
