"""Parameters are read as the receiver's method would, once it is known which kind of actor that is."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.errors import BadMessage
from apps.messages.models import GasGuard, Message, Receiver
from apps.messages.rules.guard_choice import guard_choose
from apps.messages.rules.push_items import PushItem
from apps.messages.services.guards import guard_set
from apps.messages.services.push import messages_push
from apps.messages.states import MessageState, Priority, Wait
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.actors.decode import params_encode
from tests.fake_node import CODES
from tests.messaging import Pool
from tests.people import principal

MINER = "f01000"
CHANGE_WORKER, WITHDRAW = 3, 16
GOOD = params_encode("miner", WITHDRAW, {"AmountRequested": "5"})


@pytest.fixture
def sender(pool: Pool) -> str:
    pool.node.kinds[MINER] = "storageminer"
    return pool.address()


def asked(pool: Pool) -> int:
    return pool.node.calls.count("StateActorCodeCIDs")


@pytest.mark.parametrize(
    "params",
    [b"", b"\xff", GOOD[:-1], GOOD + b"\x00", b"\x81\x81"],
    ids=["none", "no CBOR", "cut", "long", "other"],
)
def test_what_a_miner_cannot_read_is_refused_by_the_methods_name(
    pool: Pool, sender: str, params: bytes
) -> None:
    with pytest.raises(BadMessage, match="not the parameters of WithdrawBalance") as refused:
        pool.push("bad", sender, to=MINER, method=WITHDRAW, params=params)

    assert refused.value.field == "params"
    assert not Message.objects.exists()


def test_what_it_can_read_is_taken_and_the_node_is_asked_once(pool: Pool, sender: str) -> None:
    for name in ("one", "two"):
        pool.push(name, sender, to=MINER, method=WITHDRAW, params=GOOD)

    assert Receiver.objects.get().kind == "miner"
    assert Receiver.objects.get().code == CODES["storageminer"]
    assert asked(pool) == 1


def test_each_of_a_bunch_has_its_own_answer(pool: Pool, sender: str) -> None:
    items = [
        PushItem(id="good", to=MINER, from_=sender, method=WITHDRAW, params=GOOD),
        PushItem(id="bad", to=MINER, from_=sender, method=CHANGE_WORKER, params=b"\x80"),
        PushItem(id="plain", to=MINER, from_=sender, method=0, params=b"\xff"),
    ]

    found = messages_push(items, principal=principal())

    assert [type(answer) for answer in found] == [Message, BadMessage, Message]
    assert "ChangeWorkerAddress" in str(found[1])


def test_transfers_and_addresses_that_tell_it_themselves_ask_nobody(pool: Pool, sender: str) -> None:
    pool.push("transfer", sender, to=MINER, params=b"\xff")
    pool.push("to a key", sender, to=sender, method=7, params=b"\xff")
    with pytest.raises(BadMessage, match="not the parameters of"):
        pool.push("power", sender, to="f04", method=2, params=b"\xff")

    assert asked(pool) == 0


def test_an_actor_that_may_become_another_is_not_remembered(pool: Pool, sender: str) -> None:
    pool.node.kinds["f01234"] = "placeholder"

    pool.push("one", sender, to="f01234", method=WITHDRAW, params=b"\xff")

    assert not Receiver.objects.exists()


@pytest.mark.parametrize("lacking", ["StateActorCodeCIDs", "StateGetActor"])
def test_without_a_nodes_word_the_message_is_taken_and_its_trial_decides(
    pool: Pool, sender: str, lacking: str
) -> None:
    pool.node.lacks.add(lacking)

    pool.push("one", sender, to=MINER, method=WITHDRAW, params=b"\xff")

    assert pool.row("one").state == MessageState.UNFILLED
    assert not Receiver.objects.exists()


def guard(**values: Any) -> GasGuard:
    return guard_set(principal=SYSTEM, **{"method": WITHDRAW, "actor": "miner", "max_fee": 10**15, **values})


def test_a_guard_of_a_method_holds_for_its_kind_of_actor_alone(pool: Pool, sender: str) -> None:
    row = pool.push("one", sender, to=MINER, method=WITHDRAW, params=GOOD)
    guards = [guard()]

    caps = {
        kind: guard_choose(row, guards=guards, receiver=kind).max_fee for kind in ("miner", "multisig", "")
    }

    assert caps == {"miner": 10**15, "multisig": 0, "": 10**15}, "what is not known is guarded too"


def test_method_5_is_a_proof_only_where_the_actor_may_be_a_miner(pool: Pool, sender: str) -> None:
    pool.node.kinds["f02000"] = "multisig"
    add_signer = params_encode("multisig", 5, {"Signer": "f01234", "Increase": False})

    pool.push("signer", sender, to="f02000", method=5, params=add_signer)
    pool.push("unknown", sender, to="f03000", method=5)

    assert pool.row("signer").priority == Priority.REST
    assert pool.row("unknown").priority == Priority.PROOF


def test_a_selection_holds_only_what_goes_to_that_kind(pool: Pool, sender: str) -> None:
    pool.node.kinds["f02000"] = "multisig"
    guard(hold_base_fee=1, max_fee=0)
    pool.push("to a miner", sender, to=MINER, method=WITHDRAW, params=GOOD)
    pool.push("to another", sender, to="f02000", method=WITHDRAW)

    pool.choose()

    assert pool.row("to a miner").wait == Wait.HELD
    assert pool.row("to another").state == MessageState.FILLED


def test_a_day_counts_only_what_goes_to_that_kind(pool: Pool, sender: str) -> None:
    pool.node.kinds["f02000"] = "multisig"
    guard(daily_budget=1, max_fee=0)
    pool.push("to another", sender, to="f02000", method=WITHDRAW)
    pool.choose()
    assert pool.row("to another").state == MessageState.FILLED

    pool.push("to a miner", sender, to=MINER, method=WITHDRAW, params=GOOD)
    pool.choose()

    assert pool.row("to a miner").wait == Wait.DAILY_BUDGET


def test_what_miners_send_without_a_word_goes_before_the_rest(pool: Pool, sender: str) -> None:
    pool.node.kinds["f02000"] = "multisig"
    recoveries = params_encode("miner", 11, {"Recoveries": []})
    pool.push("recovery", sender, to=MINER, method=11, params=recoveries)
    pool.push("pre-commit", sender, to=MINER, method=28, params=params_encode("miner", 28, {"Sectors": []}))
    pool.push("other", sender, to=MINER, method=WITHDRAW, params=GOOD)
    pool.push("told", sender, to=MINER, method=WITHDRAW, params=GOOD, kind="precommit")
    pool.push("transfer", sender, to="f02000")

    assert {row.push_id: row.priority for row in Message.objects.all()} == {
        "recovery": Priority.PROOF,
        "pre-commit": Priority.PRE_COMMIT,
        "other": Priority.REST,
        "told": Priority.PRE_COMMIT,
        "transfer": Priority.REST,
    }


def test_a_guard_of_no_known_kind_is_refused(pool: Pool) -> None:
    with pytest.raises(BadMessage) as refused:
        guard(actor="minor")
    assert refused.value.field == "actor"
