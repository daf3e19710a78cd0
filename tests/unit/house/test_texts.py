"""Sentences that people read are marked for translation, with named placeholders."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter
from typing import Final

import pytest

from apps.core.management.commands.makemessages import CONTEXT_MARKS, MARKS, PLURAL_MARKS
from tests.timing import SITE

ROOMS: Final = (
    "apps/api/v1",
    "apps/blocks",
    "apps/chain",
    "apps/checks",
    "apps/core",
    "apps/damocles",
    "apps/dashboard",
    "apps/gateway",
    "apps/messages",
    "apps/miners",
    "apps/pieces",
    "apps/proving",
    "apps/sectors",
    "apps/users",
    "apps/wallets",
)
WORDS: Final = re.compile(
    r"(^|[ {}(])[A-Za-z]{3,},? [a-z]{2,}|\} [a-z]{2,}|[a-z]{2,} \{\}|[a-z]{3,}: \{\}", re.ASCII
)
UNIT: Final = re.compile(r"[;:, ]*\{\} ?(ms|ep|h|min|s|d|FIL|nFIL|B)?")
SQL: Final = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|SET LOCAL|FROM|WITH|\{\}\s+UNION) |.*\b(AND|CROSS JOIN) ", re.DOTALL
)
FOR_PROGRAMS: Final = (
    "AssertionError",
    "ImproperlyConfigured",
    "RuntimeError",
    "TypeError",
    "ValueError",
    "reverse",
    "span",
)
"""What takes a text that no person reads on a page."""
OF_PROGRAMS: Final = frozenset({"help_text", "description", "wire"})
"""Arguments that are read in the document of the API, and by the clients of Go programs."""
COMMAND: Final = "make "
"""Begins what is typed into a shell, the same in every language."""
EXACT: Final = frozenset((Path(__file__).parent / "exact_texts.txt").read_text().splitlines())
"""What programs of others compare, and names that stay what they are in every language."""


def for_programs(tree: ast.AST) -> set[int]:
    """Return the nodes whose texts no person reads: of certain calls, and of how a row is named in a log."""
    return {
        id(part)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Call) and getattr(node.func, "id", "") in FOR_PROGRAMS)
        or (isinstance(node, ast.FunctionDef) and node.name in ("__str__", "__repr__"))
        or (isinstance(node, ast.keyword) and node.arg in OF_PROGRAMS)
        for part in ast.walk(node)
    }


@lru_cache(maxsize=1)
def parsed(source: str) -> tuple[ast.Module, set[int]]:
    """Return a module's tree, and its nodes whose texts no person reads: each module is asked for twice."""
    tree = ast.parse(source)
    return tree, for_programs(tree)


