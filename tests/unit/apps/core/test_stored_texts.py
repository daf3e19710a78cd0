"""What services store in English is read in the language of the page."""

# ruff: noqa: RUF001  # Chinese has its own colons

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from babel.messages.catalog import Catalog
from django.utils.translation import deactivate_all, override

from apps.core import stored_texts
from apps.core.catalogue import TEMPLATES
from apps.core.catalogue_files import LOCALE, catalogue_read, po_of, templates_of
from apps.core.languages import clauses_text, colon_text, list_text
from apps.core.management.commands import makemessages
from apps.core.stored_texts import (
    FIGURE_HOLES,
    SURE_MIN,
    Template,
    older_texts,
    pieces_of,
    stored_text,
    template_of,
    templates,
)

PAIRS: Final = [tuple(pair) for pair in json.loads(TEMPLATES.read_text())]
"""Each text with values that a service may store, with its translation."""


@pytest.fixture(autouse=True)
def chinese() -> Iterator[None]:
    """The page is in Chinese."""
    with override("zh-hans"):
        yield


def values_for(template: Template) -> dict[str, str]:
    """A value for each name, unlike any other."""
    return {
        name: f"{place}7" if name in FIGURE_HOLES else f"v{place}x"
        for place, name in enumerate(template.holes)
    }


def text_of(text: str, values: dict[str, str]) -> str:
    """A stored text with these values, whatever their formats."""
    return "".join(literal if name is None else literal + values[name] for literal, name in pieces_of(text))


def test_every_text_with_values_that_services_store_is_read_back() -> None:
    """By the translation of a template with the same words, where values have other names."""
    same = defaultdict(list)
    for text, translation in PAIRS:
        same[template_of(text, translation).literals].append(template_of(text, translation))

    unread = {}
    for text, translation in PAIRS:
        template = template_of(text, translation)
        values = values_for(template)
        shown = stored_text(text_of(text, values))
        allowed = {
            one.filled(dict(zip(one.holes, map(values.get, template.holes), strict=True)))  # type: ignore[arg-type]
            for one in same[template.literals]
        }
        if template.words and shown not in allowed:
            unread[text] = shown

    assert unread == {}
    assert len(PAIRS) > 500


@pytest.mark.parametrize("length", [200, 300])
def test_a_text_that_was_cut_to_its_column_is_read(length: int) -> None:
    unread, read = set(), 0
    for text, translation in PAIRS:
        template = template_of(text, translation)
        values = values_for(template)
        if template.holes and len(template.literals[0]) >= SURE_MIN:
            values[template.holes[-1]] += "/long" * 60
            shown = stored_text(text_of(text, values)[:length])
            read += 1
            if shown.startswith(template.literals[0]) and not translation.startswith(template.literals[0]):
                unread.add(text)

    assert unread == set()
    assert read > 100


def test_what_was_cut_off_is_told_by_an_ellipsis() -> None:
    host, more = "rack-" + "b" * 300, "its host is offline; " * 20

    assert stored_text(f"the lease of {host} expired"[:200]) == f"{host[:187]}… 的租约已到期"
    assert stored_text(f"sector 5 to cold: {more}"[:200]).startswith("扇区 5 移到 cold：其主机已离线")


def test_texts_that_no_word_tells_apart_are_separators() -> None:
    wordless = {text for text, translation in PAIRS if not template_of(text, translation).words}

    assert {"".join(literal for literal, _ in pieces_of(text)).strip(".:;,() ") for text in wordless} == {""}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("", ""),
        ("its host is offline", "其主机已离线"),
        ("no node answers: n1, n2", "没有节点应答：n1, n2"),
        ("sector 5 to cold: its host is offline", "扇区 5 移到 cold：其主机已离线"),
        ("the lease of rack-b expired", "rack-b 的租约已到期"),
        ("1,204 sectors as recorded", "1,204 个扇区与登记一致"),
        ("its host is offline; no node answers: n1", "其主机已离线；没有节点应答：n1"),
        ("f01000: its host is offline; 5 GB?", "f01000：其主机已离线；5 GB?"),
    ],
)
def test_text_is_read_with_the_texts_in_it(stored: str, shown: str) -> None:
    assert stored_text(stored) == shown


@pytest.mark.parametrize(
    "text",
    [
        "rack-b",
        "actor error: minimum bid is 3 of our offers",
        "RPC error (-32000): block is of the wrong epoch; try again",
        "open /data/cache/s-t01000-1: no such file or directory",
    ],
)
def test_text_of_another_program_is_left_as_it_is(text: str) -> None:
    assert stored_text(text) == text
    assert stored_text(f"the node refuses: {text}").endswith(text)


def test_names_are_not_translated() -> None:
    assert "pool" in stored_text("the lease of pool expired")


def test_lists_are_joined_in_the_language_of_the_page() -> None:
    assert (list_text(["a", 1]), clauses_text(["a", "b"]), colon_text("a", "b")) == ("a、1", "a；b", "a：b")
    with override("en"):
        assert (list_text(["a", 1]), clauses_text(["a", "b"]), colon_text("a", "b")) == (
            "a, 1",
            "a; b",
            "a: b",
        )


@pytest.mark.parametrize("language", ["en", None])
def test_english_pages_show_what_is_stored(language: str | None) -> None:
    with override(language):
        if language is None:
            deactivate_all()
        assert stored_text("its host is offline") == "its host is offline"
        assert stored_text("no node answers: n1") == "no node answers: n1"


@pytest.mark.parametrize("mark", ["; ", ": ", ", ", " of ", " is ", "of the at in for to is has "])
def test_odd_texts_take_no_long_time(mark: str) -> None:
    """Tenants' signers and nodes write parts of these texts."""
    began = time.process_time()

    stored_text(mark * 2000)

    assert time.process_time() - began < 0.5


def test_few_templates_begin_at_one_word() -> None:
    assert max(map(len, templates().values())) < 20


def test_a_name_that_stands_twice_has_one_value() -> None:
    template = template_of("{host} is not {host}", "{host}")

    assert template.values_of("a is not a") == {"host": "a"}
    assert template.values_of("a is not b") is None


def test_what_was_reworded_is_read_in_the_rows_that_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, file = Catalog(locale=LOCALE), tmp_path / "django.po"
    before.add("{host} left the farm", "{host} 离开了农场", [("apps/sectors/services/x.py", 0)])
    before.add("the farm is empty", "农场是空的", [("apps/sectors/services/x.py", 0)])
    before.add("the page of the farm", "农场的页面", [("apps/dashboard/x.py", 0)])
    monkeypatch.setattr(
        makemessages, "marked_texts", lambda: {("", "the store {store} was lost"): ["apps/x.py"]}
    )
    file.write_bytes(po_of(makemessages.catalogue_merge(before)))
    file.write_bytes(po_of(again := makemessages.catalogue_merge(catalogue_read(file))))
    found = dict(json.loads(templates_of(catalogue_read(file))))

    monkeypatch.setattr(stored_texts, "pairs", lambda: tuple(found.items()))

    assert set(found) == {"{host} left the farm", "the farm is empty", "the store {store} was lost"}
    assert [message.id for message in again if message.id] == ["the store {store} was lost"]
    assert older_texts.__wrapped__() == {"the farm is empty": "农场是空的"}
    assert [one.holes for some in templates.__wrapped__().values() for one in some].count(("host",)) == 1
