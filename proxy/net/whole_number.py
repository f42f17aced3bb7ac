"""Whole numbers that the environment gives: systemd's, as its own library takes them."""

__all__ = ["whole_number"]


def whole_number(text: str, most: int) -> int | None:
    """Return the number that is written there, None where there is none from 0 to `most`.

    Only ASCII digits are one, and not more of them than `most` has: Python takes those of other
    scripts too, and raises where there are thousands.
    """
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(most)):
        return None
    number = int(text)
    return number if number <= most else None
