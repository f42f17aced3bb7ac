"""What is odd about a secret or an id that somebody has copied: what they see is not all (T13)."""

from collections.abc import Iterator
from typing import Final

__all__ = ["oddities"]

_QUOTES: Final = ('""', "''", "``", "“”", "„“", "\u2018\u2019", "«»")
# Letters and marks that are drawn as nothing; all others that are, are not printable in Python.
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | frozenset(
    map(chr, range(0xFE00, 0xFE10))
)


def oddities(text: str) -> Iterator[str]:
    """Yield what is odd, each as the end of a sentence about `text`, without any of its letters."""
    if len(text) > 1 and text[0] + text[-1] in _QUOTES:
        yield "has quotes around it"
    spaces = [place for place, character in enumerate(text) if character in " \t"]
    if spaces:
        yield f"has a space {_where(spaces, text)}"
    unseen = [place for place, character in enumerate(text) if _is_unseen(character)]
    if unseen:
        codes = dict.fromkeys(f"U+{ord(text[place]):04X}" for place in unseen)
        yield f"has an invisible character {_where(unseen, text)} ({', '.join(codes)})"


def _is_unseen(character: str) -> bool:
    return character not in " \t" and (
        not character.isprintable() or character.isspace() or character in _FILLERS
    )


def _where(places: list[int], text: str) -> str:
    """Say where to look for them."""
    if places[0] == 0:
        return "at its beginning"
    is_tail = places == list(range(len(text) - len(places), len(text)))
    return "at its end" if is_tail else "in it"
