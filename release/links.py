"""Links into the repository, in texts that are read where no link gets there."""

import re
from pathlib import Path
from typing import Final

__all__ = ["name_links_in", "named_links"]

_CODE_OR_LINK: Final = re.compile(
    r"```.*?```|`[^`]*`"
    r"|!?\[(?P<text>[^\]]*)\]\((?!https?://|mailto:)(?P<target>[^)\s#]*)[^)]*\)",
    re.DOTALL,
)


def _named(link: re.Match[str]) -> str:
    text, target = link["text"], link["target"]
    if text is None:  # code, in which nothing is a link
        return link[0]
    return text if target in {"", text} else f"{text} ({target})"


def named_links(markdown: str) -> str:
    """Return the text with each link, or picture, of the repository as words that name the file."""
    return _CODE_OR_LINK.sub(_named, markdown)


def name_links_in(path: Path) -> None:
    """Write the file anew, as `named_links` has it."""
    path.write_text(named_links(path.read_text("utf-8")), "utf-8")
