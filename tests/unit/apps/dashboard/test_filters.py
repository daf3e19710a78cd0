"""Filters of templates."""

from __future__ import annotations

import pytest

from apps.dashboard.templatetags.poolsite import sentence


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("it is away: host silent", "It is away: host silent"),
        ("away: host silent", "Away: host silent"),
        ("f01004 has no prover", "f01004 has no prover"),
        ("http://a.b/c is not an address", "http://a.b/c is not an address"),
        ("", ""),
    ],
)
def test_a_refusal_is_a_sentence_and_addresses_stay(text: str, shown: str) -> None:
    assert sentence(text) == shown
