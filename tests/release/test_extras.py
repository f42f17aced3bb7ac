"""A wheel brings the extras that are asked for; where one is missing, it says how to ask."""

import asyncio
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from proxy.mock.command import DEFAULT_CLIENT
from tests.release.installation import User
from tests.release.packed import TOOLS, Packed
from tests.support.client_keys import pem, rsa_key
from tests.support.otlp_receiver import OtlpReceiver

CONFIG: Final = f"""\
client_id = "{DEFAULT_CLIENT}"
client_auth = "private_key_jwt"
client_key_file = "key"
client_key_id = "of-a-test"
"""


async def check_of(user: User, program: Path, extra: str) -> tuple[int, str]:
    """Run `check` with what the extra is for: a key that signs, or a collector of traces."""
    if extra == "jwt":
        (user.folder / "key").write_text(pem(rsa_key()), "utf-8")
        (user.folder / "proxy.toml").write_text(CONFIG, "utf-8")
    else:
        user.configure()
    async with user.mocked(program) as (_, flags), OtlpReceiver() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} if extra == "otel" else {}
        command: Sequence[str | Path] = (program, "check", "--no-call", *flags)
        return await asyncio.to_thread(user.ended, *command, environ=environ)


async def missed(user: User, program: Path, extra: str) -> str:
    """Return what `check` says to install, where what the extra is for was asked of the program."""
    code, said = await check_of(user, program, extra)
    assert code == {"jwt": 2, "otel": 0}[extra], said
    (hint,) = re.findall(r"\b[Ii]nstall ('.*')", said)
    (word,) = shlex.split(hint)
    return word


async def assert_works(user: User, program: Path, extra: str) -> None:
    """See that the program can do what the extra is for."""
    code, said = await check_of(user, program, extra)
    assert code == 0, said
    line = {"jwt": "token", "otel": "traces"}[extra]
    assert re.search(rf"^ok +{line}\b", said, re.MULTILINE), said


@pytest.mark.parametrize("extra", ["jwt", "otel"])
async def test_pip_installs_a_wheel_with_an_extra(user: User, packed: Packed, extra: str) -> None:
    """As the README shows it, over the same wheel without; the hint names the wheel, too."""
    programs = user.environment_of_its_own()
    program, pip = programs / "signicat-proxy", (programs / "pip", "install", "--quiet")
    user.run(*pip, f"./{packed.wheel.name}")
    wheel = (user.folder / packed.wheel.name).as_uri()
    assert await missed(user, program, extra) == f"signicat-proxy[{extra}] @ {wheel}"
    user.run(*pip, f"./{packed.wheel.name}[{extra}]")
    await assert_works(user, program, extra)


@pytest.mark.parametrize(
    ("extra", "installer"),
    [("jwt", ("uv", "tool", "install")), ("otel", (TOOLS / "pipx", "install", "--force"))],
    ids=["uv", "pipx"],
)
async def test_a_tool_is_installed_anew_with_what_the_hint_names(
    user: User, packed: Packed, extra: str, installer: Sequence[str | Path]
) -> None:
    """In an environment of its own, in which no other pip would look for the package."""
    user.run(*installer, f"./{packed.wheel.name}")
    program = user.folder / "bin" / "signicat-proxy"
    user.run(*installer, await missed(user, program, extra))
    await assert_works(user, program, extra)
