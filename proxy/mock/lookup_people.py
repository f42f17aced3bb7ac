"""MOCK of Data Verification, its people: invented, and in every register that has people."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from proxy.mock.lookup_countries import Country

__all__ = ["AASE", "KARI", "PEOPLE", "Person", "full_name"]


def full_name(first: str, last: str) -> dict[str, Any]:
    """Return a name as responses have it."""
    full = f"{first} {last}"
    return {"status": "all", "full": full, "first": first, "last": last, "middle": None}


@dataclass(frozen=True, slots=True)
class Person:
    """An invented person: the number fails the check that real ones pass."""

    number: str
    first: str
    last: str
    born: date
    died: date | None = None

    @property
    def name(self) -> dict[str, Any]:
        """Return the name as responses have it."""
        return full_name(self.first, self.last)

    def birth(self, country: Country) -> dict[str, Any]:
        """Return when and where the person was born: all of it is text."""
        return {**_as_texts("Birth", self.born), "country": country.code}

    @property
    def death(self) -> dict[str, Any]:
        """Return whether and when the person died."""
        return {"isDead": self.died is not None, **_as_texts("Death", self.died)}


def _as_texts(event: str, day: date | None) -> dict[str, Any]:
    return {
        f"monthOf{event}": day and f"{day:%m}",
        f"yearOf{event}": day and f"{day:%Y}",
        f"dateOf{event}": day and day.isoformat(),
    }


KARI: Final = Person("31019000000", "Kari", "Test", date(1990, 1, 31))
AASE: Final = Person("01014500000", "Åse", "Prøve", date(1945, 1, 1), died=date(2024, 5, 1))
PEOPLE: Final = (KARI, AASE)
