"""Each text that is marked for translation has one, which takes the same values."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest

from apps.core.catalogue import CATALOGUE, COMPILED, catalogue_compile, is_compiled
from apps.core.catalogue_files import catalogue_read, po_of
from apps.core.management.commands.makemessages import marked_texts, python_texts, template_texts
from tests.timing import SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

HOLES: Final = re.compile(r"\{[^{}]*\}|%\([a-zA-Z_0-9]+\)[sd]|%[sd%]|</?[a-z][^>]*>|&[a-z]+;")
"""Values, tags and entities: what a translation takes over as it stands."""


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


def test_no_text_is_a_bare_value() -> None:
    assert [text for _, text in translations() if not HOLES.sub("", text).strip()] == []


def test_no_text_is_also_the_singular_of_a_plural() -> None:
    """One key of the catalogue would have the other's translation."""
    singulars = {(context, text[0]) for context, text in texts() if not isinstance(text, str)}

    assert singulars & set(texts()) == set()


def test_catalogue_is_written_the_same_way_each_time() -> None:
    assert po_of(catalogue_read(CATALOGUE)) == CATALOGUE.read_bytes()


def test_an_outdated_compilation_is_replaced_at_the_next_start() -> None:
    COMPILED.write_bytes(b"")
    COMPILED.with_suffix(".sha256").write_text("of another")
    assert not is_compiled()

    catalogue_compile()

    assert is_compiled()
    assert COMPILED.stat().st_size > 100_000


def test_pages_join_lists_in_their_language() -> None:
    """By `list_text`, `clauses_text` and the filter `listed`, as Chinese has its own comma for lists."""
    pages = [*(SITE / "apps/dashboard").rglob("*.py"), *(SITE / "apps/checks/findings").rglob("*.py")]
    found = {
        str(path.relative_to(SITE))
        for path in (*pages, *(SITE / "templates").rglob("*.html"))
        if re.search(r"""(["'])[,;] \1\.join\(|\|join:"[,;]""", path.read_text())
    }

    assert found == {"apps/dashboard/layout.py"}, "which raises an error for programmers"


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
