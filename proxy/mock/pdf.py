"""Writes a PDF (ISO 32000) of one page with lines of text: what the mock signs and reports."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

__all__ = ["pdf", "pdf_reply"]

_MOST_LINES: Final = 48
_MOST_LETTERS: Final = 95
_ESCAPED: Final = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})


def _shown(line: str) -> bytes:
    """Return a line as an operator that shows it; what the font lacks becomes `?`."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in line)
    text = printable[:_MOST_LETTERS].translate(_ESCAPED)
    return b"(" + text.encode("cp1252", "replace") + b") '"


def pdf(lines: Sequence[str]) -> bytes:
    """Return a PDF with these lines under the word MOCK; what does not fit on a page is cut."""
    shown = b"\n".join(map(_shown, ("MOCK: no legal value", "", *lines[:_MOST_LINES])))
    content = b"BT /F1 10 Tf 14 TL 50 790 Td\n" + shown + b"\nET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Resources 6 0 R /Contents 5 0 R /MediaBox [0 0 595 842] >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Font << /F1 4 0 R >> >>",
    )
    return _file(objects)


def _file(objects: Sequence[bytes]) -> bytes:
    """Return a PDF of these objects, the first of which is its catalog."""
    data = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    data += b"startxref\n%d\n%%%%EOF\n" % table
    return bytes(data)


def pdf_reply(lines: Sequence[str]) -> web.Response:
    """Return a response that is a PDF."""
    return web.Response(body=pdf(lines), content_type="application/pdf")
