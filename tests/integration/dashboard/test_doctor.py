"""The doctor: for each refusal and failure the exact cause, its red row, and only acts that help."""

from __future__ import annotations

import re
from html import unescape
from typing import Any, NamedTuple

import pytest
from django.urls import reverse

from apps.messages.models import MessageApproval
from apps.messages.rules.displaced import displaced_columns
from apps.messages.rules.gas_checks import shortfall_describe
from apps.messages.services.estimate_failures import failure_read
from apps.messages.states import ATTEMPT, MessageState, SenderState, Wait
from apps.users.models import SignerGrant
from apps.wallets.errors import SenderNotGranted
from poolsite.filecoin.amounts import fil_format
from poolsite.wire.policy_refusals import LIMITS, LimitRefusal, limit_refusal_read
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = pytest.mark.django_db
FIL = factories.FIL
RETRY, FEE, FAIL = "retry-now", "fees", "mark-bad"


def limit(name: str, amount: int = 5, allowed: int = 1) -> str:
    """Return what the messager stores of a signer that refuses by a limit."""
    refusal = LimitRefusal("small transfers", name, fil_format(amount * FIL), fil_format(allowed * FIL))
    return f"sign message failed: {refusal}"


def trial(code: int, name: str, cause: str) -> str:
    """Return what the messager stores of a trial that fails."""
    frame = f"00: f1a (method 5) -- {cause} ({code})"
    said = f"message execution failed (exit=[{name}({code})], gas used: 1)\n{frame}"
    return f"gas estimate: {failure_read(said).text}"


class Case(NamedTuple):
    """One refusal or failure."""

    row: dict[str, Any]
    headline: str
    red: str
    """The row of the check that is red."""
    acts: tuple[str, ...] = (FAIL,)
    """Keys of the buttons, all of them."""
    link: str = ""
    """Part of the address of the act beside the headline."""


UNFILLED: dict[str, Any] = {"attempts": 3}
FLIGHT: dict[str, Any] = {"state": MessageState.FILLED, "nonce": 7, "gas_fee_cap": 10**12}
FAILED: dict[str, Any] = {"state": MessageState.FAILED, "wait": Wait.NONE}

