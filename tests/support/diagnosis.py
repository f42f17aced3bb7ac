"""Runs the doctor in the test's own loop and sees that nothing secret is among what he says."""

from dataclasses import dataclass
from pathlib import Path

from proxy.check.finding import CHECKS, Finding
from proxy.check.run import Doctor
from proxy.clock import SYSTEM_CLOCK, Clock
from proxy.net.tls import client_context
from proxy.settings.loader import Settings, load
from tests.support.running_proxy import assert_no_secret, environment

__all__ = ["Diagnosis", "diagnose", "settings_for"]

_NOWHERE = Path("/nonexistent")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, in the order in which they came."""

    findings: tuple[Finding, ...]

    def of(self, check: str) -> list[Finding]:
        """Return the findings of one check."""
        return [finding for finding in self.findings if finding.check == check]

    def one(self, check: str) -> Finding:
        """Return the only finding of a check."""
        (finding,) = self.of(check)
        return finding

    @property
    def failed(self) -> list[str]:
        """The checks that failed."""
        return [finding.check for finding in self.findings if finding.state == "failed"]

    @property
    def skipped(self) -> dict[str, str]:
        """The checks that were skipped, and why."""
        return {
            finding.check: finding.detail for finding in self.findings if finding.state == "skipped"
        }


def settings_for(*, config_file: Path | None = None, **overrides: object) -> Settings:
    """Return settings for free ports; overrides are settings in lower case."""
    values: dict[str, object] = {"upstream": "https://up.test", "token_url": "https://idp.test/t"}
    environ = environment(**(values | overrides))  # type: ignore[arg-type]
    return load(config_file=config_file, environ=environ, directory=_NOWHERE).settings


async def diagnose(
    settings: Settings, *, clock: Clock = SYSTEM_CLOCK, with_call: bool = True
) -> Diagnosis:
    """Examine settings; every failure and warning must come with a fix that names something."""
    doctor = Doctor(
        settings, tls=client_context(settings.ca_file), clock=clock, with_call=with_call
    )
    found = tuple([finding async for finding in doctor.examine()])
    assert_no_secret(repr(found))
    for finding in found:
        assert finding.check in CHECKS
        assert bool(finding.fix) == (finding.state in ("failed", "warning")), finding
    return Diagnosis(found)
