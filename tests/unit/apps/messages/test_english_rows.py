"""What people do to messages on Chinese pages is recorded in English, which machines and others read."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.translation import override

from apps.messages.models import MessageEvent
from apps.messages.rules.push_items import Gas
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.approval_rules import approval_rule_add
from apps.messages.services.approvals import message_refuse
from apps.messages.services.cancel import message_cancel, message_mark_bad
from apps.messages.services.replace import fee_limits_set, message_replace
from apps.users.selectors.principals import principal_of
from apps.wallets.models import SignRecord
from apps.wallets.reasons import MESSAGE
from tests.chinese_rows import rows_in_chinese
from tests.messaging import Pool
from tests.people import operator_person

CHEAP = Gas(limit=2_000_000, fee_cap=1_000, premium=100)


@pytest.fixture
def flying(pool: Pool) -> Pool:
    """Two messages in flight and one that waits."""
    address = pool.address()
    for one in ("one", "two"):
        pool.push(one, address, gas=CHEAP, value=5)
    pool.choose()
    pool.push("three", address, gas=CHEAP, value=5)
    return pool


def test_changes_of_messages_in_chinese_leave_english_rows(flying: Pool) -> None:
    operator_person("oscar")
    olga, now = principal_of(operator_person()), flying.now
    with override("zh-hans"):
        approval_rule_add(principal=olga, tenant=None, above=1, now=now)
        facts: dict[str, Any] = {"client": flying.client, "head": flying.head, "now": now, "by": olga}
        message_replace(message=flying.row("two"), fees=NewFees(), **facts)
        message_cancel(message=flying.row("one"), **facts)
        fee_limits_set(message=flying.row("three"), max_fee=10**15, gas_fee_cap=2_000, now=flying.now)
        message_refuse(message=flying.row("three"), by=olga, reason="too much", now=now)
        message_mark_bad(message=flying.row("two"), now=now, by=olga)

    texts = set(MessageEvent.objects.values_list("text", flat=True))
    assert "any message above 0.000000000000000001 FIL" in texts
    assert any(text.startswith("premium ") for text in texts)
    assert any(text.endswith(" is free") for text in texts)
    assert {MESSAGE.made(record.what) for record in SignRecord.objects.all()} == {True}
    assert rows_in_chinese() == set()
