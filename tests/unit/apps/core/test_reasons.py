"""A reason is an English text that knows its code and values; a row keeps both."""

# ruff: noqa: RUF001  # Chinese has its own semicolons

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from string import Formatter
from typing import Any, ClassVar

import pytest
from django.db import connection, models
from django.utils.translation import override

from apps.checks.states import AlertEvent
from apps.core.coded_rows import _reason_of, likeliest_first, rows_code, rows_recode, template_of
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import clauses_text, colon_text, list_text
from apps.core.marked_texts import gettext
from apps.core.reason_fields import CodedField, ReasonCharField, ReasonTextField, WithReasons
from apps.core.reasons import (
    CLAUSES,
    REASONS,
    Reason,
    ReasonKind,
    as_reason,
    clauses,
    code_of,
    coded,
    coded_read,
    colon,
    counted,
    cut,
    fitted,
    lasting,
    listed,
    quoted,
    reason,
    reason_of,
    refused,
    shown_text,
)
from apps.core.transitions import advance, advance_many

OFFLINE = "its host is offline"
EXPIRED = "the lease of {host} expired"


class Noted(WithReasons):
    """Made in the test database by the fixture `rows`; no migration knows it."""

    TRANSITIONS: ClassVar = {"OPEN": {"FAIL": "FAILED"}}
    state = models.CharField(max_length=16, default="OPEN")
    error = ReasonTextField(blank=True)
    error_coded = CodedField()
    note = ReasonCharField(max_length=30, blank=True)
    note_coded = CodedField()

    class Meta:
        app_label = "core"

    def __str__(self) -> str:
        return f"noted {self.pk}"


@pytest.fixture
def rows(db: None) -> type[Noted]:
    if Noted._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Noted)
    return Noted


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReasonKind]:
    yield reason("test.offline", OFFLINE)
    del REASONS["test.offline"]


@pytest.fixture
def expired() -> Iterator[ReasonKind]:
    yield reason("test.expired", EXPIRED)
    del REASONS["test.expired"]


def test_a_reason_is_its_english_text(expired: ReasonKind) -> None:
    made = expired(host="rack-b")

    assert made == "the lease of rack-b expired"
    assert expired.made(made)
    assert not expired.made(str(made))
    for same in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (same, same.code, same.values) == (made, "test.expired", {"host": "rack-b"})


def test_a_reason_without_values_is_known_by_the_text_of_an_older_version(
    offline: ReasonKind, expired: ReasonKind
) -> None:
    assert offline.made("its host is offline")
    assert not offline.made("its host is offline; the lease of rack-b expired")
    assert not expired.made("its host is offline")


def test_a_code_is_declared_once(expired: ReasonKind) -> None:
    with pytest.raises(AssertionError, match=expired.code):
        reason(expired.code, "another")


def test_it_is_shown_in_the_language_of_the_page(offline: ReasonKind, expired: ReasonKind) -> None:
    both = CLAUSES(parts=[offline(), expired(host="rack-b")])

    with override("zh-hans"):
        assert shown_text(both) == "其主机已离线；rack-b 的租约已到期"
    assert shown_text(both) == both == "its host is offline; the lease of rack-b expired"


def test_each_way_to_write_a_text_writes_its_code(rows: type[Noted], expired: ReasonKind) -> None:
    made = expired(host="rack-b")
    code = {"error_coded__code": "test.expired"}

    row = rows.objects.create(error=made)
    assert rows.objects.filter(**code).count() == 1
    row.error = ""
    row.save(update_fields=["error"])
    assert rows.objects.get().error_coded is None
    rows.objects.update(error=made)
    assert rows.objects.get().error_coded["values"] == {"host": "rack-b"}
    rows.objects.update(error="")
    row.error = made
    rows.objects.bulk_update([row], ["error"])
    assert expired.made(rows.objects.get().error)
    row.error = "typed"
    rows.objects.bulk_update([row], ["error"])
    assert rows.objects.get().error_coded is None
    advance(row, "FAIL", error=made)
    assert expired.made(row.error)
    assert expired.made(rows.objects.get().error)
    rows.objects.bulk_create([rows(error=made)])
    assert rows.objects.filter(**code).count() == 2
    advance_many(rows, "FAIL", {rows.objects.get(state="OPEN").pk: {}}, returning="state", error="")
    assert rows.objects.filter(**code).count() == 1


def test_a_text_that_another_version_wrote_has_no_code(rows: type[Noted], expired: ReasonKind) -> None:
    rows.objects.create(error=expired(host="rack-b"))
    with connection.cursor() as cursor:
        cursor.execute("update core_noted set error = 'the lease of rack-c expired'")

    assert not isinstance(rows.objects.get().error, Reason)
    assert rows.objects.get().error == "the lease of rack-c expired"


