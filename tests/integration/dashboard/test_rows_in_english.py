"""Whatever a person who reads Chinese does, the rows that it leaves are in English."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

import pytest

from tests.chinese_rows import rows_in_chinese
from tests.demo_data import FORMS, LISTS, OBJECTS, addresses, busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = [pytest.mark.django_db, pytest.mark.long]

NOT_PRESSED: Final = (
    "/logout/",
    "/theme/",
    "/account/language/",
    "/account/time-zone/",
    "/login/",
    "/password/",
)
"""What ends the session, or changes the language or the zone."""


class Buttons(HTMLParser):
    """The forms of a page with what stands in them, and the buttons that htmx sends."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.fields: dict[str, str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if "hx-post" in at:
            self.found.append((at["hx-post"], {}))
        if tag == "form":
            self.fields = {"sure": "yes"} if at.get("method") == "post" else None
            if self.fields is not None:
                self.found.append((at.get("action", ""), self.fields))
        elif self.fields is not None and tag in ("input", "button", "select", "textarea") and at.get("name"):
            self.fields.setdefault(at["name"], at.get("value", ""))
        elif self.fields is not None and tag == "option" and self.fields:
            last = next(reversed(self.fields))
            self.fields[last] = self.fields[last] or at.get("value", "")


def test_every_button_pressed_in_chinese_leaves_english_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REPORT_NOW, SharedReports())
    for one in (operator_person(), person()):
        one.language = "zh-hans"
        one.save()
    pages = addresses(busy_pool())
    client = signed_in("olga")
    client.raise_request_exception = False
    pressed: dict[str, dict[str, str]] = {}
    for page in (*LISTS, *FORMS, *OBJECTS):
        for action, fields in Buttons(text_of(client.get(pages[page]))).found:
            pressed.setdefault(action or pages[page], fields)

    done = 0
    for action, fields in pressed.items():
        if not action.startswith(NOT_PRESSED):
            done += client.post(action, fields).status_code < 400

    assert done > 30
    assert rows_in_chinese() == set()
