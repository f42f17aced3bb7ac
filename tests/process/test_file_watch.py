"""Files that change while the process runs: noticed by content, never worse than before (C4)."""

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.files import UnreadableFileError, UnusableFileError, read_file
from proxy.server.file_watch import FileWatch, WatchedFiles
from tests.support.fake_clock import RecordingLog
from tests.support.open_files import no_open_files
from tests.support.waiting import eventually, task_group


class Words:
    """What two files say together: the second must be the first, spelled backwards."""

    def __init__(self, directory: Path) -> None:
        self.one, self.two = directory / "one", directory / "two"
        self.log = RecordingLog()
        self.watch = FileWatch(self.log.log)
        self.in_force: list[str] = []
        self.loads = 0
        self.write("ab", "ba")

    def write(self, one: str, two: str) -> None:
        """Replace both."""
        self.one.write_text(one)
        self.two.write_text(two)

    def load(self) -> str:
        """Read both."""
        self.loads += 1
        one, two = read_file("one", self.one).decode(), read_file("two", self.two).decode()
        if one != two[::-1]:
            raise UnusableFileError("t.two", "does not belong to one")
        return one

    def add(self) -> None:
        """Have them watched."""
        paths = {"one": self.one, "t.two": self.two}
        self.watch.add(WatchedFiles(paths, self.load, self.in_force.append))

    def failures(self) -> dict[str, int]:
        """Return the metric."""
        return self.watch.counters.reload_failures


@contextlib.asynccontextmanager
async def looking(words: Words) -> AsyncIterator[None]:
    """Have it look for as long as the block runs."""
    async with task_group() as tasks:
        task = tasks.create_task(words.watch.run())
        try:
            yield
        finally:
            task.cancel()


@pytest.fixture
def words(tmp_path: Path) -> Words:
    """Provide two files that belong together, under watch."""
    words = Words(tmp_path)
    words.add()
    return words


async def test_what_changes_is_put_into_force(words: Words) -> None:
    """Without a word from anybody, and once for each change."""
    assert words.in_force == ["ab"]
    async with looking(words):
        words.write("cd", "dc")
        await eventually(lambda: words.in_force == ["ab", "cd"], "the new content")
    (event,) = words.log.events
    assert event["event"] == "file_reloaded"
    assert event["setting"] == ["SIGNICAT_PROXY_ONE", "t.two"]
    assert words.failures() == {"one": 0, "t.two": 0}


async def test_a_half_written_pair_changes_nothing_and_heals(words: Words) -> None:
    """It is told and counted once, by the name of the file that is to blame."""
    words.one.write_text("cd")
    await words.watch.look()
    assert words.failures() == {"one": 0, "t.two": 1}
    words.two.write_text("dc")
    await words.watch.look()
    assert words.in_force == ["ab", "cd"]
    assert [event["event"] for event in words.log.events] == ["file_not_reloaded", "file_reloaded"]
    assert words.log.events[0]["setting"] == "t.two"
    assert words.log.events[0]["reason"] == "does not belong to one"


async def test_what_stays_unusable_is_told_once(words: Words) -> None:
    """And again only where it changes to something else that is, or where the operator asks."""
    words.one.write_text("cd")
    for _ in range(3):
        await words.watch.look()
    assert (words.loads, words.failures()["t.two"]) == (2, 1)
    await words.watch.look(tries_again=True)
    assert (words.loads, words.failures()["t.two"]) == (3, 2)
    words.one.write_text("ef")
    await words.watch.look()
    assert (words.loads, words.failures()["t.two"]) == (4, 3)
    assert words.in_force == ["ab"]


async def test_a_lack_of_open_files_passes(tmp_path: Path) -> None:
    """What cannot be read for that alone is tried again at the next look, as it is."""
    path, log, in_force = tmp_path / "one", RecordingLog(), list[str]()
    limit: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext

    def load() -> str:
        with limit():
            return read_file("one", path).decode()

    watch = FileWatch(log.log)
    path.write_text("ab")
    watch.add(WatchedFiles({"one": path}, load, in_force.append))
    path.write_text("cd")
    limit = no_open_files
    await watch.look()
    assert [event["reason"] for event in log.events] == [
        f"cannot be read ({os.strerror(errno.EMFILE)})"
    ]
    limit = contextlib.nullcontext
    await watch.look()
    assert in_force == ["ab", "cd"]


async def test_what_is_as_it_was_is_not_read_anew(words: Words) -> None:
    """Not even where the operator asks."""
    words.write("ab", "ba")
    await words.watch.look(tries_again=True)
    assert (words.loads, words.in_force) == (1, ["ab"])


