"""Where a text is read far from the repository, its links into that are the names of files."""

import pytest

from release.links import named_links


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[Callers](docs/callers.md#keys)", "Callers (docs/callers.md)"),
        ("[docs/tls.md](docs/tls.md)", "docs/tls.md"),
        ("[below](#fixed)", "below"),
        ("![The page](docs/page.png)", "The page (docs/page.png)"),
        ("[two\nlines](a.md) [and](b.md)", "two\nlines (a.md) and (b.md)"),
        ("[RFC 9110](https://example.com/rfc)", "[RFC 9110](https://example.com/rfc)"),
        ("![x](https://example.com/x.png)", "![x](https://example.com/x.png)"),
        ("[write](mailto:a@example.com)", "[write](mailto:a@example.com)"),
        ("`a[0](b)` [c](d)", "`a[0](b)` c (d)"),
        ("```sh\na[0](b) `x`\n```\n[c](d)", "```sh\na[0](b) `x`\n```\nc (d)"),
    ],
)
def test_links_into_the_repository_are_named(written: str, read: str) -> None:
    """Others stay as they are, and so does code."""
    assert named_links(written) == read
