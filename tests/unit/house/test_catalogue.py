"""Each text that is marked for translation has one, which takes the same values."""

from __future__ import annotations

import ast
import errno
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock

import pytest

from apps.core import catalogue
from apps.core.catalogue import CATALOGUE
from apps.core.catalogue_files import catalogue_read, po_of
from apps.core.management.commands.makemessages import (
    CONTEXT_MARKS,
    MARKS,
    PLURAL_MARKS,
    marked_texts,
    python_texts,
    template_texts,
)
from tests.timing import SITE

HOLES: Final = re.compile(r"\{[^{}]*\}|%\([a-zA-Z_0-9]+\)[sd]|%[sd%]|</?[a-z][^>]*>|&[a-z]+;")
"""Values, tags and entities: what a translation takes over as it stands."""


REPLACED: Final = re.compile("中签|截止窗口|数据片(?!段)|活跃|激活|质押(?!币)")
"""Words for win, deadline, piece, active and pledge that the glossary replaced."""
HALF_WIDTH: Final = re.compile(r"(?<=[一-鿿])[,;:?!]|[,;:?!] ?(?=[一-鿿])|(?<=[一-鿿].)[,:;](?=[{%])")
"""Latin marks beside Chinese words or between values among them, which have their own."""
LISTED: Final = re.compile(r"[^\W\d],\w")
"""A text whose commas a filter reads: `on,off`."""
AT_ONCE: Final = frozenset({"gettext", "ngettext", "pgettext", "npgettext", "plural", "say"})
"""What returns a text in the language of the moment."""


@cache
def translations() -> dict[tuple[str, str], str]:
    """Return each translation by its context and text; of a plural by the text of several."""
    return {
        (
            message.context or "",
            message.id if isinstance(message.id, str) else message.id[1],
        ): "".join(message.string or "")
        for message in catalogue_read(CATALOGUE)
        if message.id
    }


@cache
def texts() -> list[Any]:
    """Return what code and templates mark, each with its context: reading them all takes a second."""
    return list(marked_texts())


def marked() -> Iterator[tuple[str, str]]:
    """Yield the texts of the code as `translations` names them."""
    for context, text in texts():
        yield context, text if isinstance(text, str) else text[1]


def test_catalogue_has_the_marked_texts_and_no_others() -> None:
    assert set(translations()) == set(marked()), "run `make texts` and translate what is new"


def test_every_marked_text_is_translated() -> None:
    assert [text for (_, text), translation in translations().items() if not translation.strip()] == []


def test_a_translation_takes_the_values_of_its_text() -> None:
    wrong = {
        text: translation
        for (_, text), translation in translations().items()
        if Counter(HOLES.findall(text)) != Counter(HOLES.findall(translation))
        or [text[:1] == " ", text[-1:] == " "] != [translation[:1] == " ", translation[-1:] == " "]
    }

    assert wrong == {}


def test_translations_have_the_words_of_the_glossary() -> None:
    wrong = {
        text: found[0] for (_, text), words in translations().items() if (found := REPLACED.findall(words))
    }

    assert wrong == {}


def test_chinese_words_have_chinese_marks() -> None:
    wrong = {
        text: words
        for (_, text), words in translations().items()
        if HALF_WIDTH.search(words) and not LISTED.search(text)
    }

    assert wrong == {}


def test_no_text_is_a_bare_value() -> None:
    assert [text for _, text in translations() if not HOLES.sub("", text).strip()] == []


def test_no_text_is_also_the_singular_of_a_plural() -> None:
    """One key of the catalogue would have the other's translation."""
    singulars = {(context, text[0]) for context, text in texts() if not isinstance(text, str)}

    assert singulars & set(texts()) == set()


