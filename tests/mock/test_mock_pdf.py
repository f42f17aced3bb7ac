"""The PDF that the mock makes: its table of objects leads to them."""

import re

import pytest

from proxy.mock.pdf import pdf


@pytest.mark.parametrize("lines", [[], ["Invoice", "Storgata 1"], ["a (b) \\ c", "Åse 😀"]])
def test_a_reader_finds_its_way(lines: list[str]) -> None:
    """From the end to the table, from the table to each object; a stream is as long as it says."""
    data = pdf(lines)
    end = re.search(rb"startxref\n(\d+)\n%%EOF\n\Z", data)
    assert end
    table = data[int(end[1]) :]
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n \n", table)]
    assert table.startswith(b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1))
    numbers = [int(data[place:].split(b" 0 obj\n")[0]) for place in places]
    assert numbers == list(range(1, len(places) + 1))
    for length, stream in re.findall(rb"/Length (\d+).*?stream\n(.*?)\nendstream", data, re.DOTALL):
        assert int(length) == len(stream)
    assert b"MOCK" in data


def test_what_is_special_is_escaped() -> None:
    """Brackets and backslashes are text; what the font lacks is a question mark."""
    data = pdf(["a (b) \\ c", "Åse 😀", "a\x00b\nc"])
    for shown in (rb"(a \(b\) \\ c)", b"(\xc5se ?)", b"(a?b?c)"):
        assert shown in data


def test_what_does_not_fit_on_the_page_is_cut() -> None:
    """Lines below its end, and letters beyond its edge."""
    data = pdf(["x" * 500, *["line"] * 200])
    assert (data.count(b"(line)"), b"x" * 96 in data) == (47, False)
