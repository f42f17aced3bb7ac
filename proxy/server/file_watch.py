"""Files that change while the process runs: looked at, read anew, put into force (C4).

A changed file is noticed by its content, so a swapped symlink, a rename and a write in place
are all the same. What cannot be used changes nothing: what was read before stays in force.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from structlog.typing import FilteringBoundLogger

from proxy.files import UnusableFileError, read_file, unforeseen_is_unusable
from proxy.net.dial_errors import lacks_descriptors
from proxy.settings.names import file_name
from proxy.telemetry.counters import FileCounters

__all__ = ["FileWatch", "WatchedFiles"]

T = TypeVar("T")

_LOOK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class WatchedFiles(Generic[T]):
    """One file, or some that make sense together only, as a certificate and its key.

    `paths` are by the setting that names each, in lower case (`UnusableFileError.file`).
    `load` reads and checks them and changes nothing; it runs in a thread, and raises
    `UnusableFileError`; whatever else it raises counts as one of the first file. `use` puts into
    force what was loaded; it runs in the event loop.
    """

    paths: Mapping[str, Path]
    load: Callable[[], T]
    use: Callable[[T], None]

    def fingerprint(self) -> tuple[str, ...]:
        """Return what differs where a content differs, or the reason why there is none."""
        return tuple(map(_fingerprint, self.paths, self.paths.values()))


def _fingerprint(file: str, path: Path) -> str:
    """Return a digest: keys are not kept for longer than it takes to read them."""
    try:
        return hashlib.sha256(read_file(file, path)).hexdigest()
    except UnusableFileError as error:
        return error.reason


def _is_passing(error: BaseException) -> bool:
    """Say whether this machine's limit of open files is the cause: the next look may succeed."""
    cause: BaseException | None = error
    while cause is not None and not lacks_descriptors(cause):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


class _Watched(Generic[T]):
    """Files, and what they were when they were last looked at."""

    def __init__(self, files: WatchedFiles[T]) -> None:
        self.files = files
        self.seen: tuple[str, ...] = ()
        self.is_failing = False
        self.told = ""  # why it failed, as the log said it last

    def load_if_changed(self, *, tries_again: bool) -> tuple[T] | None:
        """Return what is to be put into force, None for nothing; raise `UnusableFileError`."""
        # Taken first: what changes after it is seen at the next look.
        found = self.files.fingerprint()
        if found == self.seen and not (self.is_failing and tries_again):
            return None
        self.seen = found
        self.is_failing = True
        try:
            with unforeseen_is_unusable(next(iter(self.files.paths))):
                loaded = self.files.load()
        except UnusableFileError as error:
            if _is_passing(error):
                self.seen = ()
            raise
        self.is_failing = False
        return (loaded,)


class FileWatch:
    """Looks at all files every five seconds, and at once when it is told to (SIGHUP)."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self.counters = FileCounters()
        self._log = log
        self._watched: list[_Watched[Any]] = []
        self._is_ordered = asyncio.Event()
        self._is_looking = False

    def add(self, files: WatchedFiles[T]) -> None:
        """Load files, put them into force, and look at them from now on.

        Raises `UnusableFileError`: at the start there is nothing before it that could serve.
        """
        watched = _Watched(files)
        loaded = watched.load_if_changed(tries_again=False)
        if loaded is not None:
            files.use(loaded[0])
        for file in files.paths:
            self.counters.watch(file)
        self._watched.append(watched)

    def look_now(self) -> None:
        """Look at once, and tell again of files that cannot be used."""
        self._is_ordered.set()

    @property
    def is_due(self) -> bool:
        """Whether a look that was asked for is not over yet."""
        return bool(self._watched) and (self._is_ordered.is_set() or self._is_looking)

    async def run(self) -> None:
        """Look until cancelled; nothing that a file holds ends it."""
        while self._watched:
            tries_again = await self._wait()
            self._is_looking = True
            await self.look(tries_again=tries_again)
            self._is_looking = False

    async def look(self, *, tries_again: bool = False) -> None:
        """Look at every file once; what failed is tried again if it has changed or `tries_again`.

        So one warning tells of a file that stays unusable, and not one at every look. What one
        file holds may have stood against another, as a key that moves to another caller: once
        a file is put into force, those that failed are tried again.
        """
        used = [await self._look_at(each, tries_again=tries_again) for each in self._watched]
        while any(used):
            failing = [each for each in self._watched if each.is_failing]
            used = [await self._look_at(each, tries_again=True, is_retry=True) for each in failing]

    async def _wait(self) -> bool:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._is_ordered.wait()
        except TimeoutError:
            return False
        self._is_ordered.clear()
        return True

    async def _look_at(
        self, watched: _Watched[Any], *, tries_again: bool, is_retry: bool = False
    ) -> bool:
        """Say whether something was put into force; a retry tells no failure for a second time.

        Read in a thread: a list of authorities takes longer than a request may wait.
        """
        try:
            loaded = await asyncio.to_thread(watched.load_if_changed, tries_again=tries_again)
        except UnusableFileError as error:
            is_told, watched.told = watched.told == str(error), str(error)
            if is_retry and is_told:
                return False
            self.counters.reload_failed(error.file)
            self._log.warning(
                "file_not_reloaded",
                setting=file_name(error.file),
                reason=error.reason,
                hint="what was read before is still used; replace the file",
            )
            return False
        if loaded is None:
            return False
        watched.files.use(loaded[0])
        self._log.info("file_reloaded", setting=[file_name(file) for file in watched.files.paths])
        return True
