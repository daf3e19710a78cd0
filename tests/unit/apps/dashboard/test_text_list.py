"""Several words typed into one field."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from apps.dashboard.text_fields import TEXTS_MAX, TextList


def test_words_are_split_at_spaces_commas_and_line_ends() -> None:
    assert TextList().clean(" f01000, f01001\nf01002 ") == ["f01000", "f01001", "f01002"]
    assert TextList().clean(["f01000", "f01001 f01002"]) == ["f01000", "f01001", "f01002"]


def test_more_words_than_are_taken_are_refused_and_not_cut() -> None:
    many = " ".join(map(str, range(TEXTS_MAX)))

    assert len(TextList().clean(many)) == TEXTS_MAX
    with pytest.raises(ValidationError, match="at most") as refused:
        TextList().clean(f"{many} 100")
    assert refused.value.messages == ["enter at most 100 values, not 101"]
