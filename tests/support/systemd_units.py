"""The units that docs/service.md shows."""

import re
from typing import Final

from tests.support.page_stage import BIN
from tests.support.source_tree import read

__all__ = ["for_older_systemd", "units_of_the_page"]

_PAGE: Final = "docs/service.md"


def units_of_the_page() -> dict[str, str]:
    """Return the units by their names; their program is where it is here."""
    shown = re.findall(
        r"`/etc/systemd/system/([\w.-]+)`[^`]*```systemd\n(.*?)^```",
        read(_PAGE),
        re.MULTILINE | re.DOTALL,
    )
    program = f"ExecStart={BIN}/signicat-proxy"
    return {name: re.sub(r"(?m)^ExecStart=\S+", program, text) for name, text in shown}


def for_older_systemd(unit: str) -> str:
    """Return a unit with the drop-in that the page shows for systemd 252 or older."""
    (lines,) = re.findall(r"^printf '\[Service\]\\n(Type=.*)' > ", read(_PAGE), re.MULTILINE)
    return unit.replace("Type=notify-reload\n", str(lines).replace("\\n", "\n"))
