"""A field's help stays beside what is wrong with it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string

PICKER = SimpleNamespace(is_searched=False, choices=[], kind="wallet", omit="", chosen="")


@pytest.mark.parametrize("template", ["core/_field.html", "core/_picker.html"])
@pytest.mark.parametrize(("error", "described"), [("", "a-help"), ("too little", "a-help a-error")])
def test_help_is_shown_with_and_without_an_error(template: str, error: str, described: str) -> None:
    line = {"id": "a", "name": "a", "label": "A", "value": "", "help": "in FIL", "error": error}

    text = render_to_string(template, {**line, "picker": PICKER})

    assert "in FIL" in text
    assert (error or "in FIL") in text
    assert f'aria-describedby="{described}"' in text