def test_catalogue_is_written_the_same_way_each_time() -> None:
    assert po_of(catalogue_read(CATALOGUE)) == CATALOGUE.read_bytes()


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of compiled files: those of the checkout are read by processes that start meanwhile."""
    for name in ("COMPILED", "STAMP"):
        monkeypatch.setattr(catalogue, name, tmp_path / getattr(catalogue, name).name)
    catalogue.catalogue_compile()
    return tmp_path


def test_an_outdated_compilation_is_replaced_at_the_next_start(compiled: Path) -> None:
    catalogue.STAMP.write_text("of another")
    catalogue.COMPILED.write_bytes(b"")
    assert not catalogue.is_compiled()

    catalogue.catalogue_compile()

    assert catalogue.is_compiled()
    assert (compiled / catalogue.COMPILED.name).stat().st_size > 100_000


def test_what_another_compiler_made_is_replaced(
    compiled: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other") / "catalogue_files.py"
    other.write_bytes(catalogue.COMPILER.read_bytes() + b"# as of the next release\n")
    assert catalogue.is_compiled()

    monkeypatch.setattr(catalogue, "COMPILER", other)

    assert not catalogue.is_compiled()


@pytest.mark.parametrize("reason", [errno.EACCES, errno.EROFS])
def test_a_checkout_that_may_not_be_written_is_used_as_it_is(
    compiled: Path, reason: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images and units run as an account that only reads it."""
    catalogue.STAMP.write_text("of another")
    monkeypatch.setattr(catalogue, "replace", Mock(side_effect=OSError(reason, "refused")))

    catalogue.catalogue_compile()

    assert not catalogue.is_compiled()
    assert (compiled / catalogue.COMPILED.name).exists()


JOINS: Final = re.compile(r"[:;,] |\. ")
"""What joins two values, after a value."""


