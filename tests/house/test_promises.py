"""docs/promises.md: every promise that is named stands there, and a test holds each of them."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.support.source_tree import ROOT, kept_files, read, relative

PAGE = "docs/promises.md"
FAMILIES = "TFGIPOEAMLCK"
"""In the order of the page; I, P and O are for promises to come."""
ROW = re.compile(r"^\| ([A-Z]\d*) \| (.+) \|$", re.MULTILINE)
# As a word, and no part of `%C3%A9` or `H2.T1`.
NUMBERED = re.compile(r"(?<![\w%.])(?:[TFGC]\d{1,2}|[IPO]\d)(?![\w%])")
# A promise that is one for a whole part is named in brackets alone, since a letter is a word too.
IN_BRACKETS = re.compile(r"\(([^()]+)\)")
LETTER = re.compile(r"[EAMLK]\d{0,2}")
TABLE = re.compile(r"\b[Tt]able (E)\b")
ITEM_ENDS = re.compile(r",\s+|\s+(?:and|to)\s+")


def named_in(text: str) -> set[str]:
    """Return the ids that a comment, a docstring or a page names."""
    items = {
        item for inside in IN_BRACKETS.findall(text) for item in ITEM_ENDS.split(inside.strip())
    }
    letters = {item for item in items if LETTER.fullmatch(item)}
    return letters | set(NUMBERED.findall(text)) | set(TABLE.findall(text))


def docstring_of(node: ast.AST) -> str | None:
    """Return the text of a statement that is nothing but a text."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return node.value.value if isinstance(node.value.value, str) else None
    return None


def prose_of(source: str) -> Iterator[str]:
    """Yield the comments and docstrings of a module: what is said and not done."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        text = docstring_of(node)
        if text is not None:
            yield text


def is_test(name: str) -> bool:
    """Say whether a function of that name is a test."""
    return name.startswith("test_")


def named_by_tests(source: str) -> set[str]:
    """Return the ids that the docstrings of a module's tests name."""
    ids: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_test(node.name):
            ids |= named_in(ast.get_docstring(node) or "")
    return ids


def unknown_in(texts: Iterable[tuple[str, str]], promised: set[str]) -> list[str]:
    """Return where a text names what is not promised; each text comes with its place."""
    return sorted(f"{place}: {name}" for place, text in texts for name in named_in(text) - promised)


def place_of(name: str) -> tuple[int, int]:
    """Return where on the page an id belongs."""
    return FAMILIES.index(name[0]), int(name[1:] or 0)


def faults_of_page(page: str) -> list[str]:
    """Return what is wrong with the rows of the page: order, repetition, no whole sentence."""
    rows = ROW.findall(page)
    names = [name for name, _ in rows]
    return [
        *(f"{name} stands twice" for name in sorted(set(names)) if names.count(name) > 1),
        *(["the order"] if names != sorted(names, key=place_of) else []),
        *(f"{name} is no sentence" for name, text in rows if not re.match(r"[A-Z`].+\.$", text)),
    ]


def promised_on(page: str) -> set[str]:
    """Return the ids on the page."""
    return {name for name, _ in ROW.findall(page)}


def texts_of_the_repository() -> Iterator[tuple[str, str]]:
    """Yield comments, docstrings and pages, each with the file it is of."""
    for path in kept_files():
        if path.suffix == ".py":
            for text in prose_of(path.read_text(encoding="utf-8")):
                yield relative(path), text
        elif path.suffix == ".md":
            yield relative(path), path.read_text(encoding="utf-8")


def test_whatever_is_named_is_promised() -> None:
    """Every id that code, tests, bench and pages name stands on the page of promises."""
    texts = list(texts_of_the_repository())
    assert unknown_in(texts, promised_on(read(PAGE))) == []
    folders = {place.split("/")[0] for place, text in texts if named_in(text)}
    assert {"proxy", "tests", "docs"} <= folders


def test_every_promise_is_held_by_a_test() -> None:
    """A promise that no test names is none."""
    modules: Iterator[Path] = (ROOT / "tests").rglob("test_*.py")
    held = set().union(*(named_by_tests(path.read_text(encoding="utf-8")) for path in modules))
    promised = promised_on(read(PAGE))
    assert len(promised) > 40
    assert promised - held == set()


def test_promises_are_in_order_and_whole() -> None:
    """Each id stands once, in its place, with a sentence."""
    assert faults_of_page(read(PAGE)) == []


def test_ids_are_found_however_they_are_named() -> None:
    """As words, in lists, in ranges and in brackets; a letter alone is an id in brackets only."""
    assert named_in("Renew (T2).") == {"T2"}
    assert named_in("T5, G12: it is so, as a rule of C3 says.") == {"T5", "G12", "C3"}
    assert named_in("Headers (RFC 9112 §9.8, F7) and limits (G2 to G6,\n    F4).") == {
        *("F7", "G2", "G6", "F4")
    }
    assert named_in("one of table E (product, table E); (A), (M, L) and (K and G7)") == set(
        "EAMLK"
    ) | {"G7"}
    assert named_in("T5/T6, F1-F4") == {"T5", "T6", "F1", "F4"}
    assert named_in("(I1), O5 and (E9)") == {"I1", "O5", "E9"}


def test_what_looks_like_an_id_is_none() -> None:
    """Percent-encoded bytes, other names, versions, paths and plain letters."""
    text = "/caf%C3%A9 %F3 H2 p95 P95 L1 A4 UTF8 T-1 C3PO 1.T2 a.F3 L is (Ctrl-C) (see M) (Table A)"
    assert named_in(text) == set()


def test_only_what_is_said_names_a_promise() -> None:
    """Comments and docstrings count, also of attributes; other texts of a module do not."""
    source = '"""One (T1)."""\nA = "F1"  # two: F2\n"""Three (F3)."""\nprint("""F4""")\n'
    assert named_in(" ".join(prose_of(source))) == {"T1", "F2", "F3"}


def test_only_tests_hold_a_promise() -> None:
    """Neither the docstring of a module nor that of a helper is a test."""
    source = (
        '"""All (T1)."""\ndef helper():\n    """(T2)."""\nasync def test_a():\n    """(T3)."""\n'
    )
    assert named_by_tests(source + "def test_b():\n    assert True\n") == {"T3"}


def test_a_name_without_a_promise_is_told() -> None:
    """With the file that names it."""
    texts = [("proxy/a.py", "Both (T1, F99)."), ("docs/b.md", "fine (T1)"), ("c", "not yet: I1")]
    assert unknown_in(texts, {"T1"}) == ["c: I1", "proxy/a.py: F99"]


def test_a_faulty_page_is_told() -> None:
    """Wrong order, an id that stands twice, a row that is no sentence; other tables count not."""
    head = "| id | promise |\n|---|---|\n"
    assert (
        faults_of_page(head + "| T2 | Yes. |\n| T10 | Yes. |\n| F1 | `a` is. |\n| E | Yes. |") == []
    )
    assert faults_of_page(head + "| T10 | Yes. |\n| T2 | Yes. |") == ["the order"]
    assert faults_of_page(head + "| F1 | Yes. |\n| T2 | Yes. |") == ["the order"]
    assert faults_of_page(head + "| T2 | Yes. |\n| T2 | Yes. |") == ["T2 stands twice"]
    assert faults_of_page(head + "| T2 | still to be written |") == ["T2 is no sentence"]
    assert promised_on(head + "| `T2` | Yes. |\n| T3 | No. |") == {"T3"}
