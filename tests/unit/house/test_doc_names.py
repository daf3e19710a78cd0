"""What documents name exists: commands with their arguments, REST routes, pages and buttons."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from django.core.management import BaseCommand, CommandError, get_commands, load_command_class

from apps.core.catalogue import CATALOGUE
from apps.core.catalogue_files import catalogue_read
from poolsite.command.acts import ALIASES, acts_read
from poolsite.command.main import OWN
from tests.timing import SITE

DOCUMENTS: Final = (
    *(page for page in sorted((SITE / "docs").rglob("*.md")) if page.parent.name != "decisions"),
    *(SITE / "README.md", SITE / "CONTRIBUTING.md"),
)
LABEL: Final = re.compile(r"(?<![*\w])\*([^*]+)\*(?!\*)")
"""A page, a field or a button, as documents write it."""
VERBS: Final = SITE / "docs" / "verbs.md"
CODE: Final = re.compile(r"(?<!`)`([^`]+)`(?!`)")
COMMAND: Final = re.compile(r"^(?:\.venv/bin/)?(?:python )?manage\.py (?P<words>.+)$", re.DOTALL)
ACT: Final = re.compile(r"^(?:\.venv/bin/)?poolsite (?P<act>(?:login|logout|completion)|[a-z-]+ [a-z|-]+)")
UPGRADE: Final = SITE / "docs" / "operations" / "upgrade.md"
"""Says what took the place of commands that are no more."""
WORDS: Final = re.compile(r"^(?P<noun>[a-z_-]+) (?P<verb>[a-z][a-z|-]+)(?: |$)")
GONE: Final = frozenset({"deadlines", "failures", "hosts", "sector_run"})
"""Nouns of commands that `manage.py` had, which `poolsite` has under others."""
OTHERS: Final = frozenset({"sectors numbers", "workers prove"})
"""Commands of lotus-miner and of `python -m workers` that begin with a noun of the pool's."""
ACCESS: Final = SITE / "docs" / "access.md"
"""Generated: what it has, exists."""
ROUTE: Final = re.compile(r"^\| rest \| (\w+) \| `([^`]+)`", re.MULTILINE)
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
EXAMPLES: Final = {
    "M": "f01000",
    "E": "100",
    "N": "10",
    "I": "3",
    "S": "f01000-5",
    "FIL": "1",
    "H": "100",
    "PARTITIONS": "0",
}
"""What the capitals of the documents stand for where a number or an address is wanted."""


def paragraphs(text: str) -> Iterator[str]:
    """Yield a document's paragraphs and rows, each in one line, without blocks of code."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n|\n(?=[|*-])", prose):
        yield re.sub(r"\s+", " ", paragraph)


def codes(text: str) -> Iterator[str]:
    """Yield what stands between backticks."""
    for paragraph in paragraphs(text):
        yield from (code.replace("\\|", "|") for code in CODE.findall(paragraph))


def commands(document: Path) -> Iterator[str]:
    """Yield the commands of `manage.py` that a document names."""
    for code in codes(document.read_text()):
        if (found := COMMAND.match(code)) is not None and found["words"] != "…":
            yield found["words"]


def spelled(words: str) -> Iterator[list[str]]:
    """Yield the command lines that a document's shorthand stands for, with examples for its capitals."""
    words = re.sub(r"\[\w+=\w+\]", "name=1", words)
    words = re.sub(r"\[(--\S+ \w+)\|[^]]*\]", r"\1", words)
    plain = re.sub(r"[\[\]]| > \S+", "", words).replace("wss://…", "wss://gateway").replace("…", "x")
    parts = [word.split("|") for word in shlex.split(plain)]
    for index in range(max(len(part) for part in parts)):
        chosen = [part[index % len(part)] for part in parts]
        yield [EXAMPLES.get(word, word) for word in chosen]


def refusal(line: list[str]) -> str:
    """Return why a command does not take these words; empty if it does."""
    name, *words = line
    app = get_commands().get(name)
    if app is None:
        return f"no command {name}"
    command = app if isinstance(app, BaseCommand) else load_command_class(app, name)
    parser = command.create_parser("manage.py", name)
    parser.called_from_command_line = False
    try:
        parser.parse_args(words)
    except CommandError as error:
        return str(error)
    return ""