def test_a_code_of_a_newer_version_is_shown_as_its_english_text(rows: type[Noted]) -> None:
    newer = ReasonKind("test.newer", "gone by {how}")
    rows.objects.create(error=newer(how="itself"))
    nested = ReasonKind("test.known", "{why}: again")
    rows.objects.create(error=nested(why=newer(how="itself")))

    with override("zh-hans"):
        assert [shown_text(row.error) for row in rows.objects.order_by("pk")] == [
            "gone by itself",
            "gone by itself: again",
        ]


def test_a_column_keeps_what_fits_and_all_values(rows: type[Noted], expired: ReasonKind) -> None:
    rows.objects.create(note=expired(host="rack-" + "b" * 40))

    row = rows.objects.get()

    assert row.note == "the lease of rack-bbbbbbbbbbbb"
    with override("zh-hans"):
        assert shown_text(row.note) == f"rack-{'b' * 40} 的租约已到期"


def test_what_others_said_stays_as_they_said_it(rows: type[Noted], expired: ReasonKind) -> None:
    theirs = quoted("its host is offline", by="worker")
    rows.objects.create(error=theirs, note=expired(host=theirs))

    row = rows.objects.get()

    assert row.error_coded["code"] == "said.worker"
    with override("zh-hans"):
        assert shown_text(row.error) == "its host is offline"
        assert shown_text(row.note) == "its host is offline 的租约已到期"
    assert quoted("", by="worker") == ""


def test_a_refusal_has_its_reason_or_the_code_of_its_kind(offline: ReasonKind) -> None:
    assert refused(DomainError(offline())).code == "test.offline"
    assert refused(DomainError("no room")).code == "refused.refused"
    with override("zh-hans"):
        assert shown_text(refused(DomainError("its host is offline"))) == "其主机已离线"


def test_parts_are_joined_as_the_page_joins_them(rows: type[Noted], offline: ReasonKind) -> None:
    both = clauses(offline(), "", listed([counted(2, "sector"), counted(1, "host"), quoted("c", by="host")]))
    rows.objects.create(error=both)

    row = rows.objects.get()

    assert row.error == "its host is offline; 2 sectors, 1 host, c"
    with override("zh-hans"):
        assert shown_text(row.error) == "其主机已离线；2 个扇区、1 台主机、c"
    assert (clauses("", offline()), clauses()) == (offline(), "")
    assert (fitted("abc", 2), fitted(offline(), 2)) == ("ab", OFFLINE)


TEXTS: Any = {"test.offline": OFFLINE, "test.expired": ("the lease on {host} is over", EXPIRED)}


def test_older_rows_get_codes_by_how_they_read(
    rows: type[Noted], offline: ReasonKind, expired: ReasonKind
) -> None:
    texts = [
        OFFLINE,
        "the lease of a expired",
        "the lease on b is over",
        f"{OFFLINE}; the lease of c expired",
        "?",
    ]
    rows.objects.bulk_create(rows(error=text) for text in [*texts, "", *[OFFLINE] * 1200])

    rows_code(rows, "error", TEXTS)
    rows_code(rows, "error", TEXTS)

    found = {row.error: row.error_coded for row in rows.objects.exclude(error="")}
    assert [found[text]["code"] for text in texts] == [
        *("test.offline", "test.expired", "test.expired", "core.clauses", "core.old"),
    ]
    assert not rows.objects.exclude(error="").filter(error_coded__isnull=True).exists()
    with override("zh-hans"):
        shown = [shown_text(row.error) for row in rows.objects.order_by("pk")[:5]]
    assert shown == ["其主机已离线", "a 的租约已到期", "b 的租约已到期", "其主机已离线；c 的租约已到期", "?"]


def test_a_marked_text_is_kept_in_english_whoever_acts(rows: type[Noted], expired: ReasonKind) -> None:
    with override("zh-hans"):
        text: Any = gettext("at most {limit} epochs at once").format(limit=plural(3, "sector"))
        refusal = DomainError(text, field="end")
        rows.objects.create(error=expired(host=text), note=text)
        rows.objects.create(error=refused(refusal), note=reason_of(refusal))

    assert text == "一次最多 3 个扇区 个高度"
    own, kept = rows.objects.order_by("pk")
    english = "at most 3 sectors epochs at once"
    assert (own.error, own.note) == (f"the lease of {english} expired", english[:30])
    assert (kept.error, code_of(kept.error)) == (english, "refused.refused")
    assert kept.note == f"end: {english}"[:30]
    with override("zh-hans"):
        assert (shown_text(own.note), shown_text(kept.error)) == (text, text)
        assert shown_text(kept.note) == f"end：{text}"
        assert shown_text(own.error) == f"{text} 的租约已到期"
        assert pickle.loads(pickle.dumps(text)).values == text.values


