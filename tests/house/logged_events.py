"""Which events the proxy can log, and with which members: read from the calls that log them.

A call whose members cannot be read is an error, so nothing is left out without a word. What
running proxies really log is compared with the result at the end of each run of the suite
(`tests.support.recorded_interface`).
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.source_tree import PACKAGE_MODULES, relative

__all__ = ["IN_EVERY_EVENT", "logged_events"]

IN_EVERY_EVENT: Final = frozenset(("event", "level", "timestamp"))
_LEVELS: Final = frozenset(("debug", "info", "warning", "error", "critical", "exception"))
_ACCESS_LOG: Final = "proxy/telemetry/access_log.py"
"""It passes on what it is given: the events `request` are read where they are made."""


def _is_log(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2].strip("_") == "log"


def _event_of(call: ast.Call) -> ast.expr | None:
    """Return the argument that names the event, None for a call that logs nothing."""
    function, arguments = call.func, call.args
    if isinstance(function, ast.Attribute) and _is_log(function.value):
        if function.attr in _LEVELS:
            return arguments[0]
        if function.attr == "log":
            return arguments[1]
    # `write` is what a method is called that was chosen by the level.
    if isinstance(function, ast.Name) and function.id == "write":
        return arguments[0]
    return None


def _keys(table: ast.Dict) -> Iterator[str]:
    for key in table.keys:
        assert isinstance(key, ast.Constant), ast.unparse(table)
        yield str(key.value)


def _spread(value: ast.expr, scope: ast.AST) -> set[str]:
    """Return the keys of what a call spreads: those of every table that it may be."""
    if isinstance(value, ast.Name):
        (value,) = [
            node.value
            for node in ast.walk(scope)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == value.id
        ]
    assert isinstance(value, ast.Dict | ast.IfExp), f"cannot be read: {ast.unparse(value)}"
    tables = [node for node in ast.walk(value) if isinstance(node, ast.Dict)]
    return {key for table in tables for key in _keys(table)}


def _members(call: ast.Call, scope: ast.AST) -> set[str]:
    """Return the members of the event that a call logs; an exception is shown by its traceback."""
    found: set[str] = set()
    for keyword in call.keywords:
        if keyword.arg is None:
            found |= _spread(keyword.value, scope)
        else:
            found.add("exception" if keyword.arg == "exc_info" else keyword.arg)
    return found


def _calls(tree: ast.AST) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Yield every call of a module with the function that it stands in."""
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(scope):
                if isinstance(node, ast.Call):
                    yield node, scope


def _bound(tree: ast.AST) -> set[str]:
    """Return what a module's log adds to each of its events."""
    return {
        str(keyword.arg)
        for call, _ in _calls(tree)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "bind"
        for keyword in call.keywords
    }


def _requests(tree: ast.AST) -> set[str]:
    """Return the members of the events `request` that a module makes."""
    return {
        key
        for call, _ in _calls(tree)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "write"
        for table in call.args
        if isinstance(table, ast.Dict)
        for key in _keys(table)
    }


def _risks(tree: ast.AST) -> set[str]:
    """Return the events that settings are warned about with, for which one call speaks."""
    return {
        str(call.args[0].value)
        for call, _ in _calls(tree)
        if ast.unparse(call.func) == "Risk" and isinstance(call.args[0], ast.Constant)
    }


def _trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in PACKAGE_MODULES:
        if path.parent.name != "mock":
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def logged_events() -> dict[str, set[str]]:
    """Return the members of each event, without those that every event has."""
    found: dict[str, set[str]] = {"request": set()}
    risks = set().union(*(_risks(tree) for _, tree in _trees()))
    for path, tree in _trees():
        found["request"] |= _requests(tree)
        if relative(path) == _ACCESS_LOG:
            continue
        for call, scope in _calls(tree):
            event = _event_of(call)
            if event is None:
                continue
            if isinstance(event, ast.Constant):
                names = {str(event.value)}
            else:
                assert ast.unparse(event) == "risk.event", f"{relative(path)}: {ast.unparse(event)}"
                names = risks
            for name in names:
                found.setdefault(name, set()).update(_members(call, scope), _bound(tree))
    return found