def routes() -> dict[str, set[str]]:
    """Return the methods of each REST route, the values in its path as `*`."""
    found: dict[str, set[str]] = {}
    for method, path in ROUTE.findall(ACCESS.read_text()):
        found.setdefault(re.sub(r"<[^>]+>", "*", path), set()).add(method)
    return found


def named_routes(document: Path) -> Iterator[tuple[str, str]]:
    """Yield the methods that a document names, each with its path."""
    for paragraph in paragraphs(document.read_text()):
        methods: list[str] = []
        for code in CODE.findall(paragraph):
            method, _, path = code.partition(" ")
            if method not in METHODS:
                methods = []
                continue
            methods.append(method)
            if path:
                path = path.partition(" ")[0].partition("?")[0]
                if path.startswith(("/api/v1", "…")) or document == VERBS:
                    stem, _, last = path.rpartition("/")
                    yield from ((one, f"{stem}/{word}") for word in last.split("|") for one in methods)
                methods = []


def is_route(method: str, path: str, known: dict[str, set[str]]) -> bool:
    """Return whether there is such a route; `…` stands for the beginning that a text named before."""
    ends = path.startswith("…")
    parts = path.removeprefix("…").removeprefix("/api/v1").strip("/").split("/")
    for route, methods in known.items():
        own = route.removeprefix("/api/v1").strip("/").split("/")
        own = own[-len(parts) :] if ends else own
        if method in methods and len(own) == len(parts) and all(map(part_fits, parts, own)):
            return True
    return False


def part_fits(named: str, own: str) -> bool:
    """Return whether a part of a path is that of a route, or an example of its value."""
    return named == own or own == "*" or (own.startswith("*") and named.endswith(own[1:]))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(SITE)))
def test_commands_of_documents_are_taken(document: Path) -> None:
    refused = {
        words: why
        for words in commands(document)
        for line in spelled(words)
        if (document == VERBS or len(line) > 1 or line[0] not in get_commands()) and (why := refusal(line))
    }

    assert refused == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(SITE)))
def test_acts_of_documents_are_commands(document: Path) -> None:
    known = {f"{act.noun} {act.verb}" for act in acts_read()} | set(ALIASES) | set(OWN)
    nouns = {act.noun for act in acts_read()} | GONE
    named = {found["act"] for code in codes(document.read_text()) if (found := ACT.match(code))}
    for code in codes(document.read_text()) if document != UPGRADE else ():
        if (found := WORDS.match(code)) and found["noun"] in nouns and found[0].strip() not in OTHERS:
            named.add(found[0].strip())

    assert {act for one in named for act in alternatives(one)} - known == set()


def alternatives(act: str) -> Iterator[str]:
    """Yield the acts that `sectors snap-up|rebuild` stands for."""
    noun, _, verbs = act.partition(" ")
    yield from (f"{noun} {verb}".strip() for verb in verbs.split("|"))


def test_no_verb_is_a_process_of_the_pool() -> None:
    processes = set(re.findall(r'manage, "(\w+)"', (SITE / "poolsite/embedded/pool.py").read_text()))

    assert "blocks" in processes
    assert {words.split()[0] for words in commands(VERBS)} & processes == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(SITE)))
def test_routes_of_documents_exist(document: Path) -> None:
    known = routes()

    assert [one for one in named_routes(document) if not is_route(*one, known)] == []


def test_pages_and_buttons_of_verbs_exist() -> None:
    rows = [re.split(r"(?<!\\)\|", row) for row in VERBS.read_text().splitlines()]
    ids = [message.id for message in catalogue_read(CATALOGUE) if message.id]
    known = {text for one in ids for text in ([one] if isinstance(one, str) else one)}
    named = {name for cells in rows if len(cells) == 6 for name in LABEL.findall(cells[2])}

    assert len(named) > 40
    assert [one for one in sorted(named) if not known & {one, one.rstrip("…"), f"{one[:-1]}{{stages}}"}] == []