async def test_what_another_file_stood_against_is_tried_again(tmp_path: Path) -> None:
    """Once that file has changed, at whichever look; and what still fails is not told again."""
    log, in_force = RecordingLog(), dict.fromkeys(("early", "late", "bad"), "")
    watch = FileWatch(log.log)

    def add(name: str) -> None:
        path = tmp_path / name

        def load() -> str:
            text = read_file(name, path).decode()
            if text in {other for key, other in in_force.items() if key != name}:
                raise UnusableFileError(name, "is held by another")
            return text

        path.write_text(name)
        watch.add(WatchedFiles({name: path}, load, lambda text: in_force.update({name: text})))

    for name in in_force:
        add(name)
    (tmp_path / "bad").unlink()
    (tmp_path / "early").write_text("late")
    for _ in range(2):
        await watch.look()
        assert in_force["early"] == "early"
    (tmp_path / "late").write_text("new")
    await watch.look()
    assert in_force == {"early": "late", "late": "new", "bad": "bad"}
    assert watch.counters.reload_failures == {"early": 1, "late": 0, "bad": 1}
    assert [event["event"] for event in log.events] == ["file_not_reloaded"] * 2 + [
        "file_reloaded"
    ] * 2


class Panic(BaseException):
    """What a library in Rust raises where it has a bug."""


@pytest.mark.parametrize("kind", [TypeError, MemoryError, Panic])
async def test_what_nobody_foresaw_is_an_unusable_file(
    words: Words, kind: type[BaseException]
) -> None:
    """It ends no process; its text, which may quote the file, is told to nobody."""
    load, is_broken = words.load, True

    def load_or_break() -> str:
        if is_broken and words.one.read_text() == "s3cret":
            raise kind("s3cret")
        return load()

    paths = {"one": words.one, "t.two": words.two}
    words.watch.add(WatchedFiles(paths, load_or_break, words.in_force.append))
    async with looking(words):
        words.write("s3cret", "terc3s")
        words.watch.look_now()
        await eventually(
            # A thread that still looks could read the first file of now and the second of before.
            lambda: words.failures()["one"] > 0 and not words.watch.is_due,
            "the failure",
        )
        is_broken = False
        words.write("cd", "dc")
        words.watch.look_now()
        await eventually(lambda: words.in_force[-2:] == ["cd", "cd"], "the next content")
    (told,) = [event for event in words.log.events if event["event"] == "file_not_reloaded"]
    assert told["setting"] == "SIGNICAT_PROXY_ONE"
    assert told["reason"] == f"cannot be used ({kind.__name__})"
    assert "s3cret" not in str(words.log.events)


async def test_the_operator_need_not_wait(words: Words) -> None:
    """SIGHUP looks at once."""
    async with looking(words):
        words.write("cd", "dc")
        words.watch.look_now()
        await eventually(lambda: words.in_force == ["ab", "cd"], "the new content", 4.0)


async def test_a_file_that_goes_and_comes_back(words: Words) -> None:
    """As an update does that removes before it writes."""
    words.one.unlink()
    await words.watch.look()
    assert words.log.events[0]["reason"] == "cannot be read (No such file or directory)"
    words.one.write_text("ab")
    await words.watch.look()
    assert words.in_force == ["ab", "ab"]
    assert words.failures() == {"one": 1, "t.two": 0}


async def test_a_swapped_link_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes changes what it has mounted."""
    words = Words(tmp_path)
    for version, (one, two) in {"1": ("ab", "ba"), "2": ("cd", "dc")}.items():
        folder = tmp_path / version
        folder.mkdir()
        (folder / "one").write_text(one)
        (folder / "two").write_text(two)
    link = tmp_path / "data"
    link.symlink_to("1")
    words.one, words.two = link / "one", link / "two"
    words.add()
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").rename(link)
    await words.watch.look()
    assert words.in_force == ["ab", "cd"]


async def test_nothing_to_watch_is_no_work() -> None:
    """Then the task ends."""
    await asyncio.wait_for(FileWatch(RecordingLog().log).run(), 5)


def test_at_the_start_an_unusable_file_is_an_error(tmp_path: Path) -> None:
    """There is nothing before it that could serve."""
    words = Words(tmp_path)
    words.two.write_text("xx")
    with pytest.raises(UnusableFileError, match=r"^t\.two: does not belong to one$"):
        words.add()


def test_only_files_are_read(tmp_path: Path) -> None:
    """No pipe, no folder, nothing endless; the text says which file, and nothing of it."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * 1025)
    for path, cause in {
        tmp_path: "Is a directory",
        Path("/dev/null"): "not a regular file",
        tmp_path / "none": "No such file or directory",
        large: "over 1 KiB",
        Path("a\0b"): "no path of a file",
    }.items():
        with pytest.raises(UnreadableFileError) as caught:
            read_file("some_file", path, max_bytes=1024)
        assert str(caught.value) == f"some_file: cannot be read ({cause})"