def test_lists_and_labels_within_a_marked_text_are_kept_in_english(rows: type[Noted]) -> None:
    with override("zh-hans"):
        names = list_text(["a", plural(2, "sector")])
        text = gettext("at most {limit} epochs at once").format(
            limit=colon_text(AlertEvent.TEST.label, names)
        )
        rows.objects.create(error=text, note=clauses_text([]))
        rows.objects.create(error=gettext("at most {limit} epochs at once"))

    assert text == "一次最多 测试：a、2 个扇区 个高度"
    own, bare = rows.objects.order_by("pk")
    assert (own.error, own.note_coded) == ("at most test: a, 2 sectors epochs at once", None)
    assert bare.error == "at most {limit} epochs at once"
    with override("zh-hans"):
        assert shown_text(own.error) == text


def test_marked_texts_of_older_rows_get_codes(rows: type[Noted], expired: ReasonKind) -> None:
    text = "at most 7 epochs at once"
    for error in (
        Reason(text, "core.text", {"text": text}),
        Reason(text, "refused.bad_value", {"text": text}),
        text,
        expired(host=as_reason(text)),
        Reason("nobody wrote it", "core.text", {"text": "nobody wrote it"}),
        quoted(text, by="node"),
    ):
        rows.objects.create(error=error)

    rows_recode(rows, "error")
    rows_recode(rows, "error")

    found = [row.error for row in rows.objects.order_by("pk")]
    codes = ["core.told", "refused.bad_value", "core.told", "test.expired", "core.text", "said.node"]
    assert [code_of(error) for error in found] == codes
    with override("zh-hans"):
        shown = "一次最多 7 个高度"
        assert [shown_text(error) for error in found] == [
            *(shown, shown, shown, f"{shown} 的租约已到期", "nobody wrote it", text),
        ]


def values_for(kind: ReasonKind) -> dict[str, Any]:
    """A value for each name, unlike any other."""
    holes = [(name, form) for _, name, form, _ in Formatter().parse(kind.template) if name]
    numbers = {"count", "done", "number", *([kind.counted] if kind.many else [])}
    values = {
        name: 7 + at if form or name in numbers else f"{7 + at}x" for at, (name, form) in enumerate(holes)
    }
    return values | ({kind.counted: 7} if kind.many else {})


LATER = ("core.", "checks.message_of")
"""Begin the codes that no row from before has."""


@pytest.mark.parametrize("code", [code for code in REASONS if not code.startswith(LATER)])
def test_a_row_from_before_is_shown_in_the_same_words(code: str) -> None:
    made = REASONS[code](**values_for(REASONS[code]))
    known = likeliest_first(
        (one.code, template_of(text))
        for one in REASONS.values()
        if one.code.startswith(code.split(".")[0])
        for text in (one.template, one.many)
        if text
    )

    read = _reason_of(str(made), known)

    assert read is not None
    assert read.code == code
    with override("zh-hans"):
        assert shown_text(made) == shown_text(read)


def test_what_is_cut_counted_and_timed_is_so_in_each_language(expired: ReasonKind) -> None:
    made = cut(clauses(expired(host="rack-b"), counted(3, "sector"), lasting(7500)), 40)
    read = coded_read(str(made), json.loads(json.dumps(coded(made))))

    assert made == "the lease of rack-b expired; 3 sectors;…"
    for one in (made, read):
        with override("zh-hans"):
            assert shown_text(one) == "rack-b 的租约已到期；3 个扇区；2 小时 05 分"
    assert (cut("short", 9), lasting(None)) == ("short", "–")
    assert (listed([]), colon("a", ""), colon("a", "b")) == ("", "a", "a: b")


@pytest.mark.parametrize("values", [{"count": 3}, {"count": 3, "noun": "sector", "few": 1}])
def test_a_newer_versions_values_leave_the_text(values: dict[str, Any]) -> None:
    json_of = {**(coded(counted(3, "sector")) or {}), "values": values}

    assert code_of(coded_read("3 sectors", json_of)) == ""


def test_a_part_of_what_is_shorter_in_this_version_is_read_as_well(expired: ReasonKind) -> None:
    made = Reason(
        "the lease, which rack-b had, exp…", "core.cut", {"text": expired(host="rack-b"), "most": 32}
    )

    read = coded_read(str(made), coded(made))

    assert (read, code_of(read)) == (str(made), "core.cut")
    with override("zh-hans"):
        assert shown_text(read) == "rack-b 的租约已到期"
