"""A method's parameters change with an upgrade: built before it, landing after it, read back for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from apps.chain.selectors.upgrades import network_version_at, params_version
from apps.dashboard.pages.messages.facts import param_facts
from apps.messages.models import Message, UnmatchedMessage
from apps.messages.selectors.recovery import unmatched_candidates
from apps.messages.services.recovery.detect import restore_check
from apps.messages.states import MessageState
from apps.miners.services.withdrawals import amount_read
from poolsite.filecoin import upgrades
from poolsite.filecoin.actors import miner
from poolsite.filecoin.actors.decode import params_decode
from poolsite.filecoin.actors.method import MethodSpec, method_table, params_read
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.codec import TokenAmount, cbor_tuple, from_cbor, to_cbor
from poolsite.filecoin.upgrades import UPGRADES, NetworkUpgrade
from tests.fake_node import FakeNode
from tests.messaging import Pool, pool_world
from tests.unit.apps.messages.kills import Kill, killed
from tests.unit.apps.messages.recovery import Dump, heads, without_ids
from workers.signer.amounts import withdrawal_of
from workers.signer.message_payloads import message_readings

MINER, WITHDRAW = "f01000", int(miner.Method.WITHDRAW_BALANCE)
VERSION = UPGRADES[-1].version + 1 if UPGRADES[-1].version else 0
HEIGHT = 5
"""Epoch of the made-up upgrade: the last one with the version before."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class LaterWithdrawal:
    """What WithdrawBalance takes from the made-up upgrade on."""

    amount_requested: TokenAmount
    keep_pledge: bool = False


class Upgrading(FakeNode):
    """A node of a network that is upgraded at HEIGHT."""

    def do_StateGetNetworkParams(self) -> Any:
        forks = {"UpgradeFireHorseHeight": -32, "UpgradeMadeUpHeight": HEIGHT}
        return {**super().do_StateGetNetworkParams(), "ForkUpgradeParams": forks}


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A pool whose code knows the made-up upgrade, some epochs before it."""
    monkeypatch.setattr(upgrades, "UPGRADES", (*UPGRADES, NetworkUpgrade("MadeUp", VERSION)))
    name = miner.METHODS[WITHDRAW].name
    forms = method_table(
        MethodSpec(WITHDRAW, name, WithdrawBalanceParams, until=VERSION),
        MethodSpec(WITHDRAW, name, LaterWithdrawal, since=VERSION),
    )
    monkeypatch.setitem(miner.METHODS, WITHDRAW, forms[WITHDRAW])
    node = Upgrading()
    node.kinds[MINER] = "storageminer"
    with pool_world(monkeypatch, node=node) as pool:
        assert pool.head.height < HEIGHT - 1
        yield pool


def withdraw(pool: Pool, id: str, sender: str) -> Message:
    """Push a withdrawal as the pool's own code does, which knows the newest form only."""
    params = to_cbor(LaterWithdrawal(7))
    return pool.push(id, sender, to=MINER, value=0, method=WITHDRAW, params=params, kind="withdraw")


def mine_to(pool: Pool, height: int) -> None:
    """Follow the chain to a head, and choose nothing on the way."""
    while pool.head.height < height:
        pool.node.mine()
        pool.follow()


def test_what_lands_before_the_upgrade_has_the_form_from_before(pool: Pool) -> None:
    withdraw(pool, "early", pool.address())

    pool.choose()

    row = pool.row("early")
    assert row.state == MessageState.FILLED
    assert from_cbor(WithdrawBalanceParams, bytes(row.params)).amount_requested == 7
    pool.step()
    pool.step()
    assert pool.row("early").state == MessageState.LANDED


def test_what_waited_across_the_upgrade_is_signed_in_the_form_after_it(pool: Pool) -> None:
    sender = pool.address()
    waiting = withdraw(pool, "late", sender)
    assert from_cbor(WithdrawBalanceParams, bytes(waiting.params)).amount_requested == 7

    mine_to(pool, HEIGHT)
    pool.choose()

    row = pool.row("late")
    assert row.state == MessageState.FILLED
    assert from_cbor(LaterWithdrawal, bytes(row.params)) == LaterWithdrawal(7)
    [published] = pool.node.pool.values()
    assert published.message.params == bytes(row.params)
    assert withdraw(pool, "late", sender).pk == row.pk, "the same push is the same message, in either form"