def unmarked(source: str) -> Iterator[tuple[int, str]]:
    """Yield the f-strings that read as words of a sentence, each with its line."""
    tree, inside = parsed(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in inside:
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
            if (
                WORDS.search(text)
                and not UNIT.fullmatch(text)
                and not text.startswith(COMMAND)
                and not SQL.match(text)
            ):
                yield node.lineno, text


def unmarked_refusals(source: str) -> Iterator[tuple[int, str]]:
    """Yield the sentences that are raised, or are an error's own, as they stand, each with its line."""
    tree, inside = parsed(source)
    names = set()
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node
        if not isinstance(call, ast.Call) or id(call) in inside:
            continue
        if isinstance(node, ast.Raise) or getattr(call.func, "attr", "") == "__init__":
            for part in (*call.args[:1], *(word.value for word in call.keywords if word.arg == "reason")):
                names |= {part.id} if isinstance(part, ast.Name) else set()
                yield from constants(part)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in names:
            yield from constants(node.value)


def constants(part: ast.expr) -> Iterator[tuple[int, str]]:
    """Yield the sentences that a value can be, each with its line."""
    if isinstance(part, ast.IfExp):
        yield from constants(part.body)
        yield from constants(part.orelse)
    elif isinstance(part, ast.Constant) and WORDS.search(str(part.value)):
        yield part.lineno, str(part.value)


@cache
def texts_of(room: str) -> list[tuple[str, str]]:
    """Return the sentences of a room that are not marked, each with its place."""
    return [
        (f"{path.relative_to(SITE)}:{line}", text)
        for path in sorted((SITE / room).rglob("*.py"))
        for source in (path.read_text(),)
        for line, text in (*unmarked(source), *unmarked_refusals(source))
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_what_people_read_is_marked_for_translation(room: str) -> None:
    found = {f"{place}: {text}" for place, text in texts_of(room) if text not in EXACT}

    assert found == set()


def test_each_exact_text_is_still_written_somewhere() -> None:
    written = {text for room in ROOMS for _, text in texts_of(room)}

    assert {line for line in EXACT if not line.startswith("#")} <= written


MARKING: Final = ("django.utils.translation", "apps.core.marked_texts")
"""Modules whose functions mark a text."""


def test_the_catalogue_has_what_is_marked_under_any_name() -> None:
    names = {
        name.asname or name.name
        for path in (SITE / "apps").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module in MARKING
        for name in node.names
        if "gettext" in name.name
    }

    assert "_" in names  # the check is not empty
    assert names <= MARKS | PLURAL_MARKS | CONTEXT_MARKS


def unfilled(source: str) -> Iterator[str]:
    """Yield the marked sentences whose placeholders are not those that are given."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Call(args=[ast.Constant(value=str(text)), *_]), attr="format"),
                args=[],
                keywords=words,
            ):
                names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
                if names != {word.arg for word in words}:
                    yield f"{node.lineno}: {text}"


def test_each_placeholder_of_a_sentence_is_filled() -> None:
    found = {
        f"{path.relative_to(SITE)}:{line}"
        for path in sorted((SITE / "apps").rglob("*.py"))
        for line in unfilled(path.read_text())
    }

    assert found == set()


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("gettext('{many} of {name} lost').format(many=1, name=row.name)", 0),
        ("gettext('{many} of {name} lost').format(many=1)", 1),
        ("gettext('{many} lost').format(many=1, name=row.name)", 1),
    ],
)
def test_a_placeholder_without_its_value_is_found(source: str, count: int) -> None:
    assert len(list(unfilled(source))) == count


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("f'{many} lost'", 1),
        ("f'waiting for {host}'", 1),
        ("gettext('{many} lost').format(many=many)", 0),
        ("f'{size} GiB'", 0),
        ("f'{took} ms'", 0),
        ("ValueError(f'no such {name}')", 0),
        ("f'{free} AND job.kind = wanted.kind AND {other}'", 0),
    ],
)
def test_a_sentence_is_known_from_a_number_with_its_unit(source: str, count: int) -> None:
    assert len(list(unmarked(source))) == count


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("raise Conflict('the host is paused')", 1),
        ("raise Conflict(field='host', reason='the host is paused')", 1),
        ("super().__init__('there is no such host')", 1),
        ("raise Conflict('the host is paused' if paused else 'there is no such host')", 2),
        ("reason = 'the host is paused'\nraise Conflict(reason, field='host')", 1),
        ("raise Conflict(gettext('the host is paused'))", 0),
        ("raise Conflict(reason, field='of the host')", 0),
        ("raise ValueError('no such name')", 0),
    ],
)
def test_a_refusal_is_known_from_an_error_of_the_program(source: str, count: int) -> None:
    assert len(list(unmarked_refusals(source))) == count


def raw_refusals(source: str) -> Iterator[int]:
    """Yield the lines that read a caught refusal's reason, which may be English, but to refuse again."""
    for handler in ast.walk(ast.parse(source)):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
            continue
        again = {
            id(part)
            for call in ast.walk(handler)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "").startswith("Bad")
            for part in ast.walk(call)
        }
        for part in ast.walk(handler):
            match part:
                case ast.Attribute(attr="reason", value=ast.Name(id=name)) if name == handler.name:
                    if id(part) not in again:
                        yield part.lineno


def test_pages_show_refusals_in_their_readers_language() -> None:
    found = {
        f"{path.relative_to(SITE)}:{line}: use apps/dashboard/refusals.py"
        for path in sorted((SITE / "apps/dashboard").rglob("*.py"))
        for line in raw_refusals(path.read_text())
    }

    assert found == set()


@pytest.mark.parametrize(
    ("shown", "count"),
    [("error=one.reason", 1), ("error=refusal_text(one)", 0), ("BadValue(one.reason)", 0)],
)
def test_a_refusal_that_is_shown_is_known_from_one_that_is_raised_again(shown: str, count: int) -> None:
    source = f"try:\n  act()\nexcept DomainError as one:\n  page({shown})"

    assert len(list(raw_refusals(source))) == count