CASES = {
    "limit": Case(
        {**UNFILLED, "wait": Wait.POLICY, "error": limit("value")},
        "Rule “small transfers” allows 1 FIL, this sends 5 FIL.",
        "Its signer's policy allows it",
        link="policy/rule/?name=small+transfers",
    ),
    "limit of a method": Case(
        {**UNFILLED, "wait": Wait.POLICY, "error": limit("value"), "method": 16},
        "Rule “small transfers” allows 1 FIL, this moves 5 FIL.",
        "Its signer's policy allows it",
        link="policy/rule/?name=small+transfers",
    ),
    "limit of fees": Case(
        {**UNFILLED, "wait": Wait.POLICY, "error": limit("fee")},
        "Rule “small transfers” allows fees of 1 FIL, this may cost 5 FIL.",
        "Its signer's policy allows it",
        (FEE, FAIL),
        "policy/rule/",
    ),
    "limit of premiums": Case(
        {**UNFILLED, "wait": Wait.POLICY, "error": limit("premium")},
        "allows a premium of 1 FIL, this may pay 5 FIL.",
        "Its signer's policy allows it",
        (FEE, FAIL),
    ),
    "limit of a day": Case(
        {**UNFILLED, "wait": Wait.POLICY, "error": limit("value per day")},
        "allows 1 FIL a day, with this it would be 5 FIL today.",
        "Its signer's policy allows it",
    ),
    "fees of a day": Case(
        {**UNFILLED, "wait": Wait.POLICY, "error": limit("fees per day")},
        "allows fees of 1 FIL a day, with this they may be 5 FIL today.",
        "Its signer's policy allows it",
    ),
    "premiums of a day": Case(
        {**UNFILLED, "wait": Wait.POLICY, "error": limit("premiums per day")},
        "allows premiums of 1 FIL a day, with this they may be 5 FIL today.",
        "Its signer's policy allows it",
    ),
    "no rule": Case(
        {
            **UNFILLED,
            "wait": Wait.POLICY,
            "error": "sign message failed: no rule allows message: miner.WithdrawBalance to f01000",
        },
        "No rule of the signer's policy allows message: miner.WithdrawBalance to f01000.",
        "Its signer's policy allows it",
        link="/policy/",
    ),
    "grant": Case(
        {**UNFILLED, "wait": Wait.POLICY, "error": f"sign message failed: {SenderNotGranted('f1a').reason}"},
        "The signer or a grant refuses the message: f1a is not a wallet of this account.",
        "Its tenant may use the address",
    ),
    "signed other": Case(
        {
            **UNFILLED,
            "wait": Wait.POLICY,
            "error": "the signer already signed a different message under this id, 5 attoFIL to f01: "
            "push it under another id",
        },
        "the signer already signed a different message under this id",
        "Its signer's policy allows it",
    ),
    "signer unable": Case(
        {**UNFILLED, "wait": Wait.POLICY, "error": "sign message failed: the key store is locked"},
        "The signer or a grant refuses the message: the key store is locked.",
        "Its signer's policy allows it",
        (RETRY, FAIL),
    ),
    "signer away": Case(
        {"wait": Wait.SIGNER_AWAY, "error": "sign message failed: no signer with the key f1a is connected"},
        "No signer with the key f1a is connected.",
        "Signer is connected",
    ),
    "approval": Case(
        {"needs_approval": True, "wait": Wait.APPROVAL},
        "Another person must approve it: any message above 1 FIL.",
        "A second person approved it",
        ("approve", FAIL),
        "approve",
    ),
    "funds": Case(
        {**UNFILLED, "wait": Wait.FUNDS, "error": shortfall_describe(5 * FIL, balance=FIL)},
        "The sender's balance does not cover gas and value: needs 5 FIL, has 1 FIL.",
        "Balance covers the maximum cost",
        (RETRY, FAIL),
        "/send/",
    ),
    "actor refuses": Case(
        {**UNFILLED, "wait": Wait.ESTIMATE, "error": trial(18, "ErrForbidden", "caller is not the owner")},
        "ErrForbidden (18), not allowed for this caller or at this time: caller is not the owner.",
        "It passes the node's trial",
    ),
    "system refuses": Case(
        {**UNFILLED, "wait": Wait.ESTIMATE, "error": trial(6, "SysErrInsufficientFunds", "too little")},
        "SysErrInsufficientFunds (6), the sender's balance does not cover the value: too little.",
        "It passes the node's trial",
        (RETRY, FAIL),
    ),
    "own gas limit": Case(
        {
            **UNFILLED,
            "wait": Wait.ESTIMATE,
            "error": "the gas limit 100 is below 5000, the cost of storing the message",
        },
        "the gas limit 100 is below 5000, the cost of storing the message.",
        "It passes the node's trial",
    ),
    "fee limit": Case(
        {
            **UNFILLED,
            "wait": Wait.FEE_LIMIT,
            "max_fee": 10,
            "error": "Message's max fee 0.1 FIL buys a fee cap of 10 aFIL for 100 gas < base fee 100 aFIL. ",
        },
        "buys a fee cap of 10 aFIL for 100 gas < base fee 100 aFIL.",
        "The message's own max fee",
        (RETRY, FEE, FAIL),
        "replace",
    ),
    "guard": Case(
        {**UNFILLED, "wait": Wait.GAS_CAP, "error": "its gas may cost up to 5 FIL; the guard allows 1 FIL"},
        "The gas guard's cap is below the base fee: its gas may cost up to 5 FIL; the guard allows 1 FIL.",
        "Its limits allow it",
        (RETRY, FEE, FAIL),
    ),
    "budget": Case(
        {"wait": Wait.DAILY_BUDGET, "error": "its gas costs more than is left"},
        "Today's gas budget does not cover the message: its gas costs more than is left.",
        "Its limits allow it",
        (FEE, FAIL),
    ),
    "cap below base fee": Case(
        {**FLIGHT, "gas_fee_cap": 1},
        "Its fee cap of 1 aFIL is below the base fee of 100 aFIL.",
        "Fee cap is above the base fee",
        ("replace", "fees", "cancel", FAIL),
    ),
    "node refuses": Case(
        {**FLIGHT, "wait": Wait.NODE_REFUSES, "error": "gas fee cap too low"},
        "The node rejects the message: gas fee cap too low.",
        "The nodes accept it",
        ("replace", "fees", "republish", "cancel", FAIL),
    ),
    "node away": Case(
        {**FLIGHT, "wait": Wait.NODE_AWAY, "error": "connection refused"},
        "No node responds: connection refused.",
        "A node answers",
        ("republish", "cancel", FAIL),
    ),
    "nonce gap": Case(
        dict(FLIGHT),
        "Nonce 5 of the sender is missing, and 7 waits behind it.",
        "No earlier message holds it up",
        ("cancel", FAIL),
    ),
    "never funded": Case(
        {"wait": Wait.NO_ACTOR},
        "The sender does not exist on chain: it was never funded.",
        "The sender exists on chain",
        link="/send/",
    ),
    "stopped": Case({}, "The sender was stopped.", "Its sender may send"),
    "expired": Case(
        {**FAILED, "wait": Wait.EXPIRED, "error": "epoch 990 has passed"},
        "Epoch 990 has passed.",
        "Not expired",
        (),
    ),
    "withdrawn": Case(
        {**FAILED, "error": "withdrawn: the sector was removed"},
        "Withdrawn: the sector was removed.",
        "It was carried out",
        (),
    ),
    "not approved": Case(
        {**FAILED, "error": "not approved by bob: too much"},
        "Not approved by bob: too much.",
        "It was carried out",
        (),
    ),
    "given up": Case(
        {**FAILED, "error": f"failed after 8 attempts: {trial(18, 'ErrForbidden', 'no')}"},
        "Failed after 8 attempts: gas estimate: ErrForbidden (18), not allowed for this caller "
        "or at this time: no.",
        "It was carried out",
        (),
    ),
    "displaced": Case(
        {
            **FLIGHT,
            "state": MessageState.REPLACED,
            "wait": Wait.NONCE_TAKEN,
            "error": "nonce 7 was used by another program's message",
        },
        "Nonce 7 was used by another program's message.",
        "Its nonce is its own",
        ("again", FAIL),
        "push-again",
    ),
    "failed on chain": Case(
        {"state": MessageState.LANDED, "exit_code": 18, "error": "caller is not the owner"},
        "It failed on chain with exit code 18: not allowed for this caller or at this time; "
        "the actor said: caller is not the owner.",
        "It succeeded on chain",
        (),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_doctor_names_the_cause_and_offers_only_what_helps(name: str) -> None:
    case = CASES[name]
    factories.head(1000, base_fee=100)
    wallet = factories.wallet(balance=FIL if name == "funds" else 100 * FIL)
    row = factories.message("m", from_addr=wallet.address, **case.row)
    if name == "approval":
        MessageApproval.objects.create(message=row, rule="any message above 1 FIL", asked_at=row.created_at)
    if name == "grant":
        SignerGrant.objects.all().delete()
    if name == "nonce gap":
        factories.sender(wallet.address, gap_nonce=5)
    if name == "stopped":
        factories.sender(wallet.address, state=SenderState.FORBIDDEN)
    operator_person()

    page = text_of(signed_in("olga").get(reverse("message", args=[row.pk])))

    doctor = page[page.index('id="f-doctor"') : page.index('id="f-message-params"')]
    headline = re.search(r"<strong>(.*?)</strong>", doctor, re.DOTALL)
    assert headline is not None
    assert case.headline in unescape(headline.group(1))
    red = re.findall(r'<tr data-tone="bad">\s*<th[^>]*>(.*?)</th>', doctor, re.DOTALL)
    assert case.red in [unescape(one.strip()) for one in red]
    assert tuple(re.findall(r'id="action-([a-z-]+)"', page)) == case.acts
    link = re.search(r'class="btn" data-size="s" href="([^"]*)"', doctor)
    assert case.link in ("" if link is None else unescape(link.group(1)))
    assert ("If you" in doctor) == (not row.is_final)
    if RETRY not in case.acts:
        assert "Retry now" not in doctor


def test_what_was_granted_since_can_be_tried_at_once() -> None:
    factories.head(1000)
    wallet = factories.wallet()
    row = factories.message("m", from_addr=wallet.address, **CASES["grant"].row)
    operator_person()

    page = text_of(signed_in("olga").get(reverse("message", args=[row.pk])))

    assert tuple(re.findall(r'id="action-([a-z-]+)"', page)) == (RETRY, FAIL)
    assert "Its tenant may use the address" not in page


def test_cases_cover_every_reason() -> None:
    usual = {Wait.NEXT_HEAD, Wait.IN_POOL}
    elsewhere = {
        *(Wait.QUOTA, Wait.BASE_FEE_GATE, Wait.HELD),  # limits that are reached, nothing is refused
        *(Wait.OFFLINE, Wait.RECOVERY, Wait.SIGNED_BEFORE, Wait.OTHER_PROGRAM),  # wait for a person, or end
    }
    seen = {case.row.get("wait", "") for case in CASES.values()}
    shown = {Wait.FEE_CAP, Wait.EARLIER_NONCE, Wait.STOPPED}  # follow from other rows
    assert set(Wait) - usual - elsewhere - shown <= seen
    assert {
        found.limit for one in CASES.values() if (found := limit_refusal_read(one.row.get("error", "")))
    } == set(LIMITS)


def test_a_limit_reads_alike_in_headline_history_and_list() -> None:
    factories.head(1000)
    row = factories.message("m", wait=Wait.POLICY, attempts=3, error=limit("value"))
    row.events.create(at=row.created_at, event=ATTEMPT, text=row.error)
    operator = operator_person()
    client = signed_in("olga")

    for language, said in (("en", "allows 1 FIL, this sends 5 FIL"), ("zh-hans", "允许 1 FIL")):
        operator.language = language
        operator.save()
        page = text_of(client.get(reverse("message", args=[row.pk])))
        every = text_of(client.get(reverse("messages")))
        assert page.count(said) == 3, "headline, red row, history"
        assert said in every
        assert "is above" not in page + every


@pytest.mark.parametrize("is_own", [True, False])
def test_a_displaced_message_says_by_what(is_own: bool) -> None:
    factories.head(1000)
    row = factories.message("m", state=MessageState.REPLACED, nonce=7)
    for column, value in displaced_columns(row, is_own=is_own, taker="bafy").items():
        setattr(row, column, value)
    row.save()
    operator_person()

    page = unescape(text_of(signed_in("olga").get(reverse("message", args=[row.pk]))))

    said = "another message of this sender landed" if is_own else "was used by another program's message bafy"
    assert said in page.lower()


def test_one_message_has_one_id() -> None:
    factories.head(1000)
    row = factories.message("m", push_id="of-its-caller")
    operator_person()

    page = text_of(signed_in("olga").get(reverse("message", args=[row.pk])))

    assert page.count("of-its-caller") == 1, "as a fact, not as a second name of the page"
    assert "Id of its caller" in page
