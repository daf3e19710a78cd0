"""What a signature was for, as the page says it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from apps.core.reasons import Reason
from apps.dashboard.pages.wallets.records import what_text
from apps.wallets.reasons import BYTES, MESSAGE

PAGE: Any = SimpleNamespace(names=SimpleNamespace(miners={"f01001": "north"}))


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        (MESSAGE(method=5, to="f01001"), "SubmitWindowedPoSt to north"),
        (
            Reason("other words", MESSAGE.code, {"method": "5", "to": "f01001"}),
            "SubmitWindowedPoSt to north",
        ),
        (MESSAGE(method="5", to="f3cut"), "message: method 5 to f3cut…"),
        (BYTES(meta_type="block", count=12), "block: 12 bytes"),
        ("message: SubmitWindowedPoSt to f01001", "message: SubmitWindowedPoSt to f01001"),
        (MESSAGE(method="x", to="f01001: 12 bytes"), "message: method x to f01001: 12 bytes"),
    ],
)
def test_a_message_is_named_by_its_method_whatever_the_words(what: str, shown: str) -> None:
    assert what_text(what, PAGE) == shown
