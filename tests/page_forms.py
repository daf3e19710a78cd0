"""The forms of a page as a browser sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

SILENT: Final = frozenset({"submit", "button", "reset", "image"})
"""Kinds of inputs that send nothing unless they are clicked."""
TICKED: Final = frozenset({"checkbox", "radio"})


@dataclass(slots=True)
class SentForm:
    """A form that is sent by POST."""

    action: str
    values: dict[str, list[str]] = field(default_factory=dict)
    """Values that it sends if nobody types anything, by field."""
    typed: list[str] = field(default_factory=list)
    """Fields that a person types or chooses."""

    @property
    def fields(self) -> frozenset[str]:
        """Return the names of what it sends."""
        return frozenset((*self.values, *self.typed))


class PageForms(HTMLParser):
    """The forms of a page; a button with an address of its own sends its form there."""

    def __init__(self, html: str, *, at: str) -> None:
        """`at`: the page's address, to which forms go that name none."""
        super().__init__()
        self.at, self.found = at, list[SentForm]()
        self._form: SentForm | None = None
        self._elsewhere: list[tuple[str, str, str]] = []
        self._select = self._area = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method", "").lower() == "post":
            self._form, self._elsewhere = SentForm(given.get("action") or self.at), []
            return
        form, name = self._form, given.get("name", "")
        if form is None:
            return
        if tag == "button" and "formaction" in given:
            self._elsewhere.append((given["formaction"], name, given.get("value", "")))
        elif tag == "input" and name and given.get("type") not in SILENT:
            self._input(form, name, given)
        elif tag == "select":
            self._select = name
            form.typed.append(name)
        elif tag == "option" and self._select and ("selected" in given or self._select not in form.values):
            form.values[self._select] = [given.get("value", "")]
        elif tag == "textarea":
            self._area = name
            form.typed.append(name)
            form.values[name] = [""]

    def _input(self, form: SentForm, name: str, given: dict[str, str]) -> None:
        kind = given.get("type", "text")
        if kind != "hidden" and name not in form.typed:
            form.typed.append(name)
        if kind not in TICKED or "checked" in given:
            form.values.setdefault(name, []).append(given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._area and self._form is not None:
            self._form.values[self._area][0] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""
        elif tag == "form" and self._form is not None:
            self.found.append(self._form)
            for action, name, value in self._elsewhere:
                values = self._form.values | ({name: [value]} if name else {})
                self.found.append(SentForm(action, values, self._form.typed))
            self._form = None
