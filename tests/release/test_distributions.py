"""What the compiled wheel is built with."""

import pytest

from release.distributions import without_folders

LINKERS = {
    "Debian's": ("gcc -shared -Wl,-O1 -g -fwrapv -O2", "gcc -shared -Wl,-O1 -g -fwrapv -O2"),
    "pyenv's": ("gcc -shared -L/a/versions/3.13.0/lib -Wl,-rpath,/a/lib -L/a/lib", "gcc -shared"),
    "a hosted runner's": ("gcc -shared -Wl,--rpath=/a/Python/3.13.1/x64/lib", "gcc -shared"),
    "in two words": ("gcc -Wl,-rpath -Wl,/a/lib -shared", "gcc -shared"),
    "short": ("gcc -shared -Wl,-R/a/lib -R/a", "gcc -shared"),
}


@pytest.mark.parametrize(("linker", "expected"), LINKERS.values(), ids=LINKERS.keys())
def test_no_folder_of_libraries_reaches_the_linker(linker: str, expected: str) -> None:
    """Pythons name theirs in many ways, and each would stand in the machine code."""
    assert " ".join(without_folders(linker)) == expected
