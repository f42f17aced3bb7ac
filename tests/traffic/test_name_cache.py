"""The addresses of names: asked for once for all, the last good ones in reserve (F13)."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from proxy.net.name_cache import NameCache
from proxy.net.resolver import Address, system_resolver
from tests.support.fake_clock import FakeClock, RecordingLog, settle
from tests.support.scripted_resolver import ScriptedResolver, address
from tests.support.waiting import eventually, within

OUTAGE = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
OLD, NEW = [address("192.0.2.1")], [address("192.0.2.2")]
PATIENCE_SECONDS = 0.02


class Names:
    """A cache with its clock, its log, its counts, and a resolver that the test scripts."""

    def __init__(self) -> None:
        self.fake = FakeClock()
        self.recorded = RecordingLog()
        self.counted: Counter[str] = Counter()
        self.resolver = ScriptedResolver()
        self.cache = NameCache(
            clock=self.fake.clock,
            resolver=self.resolver,
            count=self._count,
            log=self.recorded.log,
        )

    def _count(self, outcome: str) -> None:
        self.counted[outcome] += 1

    async def hosts(
        self, name: str = "api.test", port: int = 443, patience: float = PATIENCE_SECONDS
    ) -> list[str]:
        """Return what a lookup brings, ports seen to."""
        found = await within(self.cache.look_up(name, port, patience_seconds=patience), "addresses")
        assert {address[4][1] for address in found} == {port}
        return [str(address[4][0]) for address in found]

    async def known(self, addresses: Sequence[Address] = OLD) -> None:
        """Have the name looked up well."""
        self.resolver.then(addresses)
        assert await self.hosts() == [address[4][0] for address in addresses]

    @property
    def asked(self) -> int:
        """How many questions there were."""
        return len(self.resolver.asked)


@pytest.fixture
async def names() -> Names:
    """Provide an empty cache."""
    return Names()


# --- questions ---


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "127.1"])
async def test_a_numeric_address_asks_nobody(names: Names, host: str) -> None:
    """F13: what is an address already is one without a question, and is not counted."""
    (found,) = await names.cache.look_up(host, 8080, patience_seconds=1)
    assert found[4][:2] == ({"127.1": "127.0.0.1"}.get(host, host), 8080)
    assert (names.asked, names.counted) == (0, {})


async def test_the_scope_of_an_address_is_kept(names: Names) -> None:
    """F13: a link-local address means nothing without its interface."""
    (found,) = await names.cache.look_up("fe80::1%lo", 1, patience_seconds=1)
    assert found[4] == ("fe80::1", 1, 0, socket.if_nametoindex("lo"))


async def test_all_who_wait_for_a_name_share_one_question(names: Names) -> None:
    """F13: any number of dials, to any port, cause one lookup; another name has its own."""
    names.resolver.then(None, None)
    async with asyncio.TaskGroup() as tasks:
        long = 60.0  # no question is asked a second time, however slow the machine
        waiting = [tasks.create_task(names.hosts(port=n, patience=long)) for n in range(1, 101)]
        other = tasks.create_task(names.hosts("other.test", patience=long))
        await settle()
        assert names.resolver.asked == ["api.test", "other.test"]
        names.resolver.answer(0, OLD)
        names.resolver.answer(0, NEW)
    assert {tuple(task.result()) for task in waiting} == {("192.0.2.1",)}
    assert other.result() == ["192.0.2.2"]
    assert names.counted == {"ok": 101}


async def test_a_name_is_looked_up_for_every_dial(names: Names) -> None:
    """F13: an answer that came before serves only in need; a host may move at any time."""
    await names.known(OLD)
    await names.known(NEW)
    assert (names.asked, names.counted) == (2, {"ok": 2})


async def test_a_lookup_that_hesitates_gets_one_more_and_never_a_third(names: Names) -> None:
    """F13: two questions in flight at most, however many wait and for however long."""
    names.resolver.then(None, None)
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(names.hosts()) for _ in range(20)]
        await eventually(lambda: names.asked == 2, "the second question")
        names.fake.jump(monotonic=60.0)
        waiting += [tasks.create_task(names.hosts()) for _ in range(20)]
        await settle()
        assert names.asked == 2
        names.resolver.answer(1, NEW)
    assert {tuple(task.result()) for task in waiting} == {("192.0.2.2",)}


async def test_a_second_question_may_still_be_answered_where_the_first_has_failed(
    names: Names,
) -> None:
    """F13: a failure is one only when no younger question is in flight."""
    names.resolver.then(None, None)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(names.hosts())
        await settle()
        names.fake.jump(monotonic=1.0)
        await eventually(lambda: names.asked == 2, "the second question")
        names.resolver.answer(0, OUTAGE)
        await settle()
        assert not waiting.done()
        names.resolver.answer(0, NEW)
    assert waiting.result() == ["192.0.2.2"]


async def test_who_stops_waiting_leaves_the_question_to_the_others(names: Names) -> None:
    """F13, C2: a cancelled dial ends at once; what it asked for is kept for the next."""
    names.resolver.then(None)
    async with asyncio.TaskGroup() as tasks:
        leaving, staying = (tasks.create_task(names.hosts(patience=60.0)) for _ in range(2))
        await settle()
        leaving.cancel()
        await settle()
        assert leaving.cancelled()
        assert names.counted == {"failed": 1}
        staying.cancel()
    names.resolver.answer(0, OLD)
    await settle()
    names.resolver.then(OUTAGE)
    assert await names.hosts() == ["192.0.2.1"]


# --- in bad times ---


@pytest.mark.parametrize("failure", [OUTAGE, []], ids=["failed", "no address"])
async def test_the_last_good_addresses_serve_where_a_lookup_fails(
    names: Names, failure: Exception | Sequence[Address]
) -> None:
    """F13: for any port of that name, said once and counted, until a lookup works again."""
    await names.known()
    names.resolver.then(*[failure] * 5)
    for port in range(1, 6):
        assert await names.hosts(port=port) == ["192.0.2.1"]
        await settle()
    assert names.counted == {"ok": 1, "stale": 5}
    (warning,) = names.recorded.named("name_lookup_failed")
    assert (warning["level"], warning["host"]) == ("warning", "api.test")
    assert warning["cause"] in (OUTAGE.strerror, "the name has no address")
    assert "an hour" in warning["hint"]
    names.resolver.then(NEW)
    await names.hosts()
    await settle()
    await names.known(NEW)
    assert len(names.recorded.named("name_lookup_recovered")) == 1
    assert names.counted["ok"] == 2


async def test_without_good_addresses_a_failure_is_one(names: Names) -> None:
    """F13: where the name was never found, or is none, who asks is told; nothing is warned of."""
    names.resolver.then(OUTAGE, UnicodeError("label too long"))
    with pytest.raises(socket.gaierror, match="Temporary failure"):
        await names.hosts()
    for host in ("api.test", "a..b"):
        with pytest.raises(UnicodeError):
            await names.hosts(host)
    assert names.counted == {"failed": 2}  # the last is refused before anybody is asked
    assert names.recorded.events == []


async def test_the_last_good_addresses_serve_where_a_lookup_hangs(names: Names) -> None:
    """F13: the first dial waits for a while, the next not at all; questions do not pile up."""
    await names.known()
    names.resolver.then(None, None)
    began = asyncio.get_running_loop().time()
    assert await names.hosts() == ["192.0.2.1"]
    assert asyncio.get_running_loop().time() - began >= 2 * PATIENCE_SECONDS - 0.005
    for _ in range(1000):
        names.fake.jump(monotonic=1.0, wall=1.0)
        assert await names.hosts() == ["192.0.2.1"]
    assert (names.asked, len(names.recorded.named("name_lookup_failed"))) == (3, 1)
    assert names.counted == {"ok": 1, "stale": 1001}
    names.resolver.answer(0, OUTAGE)
    names.resolver.answer(0, NEW)
    await settle()
    assert len(names.recorded.named("name_lookup_recovered")) == 1


async def test_nobody_waits_again_soon_after_a_failure(names: Names) -> None:
    """F13: for half a minute the old addresses serve at once, while a question finds out more."""
    await names.known()
    names.resolver.then(OUTAGE, None)
    await names.hosts()
    names.fake.jump(monotonic=29.0)
    assert await names.hosts() == ["192.0.2.1"]
    assert names.asked == 3
    names.resolver.answer(0, OUTAGE)
    await settle()
    names.fake.jump(monotonic=2.0)
    await names.known(NEW)


@pytest.mark.parametrize("jump", [{"monotonic": 3600.0}, {"wall": 3600.0}])
async def test_old_addresses_serve_for_an_hour_by_either_clock(
    names: Names, jump: dict[str, float]
) -> None:
    """F13: an address of yesterday may be somebody else's; sleep counts, as does a set clock."""
    await names.known()
    names.fake.jump(**{clock: seconds - 1 for clock, seconds in jump.items()})
    names.resolver.then(OUTAGE, OUTAGE)
    assert await names.hosts() == ["192.0.2.1"]
    await settle()
    names.fake.jump(**dict.fromkeys(jump, 1.0))
    with pytest.raises(socket.gaierror):
        await names.hosts()
    assert names.counted == {"ok": 1, "stale": 1, "failed": 1}


