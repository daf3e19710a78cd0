"""Texts that would be shown otherwise than they are written: refused where they are entered, or replaced."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from rest_framework import serializers

from apps.api.auth.fields import AuthFault
from apps.api.auth.fields import text as auth_text
from apps.api.v1.serializers import InputSerializer
from apps.core.sanitize import has_marks, sanitize_text
from apps.dashboard.text_fields import Lines, Text

MARKS = (0x061C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF)
TURNED = f"pay {chr(0x202E)}LIF 1"


class NoteInput(InputSerializer):
    note = serializers.CharField()
    names = serializers.ListField(child=serializers.CharField(), required=False)


@pytest.mark.parametrize("number", MARKS, ids=hex)
def test_each_mark_is_found_and_replaced_in_words_of_programs(number: int) -> None:
    assert has_marks(f"a{chr(number)}b")
    assert sanitize_text(f"a{chr(number)}b") == "a\ufffdb"


@pytest.mark.parametrize(
    "words", ["plain", "中文", "\u0645\u0631\u062d\u0628\u0627", "1\u202f000 FIL", "a\u200db"]
)
def test_other_languages_are_taken_as_they_are(words: str) -> None:
    assert not has_marks(words)
    assert Text().clean(words) == sanitize_text(words) == words


@pytest.mark.parametrize("field", [Text(), Text(strip=False), Lines()])
def test_a_form_refuses_them_and_a_password_does_not(field: Text) -> None:
    with pytest.raises(ValidationError, match="change the direction"):
        field.clean(TURNED)

    assert Text(strip=False, is_secret=True).clean(TURNED) == TURNED


@pytest.mark.parametrize(
    ("body", "field"), [({"note": TURNED}, "note"), ({"note": "x", "names": ["y", TURNED]}, "names")]
)
def test_rest_refuses_them_by_the_field(body: dict[str, object], field: str) -> None:
    form = NoteInput(data=body)

    assert not form.is_valid()
    assert list(form.errors) == [field]


@pytest.mark.parametrize("nested", [lambda one: [one], lambda one: {"a": one}])
def test_a_body_that_nests_deeply_is_refused_as_others_are(nested: Callable[[object], object]) -> None:
    body: object = TURNED
    for _ in range(900):
        body = nested(body)

    form = NoteInput(data={"note": body})

    assert not form.is_valid()
    assert "invisible characters" in str(form.errors["note"])


def test_the_interface_of_sophon_auth_refuses_them() -> None:
    with pytest.raises(AuthFault, match="not allowed"):
        auth_text(TURNED)
