"""The diagnosis: one reason of the closed list, with figures, for each way in which a message can wait."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from apps.messages.rules.causes import Refusal
from apps.messages.rules.push_items import Gas, SendSpec
from apps.messages.selectors.diagnosis import ACTIONS, BY_CAUSE, BY_ITSELF, Diagnosis, message_diagnose
from apps.messages.selectors.remedies import message_remedies
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.select import sender_select
from apps.messages.services.senders import sender_set
from apps.messages.states import ATTEMPT, SenderState, Wait
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.address import address_parse
from poolsite.wire.policy_refusals import LimitRefusal, limit_refusal_read
from tests.messaging import Pool
from workers.signer.policy import Policy, Rule
from workers.signer.sign_request import MESSAGE, Amounts, SignRequest


def diagnosed(pool: Pool, id: str) -> Diagnosis:
    return message_diagnose(pool.row(id), head=pool.head)


def test_every_reason_has_words_and_a_future() -> None:
    for wait in Wait:
        assert BY_ITSELF[wait]
        assert wait.label
    assert set(ACTIONS) <= set(Wait)
    assert set(Wait) - set(ACTIONS) == {Wait.NONE, Wait.EXPIRED}, "a click helps, or gives it up"


def test_a_new_message_waits_for_the_next_head(pool: Pool) -> None:
    pool.push("one", pool.address())

    assert diagnosed(pool, "one").reason == Wait.NEXT_HEAD


def test_a_published_message_waits_for_a_block(pool: Pool) -> None:
    pool.push("one", pool.address())
    pool.choose()

    found = diagnosed(pool, "one")

    assert (found.reason, found.evidence["published"]) == (Wait.IN_POOL, True)


def test_a_full_quota_is_named_with_its_figures(pool: Pool) -> None:
    address = pool.address()
    for name in "ab":
        pool.push(name, address)
    sender_set(principal=SYSTEM, address=address, quota=1)
    pool.choose()
    pool.choose()

    found = diagnosed(pool, "b")

    assert (found.reason, found.evidence) == (Wait.QUOTA, {"in_flight": 1, "quota": 1})


def test_missing_funds_are_named_with_the_balance(pool: Pool) -> None:
    pool.push("one", pool.address(fil=1), value=5 * 10**18)
    pool.choose()

    found = diagnosed(pool, "one")

    assert (found.reason, found.evidence["balance"]) == (Wait.FUNDS, "1 FIL")
    assert found.actions[0] == "fund"


def test_a_failing_estimate_gives_the_nodes_words_and_the_next_try(pool: Pool) -> None:
    pool.node.fails["7"] = "exit 18"
    pool.push("one", pool.address(), method=7)
    pool.choose()

    found = diagnosed(pool, "one")

    assert found.reason == Wait.ESTIMATE
    assert "exit 18" in found.evidence["text"]
    assert found.evidence["next_try_height"] > pool.head.height


def test_a_stopped_sender_goes_before_everything(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    sender_set(principal=SYSTEM, address=address, state=SenderState.FORBIDDEN)

    assert diagnosed(pool, "one").reason == Wait.STOPPED


def test_an_unfunded_address_is_named(pool: Pool) -> None:
    pool.push("one", pool.address(fil=0))
    pool.choose()

    assert diagnosed(pool, "one").reason == Wait.NO_ACTOR


def test_an_absent_signer_is_named(pool: Pool) -> None:
    pool.push("one", pool.address())
    pool.keyring.is_away = True
    pool.choose()

    assert diagnosed(pool, "one").reason == Wait.SIGNER_AWAY


def test_a_gate_gives_the_base_fee(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    sender_set(principal=SYSTEM, address=address, fees={"base_fee": 10})
    pool.choose()

    found = diagnosed(pool, "one")

    assert (found.reason, found.evidence["base_fee"]) == (Wait.BASE_FEE_GATE, "100")


def test_a_limit_that_buys_nothing_is_named(pool: Pool) -> None:
    pool.push("one", pool.address(), spec=SendSpec(max_fee=1))
    pool.choose()

    assert diagnosed(pool, "one").reason == Wait.FEE_LIMIT


def test_a_cap_that_the_base_fee_overtook_is_named_with_both(pool: Pool) -> None:
    pool.push("one", pool.address(), gas=Gas(limit=1_000_000, fee_cap=200, premium=100))
    pool.choose()
    pool.node.base_fee = 300
    pool.step(only=lambda _signed: False)

    found = diagnosed(pool, "one")

    assert found.reason == Wait.FEE_CAP
    assert (found.evidence["fee_cap"], found.evidence["base_fee"]) == ("200", "300")
    assert found.actions[0] == "replace"


def test_those_behind_a_stuck_nonce_point_at_it(pool: Pool) -> None:
    address = pool.address()
    pool.push("stuck", address, gas=Gas(limit=1_000_000, fee_cap=200, premium=100))
    pool.push("behind", address)
    pool.choose()
    pool.node.base_fee = 300
    pool.step(only=lambda _signed: False)

    found = diagnosed(pool, "behind")

    assert (found.reason, found.evidence["earlier_id"]) == (Wait.EARLIER_NONCE, "stuck")


def test_those_behind_a_hole_point_at_it(pool: Pool) -> None:
    address = pool.address()
    for name in "ab":
        pool.push(name, address)
    pool.choose()
    message_mark_bad(message=pool.row("a"), now=pool.now)
    del pool.node.pool[(address, 0)]
    pool.step()

    found = diagnosed(pool, "b")

    assert (found.reason, found.evidence["gap"]) == (Wait.EARLIER_NONCE, 0)


def test_a_refusing_node_is_quoted(pool: Pool) -> None:
    pool.node.refuses = lambda method, _params: "mempool is full" if method == "MpoolPush" else None
    pool.push("one", pool.address())
    pool.choose()

    found = diagnosed(pool, "one")

    assert (found.reason, found.evidence["text"]) == (Wait.NODE_REFUSES, "mempool is full")


def test_signed_but_not_published_is_shown(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)

    assert diagnosed(pool, "one").evidence["published"] is False


def test_an_expired_message_says_so(pool: Pool) -> None:
    pool.push("one", pool.address(fil=0), expire_epoch=1)
    pool.step()
    pool.step()

    assert diagnosed(pool, "one").reason == Wait.EXPIRED


def test_a_landed_message_waits_for_nothing(pool: Pool) -> None:
    pool.push("one", pool.address())
    pool.choose()
    pool.step()
    pool.step()

    assert diagnosed(pool, "one").reason == Wait.NONE


def test_a_message_that_the_chain_refused_says_why(pool: Pool) -> None:
    pool.node.exit_code = 16
    pool.push("one", pool.address())
    pool.choose()
    pool.step()
    pool.step()

    found = diagnosed(pool, "one")

    assert found.evidence == {"exit_code": 16, "text": "a parameter is invalid"}
    assert found.text == "it failed on chain with exit code 16: a parameter is invalid"
    assert "push a new message to try again" in found.by_itself


def test_every_action_says_what_it_does_and_what_it_costs(pool: Pool) -> None:
    address = pool.address()
    pool.push("flying", address, gas=Gas(limit=2_000_000, fee_cap=1_000, premium=100))
    pool.choose()
    pool.push("waiting", address)

    flying = pool.row("flying")
    clicks = message_remedies(flying, message_diagnose(flying, head=pool.head), head=pool.head)
    assert {click.action: click.cost for click in clicks} == {
        "replace": 2_000_000 * 1_000,
        "republish": None,
        "cancel": 1_600_000 * (100 + 126),
    }
    waiting = pool.row("waiting")
    for reason, actions in ACTIONS.items():
        evidence = {"earlier_id": "flying", "earlier_nonce": 0} if reason == Wait.EARLIER_NONCE else {}
        found = message_remedies(waiting, Diagnosis(Wait(reason), evidence), head=pool.head)
        assert [click.action for click in found] == list(actions)
        assert all(click.does for click in found)
    for cause, (_, actions) in BY_CAUSE.items():
        diagnosis = Diagnosis(Wait.POLICY, refusal=Refusal("", cause))
        found = message_remedies(waiting, diagnosis, head=pool.head)
        assert [click.action for click in found] == list(actions)
        assert "retry-now" not in actions, "what is refused again is not tried again"


def test_each_finding_says_when_something_happens(pool: Pool) -> None:
    address = pool.address()
    pool.push("new", address)
    assert diagnosed(pool, "new").next_epoch == pool.head.height + 1

    sender_set(principal=SYSTEM, address=address, state=SenderState.FORBIDDEN)
    stopped = diagnosed(pool, "new")
    assert (stopped.next_epoch, stopped.evidence) == (None, {"address": address})


def test_every_reason_says_what_happens_by_itself() -> None:
    assert {str(reason) for reason in Wait} == {str(reason) for reason in BY_ITSELF}


def test_each_attempt_stands_in_the_history(pool: Pool) -> None:
    row = pool.push("one", pool.address())
    pool.keyring.refused.add(b"")  # every message
    for _ in range(4):
        pool.step()

    tried = list(row.events.filter(event=ATTEMPT))

    assert len(tried) == pool.row("one").attempts >= 2
    assert {event.text for event in tried} == {"sign message failed: policy: not this one"}
    assert [event.height for event in tried] == sorted({event.height for event in tried})


def test_a_history_names_so_many_attempts(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.messages.services.audit.ATTEMPTS_KEPT", 1)
    row = pool.push("one", pool.address())
    pool.keyring.refused.add(b"")
    for _ in range(4):
        pool.step()

    assert row.events.filter(event=ATTEMPT).count() == 1
    assert pool.row("one").attempts >= 2


def test_what_a_policy_refuses_is_read_as_it_is_written() -> None:
    request = SignRequest(
        MESSAGE,
        address_parse("f01000"),
        b"",
        readings=("Send",),
        value=5 * 10**18,
        to=address_parse("f01001"),
    )
    policy = Policy("d", (Rule("it's 'small', transfers", value_max=10**18),))

    verdict = policy.decide(request, caller="", now=datetime.now(UTC), spent=lambda _rule: Amounts())

    assert limit_refusal_read(verdict.error) == LimitRefusal(
        "it's 'small', transfers", "value", "5 FIL", "1 FIL"
    )