@pytest.mark.parametrize("has_ids", [True, False], ids=["our signer", "venus-wallet"])
def test_a_restored_row_knows_its_form_after_the_upgrade(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, has_ids: bool
) -> None:
    if not has_ids:
        without_ids(pool, monkeypatch)
    sender = pool.address()
    restore_check(now=pool.now)
    withdraw(pool, "late", sender)
    dump = Dump()
    mine_to(pool, HEIGHT)
    heads(pool, 3)
    assert from_cbor(LaterWithdrawal, pool.node.landed(sender)[0].message.params) == LaterWithdrawal(7)

    dump.restore()
    assert from_cbor(WithdrawBalanceParams, bytes(pool.row("late").params)).amount_requested == 7
    heads(pool, 3)

    row = pool.row("late")
    assert (row.state, row.nonce, row.error) == (MessageState.LANDED, 0, "")
    assert pool.nonces_on_chain(sender) == [0]
    assert not UnmatchedMessage.objects.exists()


@pytest.mark.parametrize("has_rival", [False, True], ids=["alone", "a proof goes first"])
def test_a_signature_of_before_the_upgrade_is_made_anew(pool: Pool, has_rival: bool) -> None:
    sender = pool.address()
    withdraw(pool, "late", sender)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.messages.services.select.filled_store", killed(print))
        with pytest.raises(Kill):
            pool.choose()
    if has_rival:  # would have the nonce, if the signer did not know of the first signature
        pool.push("proof", sender, kind="window_post", time_sensitive=True)

    mine_to(pool, HEIGHT)
    heads(pool, 3)

    landed = pool.node.landed(sender)[0]
    assert pool.nonces_on_chain(sender) == [0, 1][: 1 + has_rival]
    assert from_cbor(LaterWithdrawal, landed.message.params) == LaterWithdrawal(7)
    row = pool.row("late")
    assert (row.state, row.nonce, bytes(row.params)) == (MessageState.LANDED, 0, landed.message.params)


def test_the_same_in_the_form_before_is_the_first_candidate(pool: Pool) -> None:
    sender, after = pool.address(), to_cbor(LaterWithdrawal(7))
    pool.push("older", sender, to=MINER)
    withdraw(pool, "late", sender)
    landed = UnmatchedMessage(from_addr=sender, to=MINER, value=0, method=WITHDRAW, params=after)

    assert [row.push_id for row in unmatched_candidates(landed)] == ["late", "older"]


def test_the_upgrade_s_own_epoch_still_takes_the_form_before(pool: Pool) -> None:
    sender = pool.address()
    mine_to(pool, HEIGHT - 1)
    withdraw(pool, "last", sender)

    pool.choose()

    assert from_cbor(WithdrawBalanceParams, bytes(pool.row("last").params)).amount_requested == 7
    assert network_version_at(HEIGHT) == VERSION - 1
    assert network_version_at(HEIGHT + 1) == VERSION


def test_what_others_push_stays_as_it_is(pool: Pool) -> None:
    params = to_cbor(LaterWithdrawal(7))

    pool.push("tenant's", pool.address(), to=MINER, value=0, method=WITHDRAW, params=params)

    assert bytes(pool.row("tenant's").params) == params


def test_history_is_read_in_the_form_of_its_tipset(pool: Pool) -> None:
    sender = pool.address()
    withdraw(pool, "early", sender)
    pool.step()
    pool.step()
    mine_to(pool, HEIGHT)
    withdraw(pool, "late", sender)
    pool.choose()
    pool.step()
    pool.step()

    early, late = pool.row("early"), pool.row("late")
    assert early.height <= HEIGHT < late.height
    assert [fact.k for fact in param_facts(early, miners={MINER})] == ["AmountRequested"]
    assert [fact.k for fact in param_facts(late, miners={MINER})] == ["AmountRequested", "KeepPledge"]
    assert amount_read(early) == 7
    for row in (early, late):
        assert params_read(LaterWithdrawal, bytes(row.params)) == LaterWithdrawal(7)
    version = params_version("miner", WITHDRAW, height=early.height)
    assert params_decode("miner", WITHDRAW, bytes(early.params), version=version) == {"AmountRequested": "7"}


def test_the_signer_reads_both_forms_as_a_withdrawal(pool: Pool) -> None:
    sender = pool.address()
    for params in (WithdrawBalanceParams(7), LaterWithdrawal(7)):
        row = pool.push(str(params), sender, to=MINER, value=0, method=WITHDRAW, params=to_cbor(params))
        message = row.chain_message()
        assert "miner.WithdrawBalance" in message_readings(message)
        assert withdrawal_of(message, ["miner"]) == 7
