"""The page that withdraws a miner's earnings: what is available, the review with its price, and who may."""

from __future__ import annotations

import re
from typing import Any

import pytest

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.users.models import AuditEntry
from apps.users.states import Role
from poolsite.filecoin.amounts import FIL
from tests import factories, people
from tests.factories import MinerNode
from tests.integration.dashboard.miner_addresses import OWNER, info, pushed
from tests.integration.dashboard.withdrawals import TERM, available, funds_set, requested, signer_says
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

__all__ = ["available", "info"]

PAGE = "/miners/f02001/withdraw/"


def kept(page: str, name: str) -> str:
    """The value that the review's form brings again."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return found.group(1)


def test_page_reviews_with_price_and_signer_then_sends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    people.person("ann")
    signer_says(monkeypatch, "no rule allows message: miner.WithdrawBalance")
    browser = signed_in("ann")
    shown = text_of(browser.get(PAGE))
    assert "12.0000 FIL" in shown
    assert f"owner f0101, {OWNER}" in shown
    assert "value_max = &quot;12 FIL&quot;" in shown
    form = {"amount": "5", "key": "abc"}

    asked = text_of(browser.post(PAGE, form))

    for text in ("5 FIL", "7 FIL", "Expected cost", "would refuse miner.WithdrawBalance: no rule allows"):
        assert text in asked
    assert "The message waits until the signer signs it" in asked
    assert not Message.objects.exists()
    answers = [browser.post(PAGE, {**form, "sure": "yes"}) for _ in range(2)]
    assert [one.status_code for one in answers] == [302, 302]
    assert answers[0]["Location"] == f"/messages/{pushed().pk}/"
    assert requested(pushed()) == 5 * FIL
    assert "Can be withdrawn now" in text_of(browser.get(PAGE)), "5 FIL are in progress"
    assert AuditEntry.objects.filter(action="miner.withdraw").count() == 1


def test_review_says_that_a_withdrawal_will_wait_for_approval(monkeypatch: pytest.MonkeyPatch) -> None:
    people.person("ann")
    factories.approval_rule(of="alice", actor="miner", method=16, above=4 * FIL)
    signer_says(monkeypatch, "")
    browser = signed_in("ann")

    asked = [text_of(browser.post(PAGE, {"amount": amount, "key": "abc"})) for amount in ("5", "4")]

    assert "waits for a second person: miner WithdrawBalance above 4 FIL" in asked[0]
    assert "second person" not in asked[1]
    browser.post(PAGE, {"amount": "5", "key": "abc", "sure": "yes"})
    assert pushed().needs_approval


@pytest.mark.parametrize("typed", ["", "All", " all "])
def test_all_sends_the_amount_that_was_reviewed(
    node: MinerNode, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    people.person("ann")
    signer_says(monkeypatch)
    browser = signed_in("ann")
    asked = text_of(browser.post(PAGE, {"amount": typed, "key": "abc"}))
    assert "allows the message" in asked
    funds_set(node, monkeypatch, 20 * FIL)

    sent = {"amount": kept(asked, "amount"), "key": kept(asked, "key"), "sure": "yes"}
    assert browser.post(PAGE, sent).status_code == 302

    assert requested(pushed()) == 12 * FIL


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("0", "must be above 0"),
        ("13", "at most 12 FIL can be withdrawn now"),
        ("many", "enter an amount in FIL"),
    ],
)
def test_a_refused_amount_stands_beside_its_field(typed: str, words: str) -> None:
    people.person("ann")

    refused = signed_in("ann").post(PAGE, {"amount": typed, "key": "abc"})

    assert refused.status_code == 422
    page = text_of(refused)
    assert words in page
    assert f'value="{typed}"' in page
    assert "Not sent." not in page
    assert not Message.objects.exists()


def test_page_names_term_and_debt_and_why_nothing_can_be_sent(
    info: dict[str, Any], node: MinerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.person("ann")
    info |= TERM
    shown = text_of(signed_in("ann").get(PAGE))
    assert "beneficiary f0103" in shown
    assert "5.0000 FIL left, until epoch" in shown

    Miner.objects.update(fee_debt=3 * FIL)
    funds_set(node, monkeypatch, -3 * FIL)
    shown = text_of(signed_in("ann").get(PAGE))
    assert "3.0000 FIL, paid first" in shown
    assert "the miner lacks 3 FIL for it" in shown
    assert 'name="amount"' not in shown


def test_the_rule_stays_while_all_is_in_progress(node: MinerNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that waits for the rule is what is in progress."""
    people.person("ann")
    funds_set(node, monkeypatch, 5 * FIL // 2)
    browser = signed_in("ann")
    assert browser.post(PAGE, {"amount": "2.5", "key": "abc", "sure": "yes"}).status_code == 302

    shown = text_of(browser.get(PAGE))

    assert "nothing is available beside the 2.5 FIL in progress" in shown
    assert 'name="amount"' not in shown
    assert "value_max = &quot;3 FIL&quot;" in shown, "rounded up"


def test_what_the_chain_refuses_is_said_before_the_review(node: MinerNode) -> None:
    people.person("ann")
    node.fails["16"] = "caller is not the owner"

    refused = signed_in("ann").post(PAGE, {"amount": "1", "key": "abc"})

    assert refused.status_code == 422
    assert "the chain would refuse it: caller is not the owner" in text_of(refused)


def test_strangers_see_no_page_and_readers_no_form() -> None:
    people.person("ben", of="bob")
    people.person("rea", role=Role.AUDITOR)
    assert signed_in("ben").get(PAGE).status_code == 404
    assert signed_in("ben").post(PAGE, {"amount": "1"}).status_code == 404

    shown = signed_in("rea").get(PAGE)

    assert shown.status_code == 200
    assert 'name="amount"' not in text_of(shown)
    assert signed_in("rea").post(PAGE, {"amount": "1"}).status_code == 404
    assert not Message.objects.exists()


def test_the_miners_page_leads_to_it() -> None:
    people.person("ann")

    page = text_of(signed_in("ann").get("/miners/f02001/"))

    assert page.count(f'href="{PAGE}"') == 2, "the button, and the tile Available"
