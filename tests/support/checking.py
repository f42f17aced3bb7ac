"""Runs the checks in the test's own loop and sees that no secret is among the results."""

from dataclasses import dataclass
from pathlib import Path

from proxy.check.result import CHECKS, Result
from proxy.check.run import Checker
from proxy.clock import SYSTEM_CLOCK, Clock
from proxy.net.tls import client_context
from proxy.settings.loader import Settings, load
from tests.support.running_proxy import assert_no_secret, environment

__all__ = ["Results", "check", "settings_for"]

_NOWHERE = Path("/nonexistent")


@dataclass(frozen=True, slots=True)
class Results:
    """All results, in the order in which they came."""

    all: tuple[Result, ...]

    def of(self, check_id: str) -> list[Result]:
        """Return the results of one check."""
        return [result for result in self.all if result.check == check_id]

    def one(self, check_id: str) -> Result:
        """Return the only result of a check."""
        (result,) = self.of(check_id)
        return result

    @property
    def failed(self) -> list[str]:
        """The checks that failed."""
        return [result.check for result in self.all if result.state == "failed"]

    @property
    def skipped(self) -> dict[str, str]:
        """The checks that were skipped, and why."""
        return {result.check: result.detail for result in self.all if result.state == "skipped"}


def settings_for(*, config_file: Path | None = None, **overrides: object) -> Settings:
    """Return settings for free ports; overrides are settings in lower case."""
    values: dict[str, object] = {"upstream": "https://up.test", "token_url": "https://idp.test/t"}
    environ = environment(**(values | overrides))  # type: ignore[arg-type]
    return load(config_file=config_file, environ=environ, directory=_NOWHERE).settings


async def check(
    settings: Settings, *, clock: Clock = SYSTEM_CLOCK, with_call: bool = True
) -> Results:
    """Check settings; every failure and warning must come with a fix that names something."""
    checker = Checker(
        settings, tls=client_context(settings.ca_file), clock=clock, with_call=with_call
    )
    found = tuple([result async for result in checker.results()])
    assert_no_secret(repr(found))
    for result in found:
        assert result.check in CHECKS
        assert bool(result.fix) == (result.state in ("failed", "warning")), result
    return Results(found)