def english_joins(source: str) -> Iterator[str]:
    """Yield what joins values in formatted strings as English does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = node.values[1:] if isinstance(node.values[0], ast.FormattedValue) else node.values[2:]
            ends = isinstance(node.values[-1], ast.Constant) and node.values[-1].value == "."
            if ends or any(isinstance(part, ast.Constant) and JOINS.match(str(part.value)) for part in parts):
                yield ast.unparse(node)


def page_joins(template: str) -> Iterator[str]:
    """Yield what joins values of a template as English does, outside of its marked texts."""
    unmarked = re.sub(r"{% blocktranslate.*?{% endblocktranslate %}", "…", template, flags=re.DOTALL)
    yield from re.findall(r"(?:}}|%}|…)[:;,] [^\n]*", unmarked)


def test_pages_join_texts_in_their_language() -> None:
    """By `list_text`, `clauses_text`, `colon_text`, `sentence_text` and filters: Chinese has other marks."""
    pages = [*(SITE / "apps/dashboard").rglob("*.py"), *(SITE / "apps/checks/findings").rglob("*.py")]
    found = {
        f"{path.relative_to(SITE)}: {join}"
        for path in (*pages, *(SITE / "templates").rglob("*.html"))
        for join in (english_joins if path.suffix == ".py" else page_joins)(path.read_text())
    } | {
        str(path.relative_to(SITE))
        for path in (*pages, *(SITE / "templates").rglob("*.html"))
        if re.search(r"""(["'])[,;] \1\.join\(|\|join:"[,;]""", path.read_text())
    }

    assert found == {
        "apps/dashboard/layout.py",  # raises an error for programmers
        "apps/dashboard/registry.py: f'{pages.__name__}.'",  # modules' names
    }


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("f'{a}: {b}'", 1),
        ("f'f0{a}, {b}'", 1),
        ("f'{a}. {b}'", 1),
        ("f'{a}.'", 1),
        ("f'{a} / {b}'", 0),
        ("f'{a}.{b}'", 0),
        ("f'Accept: {a}'", 0),
    ],
)
def test_an_english_join_is_known(source: str, count: int) -> None:
    assert len(list(english_joins(source))) == count


READ: Final = re.compile(r".*[A-Za-z]{2,} [a-z]{2,}|[A-Z][a-z]+( [a-z]+)*$")
"""What a person may read: several words, or one with a capital."""
NOT_READ: Final = frozenset(
    {*MARKS, *PLURAL_MARKS, *CONTEXT_MARKS, "plural", "counted", "at_least", "getattr", "reverse"}
)
"""Calls whose texts are marked, or nobody's to read."""
NO_TEXTS: Final = frozenset({"TypeVar", "ParamSpec", "cast", "format_html"})
VERBATIM: Final = frozenset(
    {
        *("Android", "Chrome", "Edge", "Firefox", "Linux", "Opera", "Safari", "Windows"),
        *("Accept", "Cookie", "Lax", "Referer", "Vary", "Filecoin", "Gateway", "Message", "Worker"),
        *(
            "PagerDuty",
            "WindowPoSt",
            "WinningPoSt",
            "command line",
            "file of thread",
            "CHANNEL_LAYERS has no default",
        ),
        *(
            "fee raised",
            "not approved",
            "waits for approval",
            "taken back",
            "signed offline",
            "tried by hand",
            "marked bad",
        ),
    }
)
"""Names of browsers, services, headers and classes, keys of what is stored, and a programmer's error."""
COMMANDS: Final = ("make ", "python ", "git ", "GET ", "POST ", "PUT ", "PATCH ", "<")
"""Begin what is copied into a terminal, requests, and markup."""


def unmarked(source: str) -> Iterator[str]:
    """Yield the texts of a module that are read on pages and that nothing marks."""
    tree, skipped = ast.parse(source), set[int]()
    for node in ast.walk(tree):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Raise) or name in NOT_READ | NO_TEXTS:
            skipped |= {id(one) for one in ast.walk(node)}
        elif isinstance(node, ast.Expr | ast.keyword) and getattr(node, "arg", "css") == "css":
            # A docstring, or the classes of a cell.
            skipped.add(id(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            text = node.value
            if READ.match(text) and text not in VERBATIM and not text.startswith(COMMANDS):
                yield text


def test_each_text_of_the_pages_modules_is_marked() -> None:
    paths = [*(SITE / "apps/dashboard").rglob("*.py"), *(SITE / "apps/checks/findings").rglob("*.py")]

    assert {str(path.relative_to(SITE)): text for path in paths for text in unmarked(path.read_text())} == {}


def unmarked_labels(source: str) -> Iterator[str]:
    """Yield the labels of choices that nothing marks."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and any("Choices" in ast.unparse(base) for base in node.bases):
            for item in node.body:
                if isinstance(item, ast.Assign) and isinstance(item.value, ast.Tuple):
                    label = item.value.elts[-1]
                    if isinstance(label, ast.Constant) and str(label.value) not in VERBATIM:
                        yield str(label.value)


def test_each_label_of_choices_is_marked() -> None:
    paths = [*(SITE / "apps").rglob("*.py")]

    assert {label for path in paths for label in unmarked_labels(path.read_text())} == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("title = 'Remove files'", ["Remove files"]),
        ("fragment('x.html', title='Facts')", ["Facts"]),
        ("title = _('Remove files')", []),
        ("def f():\n    'Return what it is.'", []),
        ("raise ValueError('no such row')", []),
        ("key = 'miner-new'", []),
    ],
)
def test_a_text_without_a_mark_is_known(source: str, found: list[str]) -> None:
    assert list(unmarked(source)) == found


def early(source: str) -> Iterator[int]:
    """Yield the lines that look a text up when their module is imported, before anybody has a language."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            waiting += getattr(node, "decorator_list", [])
            continue
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in AT_ONCE:
            yield node.lineno
        waiting += ast.iter_child_nodes(node)


def test_no_text_is_looked_up_while_its_module_is_imported() -> None:
    found = {
        f"{path.relative_to(SITE)}:{line}"
        for path in (SITE / "apps").rglob("*.py")
        for line in early(path.read_text())
    }

    assert found == set()


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("NAME = gettext('Name')", 1),
        ("class Row:\n    name = [plural(2, 'row')]", 1),
        ("def name(text=gettext('Name')): ...", 1),
        ("NAME = gettext_lazy('Name')", 0),
        ("def name(): return gettext('Name')", 0),
        ("NAME = lambda: gettext('Name')", 0),
    ],
)
def test_an_early_look_up_is_known_from_a_late_one(source: str, count: int) -> None:
    assert len(list(early(source))) == count


def test_texts_are_found_under_each_mark() -> None:
    source = (
        "gettext('one'); _('two' ' and'); say('three'); ngettext('a', 'b', n); pgettext('c', 'd'); "
        "plural(2, 'e')"
    )
    page = (
        "{% translate 'x %' %}{% blocktranslate %}y {{ z }}{% endblocktranslate %}"
        "{% include 'i' with w=_('v') %}"
    )

    assert list(python_texts(source)) == [
        ("", "one"),
        ("", "two and"),
        ("", "three"),
        ("", ("a", "b")),
        ("c", "d"),
        ("", ("{count} e", "{count} es")),
    ]
    assert list(template_texts(page)) == [("", "x %%"), ("", "y %(z)s"), ("", "v")]
