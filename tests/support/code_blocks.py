"""The code blocks of the documentation, with what their fences say.

````` ```sh ````` is run by the tests. A word beside the language says otherwise:
`serves` is run until it is up, `needs` a program that may be missing, `no-run`
and a reason is not run, `output` is what the block before it prints, …
standing for anything; `output soon`: what it prints when it is run again.
"""

import re
from dataclasses import dataclass
from typing import Final

from tests.support.source_tree import ROOT, read, relative

__all__ = ["METHODS_OF", "PAGES", "CodeBlock", "code_blocks"]

PAGES: Final = (
    "README.md",
    *(relative(path) for path in sorted((ROOT / "docs").glob("*.md"))),
    "helm/signicat-proxy/README.md",
)
"""Pages that show people what to type."""

METHODS_OF: Final = {
    "/auth/rest": frozenset({"GET", "POST"}),
    "/sign": frozenset({"DELETE", "GET", "PATCH", "POST"}),
}
"""What Signicat's products are called with; a route that lacks one breaks its reader's calls."""

_BLOCK: Final = re.compile(r"^( *)```(\w*)([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class CodeBlock:
    """One block: its language, the words behind that, and its text without indentation."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        """Say where it stands."""
        return f"{self.page}:{self.line}"


def code_blocks(page: str) -> list[CodeBlock]:
    """Return the blocks of a page, in order."""
    text = read(page)
    return [
        CodeBlock(
            page,
            text.count("\n", 0, match.start()) + 1,
            match[2],
            tuple(match[3].split()),
            re.sub(f"^{match[1]}", "", match[4], flags=re.MULTILINE),
        )
        for match in _BLOCK.finditer(text)
    ]