# --- the system ---


def lookup_threads() -> list[threading.Thread]:
    """Return the threads that ask the system."""
    return [thread for thread in threading.enumerate() if thread.name == "name lookup"]


async def test_the_system_is_asked_in_a_thread_that_ends() -> None:
    """F13: by default; the thread holds up neither the loop nor the end of the process."""
    cache = NameCache(clock=FakeClock().clock)
    question = system_resolver("localhost")
    assert all(thread.daemon for thread in lookup_threads())
    await within(question, "the system's answer")
    found = await cache.look_up("localhost", 80, patience_seconds=5)
    assert {address[4][1] for address in found} == {80}
    with pytest.raises(OSError, match=r".+"):
        await cache.look_up("name.invalid", 80, patience_seconds=5)
    await eventually(lambda: not lookup_threads(), "the threads to end")


def test_an_answer_that_comes_after_the_end_is_dropped() -> None:
    """C2: the loop may be closed by then."""
    with asyncio.Runner() as runner:

        async def ask() -> None:
            system_resolver("localhost")

        runner.run(ask())
    for thread in lookup_threads():
        thread.join()


async def test_no_thread_is_a_failure_like_any() -> None:
    """F13: where the system has no thread left, the lookup fails and the process goes on."""
    before = threading.stack_size(1 << 46)
    try:
        question = system_resolver("localhost")
    finally:
        threading.stack_size(before)
    with pytest.raises(OSError, match="no thread"):
        await question
