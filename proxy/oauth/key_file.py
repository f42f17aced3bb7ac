"""A client's private key in a file: where it is, and who reads it (T12)."""

from dataclasses import dataclass
from pathlib import Path

from proxy.oauth.credential import SigningKey

__all__ = ["KeyFile", "load_key"]


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Where a key is, and what names it; settings are as in `UnusableFileError.file`.

    `key_id` is that of the settings, None where these have none.
    """

    path: Path
    setting: str
    key_id: str | None
    key_id_setting: str

    def paths(self) -> dict[str, Path]:
        """Return the file by its setting."""
        return {self.setting: self.path}


def load_key(file: KeyFile) -> SigningKey:
    """Return the key; raise `UnusableFileError`, or `ImportError` without the extra `jwt`."""
    from proxy.oauth.assertion import read_key

    return read_key(file.path, file.setting, key_id=file.key_id, key_id_setting=file.key_id_setting)
