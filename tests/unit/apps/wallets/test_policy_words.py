"""A signer's refusals are told in the reader's language, and in English as the signer said them."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from apps.wallets.rules.policy_words import policy_words
from poolsite.wire.policy_refusals import VALUE, LimitRefusal

NO_RULE = "no rule allows message: miner.TerminateSectors to f01000"


@pytest.mark.parametrize(
    ("said", "chinese"),
    [
        (NO_RULE, "没有规则允许向 f01000 发送 miner.TerminateSectors 消息"),
        ("no rule allows block", "没有规则允许 block"),
        ("the device is locked", "the device is locked"),
    ],
)
def test_what_no_rule_allows_is_told_in_both_languages(said: str, chinese: str) -> None:
    assert policy_words(said, method=9) == said
    with override("zh-hans"):
        assert policy_words(said, method=9) == chinese


def test_a_limit_is_told_by_its_rule() -> None:
    said = str(LimitRefusal("small", VALUE, "5 FIL", "1 FIL"))

    assert policy_words(said, method=0) == "rule “small” allows 1 FIL, this sends 5 FIL"
    assert policy_words(said, method=16) == "rule “small” allows 1 FIL, this moves 5 FIL"
