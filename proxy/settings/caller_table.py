"""The table of one caller in the TOML file (I1, I2)."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from proxy.guard.keys import MOST_KEYS
from proxy.settings import values

__all__ = ["CallerTable", "Table"]

Names = Annotated[tuple[str, ...], BeforeValidator(values.words(str)), Field(min_length=1)]
Digests = Annotated[
    tuple[str, ...],
    BeforeValidator(values.words(values.key_digest)),
    AfterValidator(values.at_most(MOST_KEYS)),
]
CertificateNames = Annotated[
    tuple[str, ...], BeforeValidator(values.words(values.certificate_name))
]
UnixUsers = Annotated[tuple[int, ...], BeforeValidator(values.unix_users)]


class Table(BaseModel):
    """What every table of the file is: complete, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class CallerTable(Table):
    """One `[callers.NAME]` of the TOML file: how a caller proves who it is, and what it may do.

    `unix_user` holds uids; `clients` None means all, `max_in_flight` None that it has no limit.
    """

    key_file: Path | None = None
    key_sha256: Digests = ()
    certificate: CertificateNames = ()
    unix_user: UnixUsers = ()
    clients: Names | None = None
    max_in_flight: Annotated[int, Field(ge=1)] | None = None
