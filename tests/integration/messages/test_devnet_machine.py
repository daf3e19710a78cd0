"""The messager's model on the real devnet: random pushes, heads, forks, fee spikes, lost messages, kills.

For each sender the chain holds 0…n; each accepted message is there at most once, and when the trouble is
over every message has landed or stands in a stated final state.

A seed stands for 1,250 steps.  `make test` lives the first; `make soak` the other seven, and goes on after
them, until POOLSITE_SOAK_STEPS (a million) are done or POOLSITE_SOAK_MINUTES have
passed, and remembers under POOLSITE_VAR where it stopped: the next run takes up there.  POOLSITE_SOAK_SEED
begins somewhere else.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from apps.chain.models import Node
from apps.chain.node.client import ChainClient
from apps.chain.node.link import NodeLink
from apps.core.errors import DomainError
from apps.messages.models import Message, Sender
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.bulk import BULK_STATES, messages_bulk
from apps.messages.services.fee_bump import proofs_bump
from apps.messages.services.guards import guard_remove, guard_set
from apps.messages.services.replace import message_replace
from apps.messages.states import MessageState
from apps.users.rules.principals import SYSTEM
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from poolsite.filecoin.address import Address, address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.keys import KeyInfo, key_address, key_generate, key_sign
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import SignedMessage
from tests.integration.messages.devnet import KINDS, DevnetPool
from tests.messaging import FIL
from tests.unit.apps.messages.kills import POINTS, Kill

EXAMPLES: Final = 5
STEPS_EACH: Final = 250
"""Of one life of a pool; a seed stands for EXAMPLES such lives."""
SEEDS: Final = (1, 2, 3, 4, 5, 6, 7, 8)
PHASES: Final = (Phase.generate,) if os.environ.get("CI") else (Phase.generate, Phase.shrink)
"""To shorten what has failed takes as long as all seeds: it is done when a seed is lived by hand."""
SOAK_STEPS: Final = int(os.environ.get("POOLSITE_SOAK_STEPS", "1000000"))
SOAK_S: Final = 60 * float(os.environ.get("POOLSITE_SOAK_MINUTES", "20"))
PROGRESS: Final = Path(os.environ.get("POOLSITE_VAR", "var")) / "soak-messages.json"
PATIENCE_HEADS: Final = 200
"""In which the last trouble must have ended: what others lost are gaps, closed one after the other."""
FOREIGN_VALUE = 10**9
"""Values of our own messages are smaller: a value names a message on chain."""
FINAL = {MessageState.LANDED, MessageState.FAILED, MessageState.REPLACED}
SENDERS = st.integers(min_value=0, max_value=1)
NUMBERS = st.integers(min_value=0, max_value=50)


class DevnetMessager(RuleBasedStateMachine):
    """One pool with a secp256k1 and a BLS sender, and a node that mines when a rule says so."""

    lived: ClassVar[int] = -EXAMPLES
    """Steps of one seed."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        keys: list[KeyInfo] = [key_generate(kind) for kind in KINDS]
        funds: dict[Address, Any] = {key_address(key): 10_000 * FIL for key in keys}
        self.node = Devnet(":memory:", network="test", clock=ManualClock(), funds=funds)
        # Its own blocks are not verified again: that is what the devnet's tests are for.
        self.patch.setattr(self.node.validator, "check", lambda *_args, **_more: None)
        self.services = [Service(self.node, mining="paused").start() for _ in range(2)]
        self.pool = DevnetPool(self.node, self.services[0].url, keys)
        self.patch.setattr("apps.wallets.services.sign.wallet_sign_all", self.pool.keyring.sign_all)
        # The next head chooses: there is no broker here, and each look for one costs more than a step.
        self.patch.setattr("apps.messages.services.retry.selection_enqueue", lambda _address: None)
        self.pushed = 0
        self.foreign = 0
        self.keys_on_way: list[Any] = [self.node.head.key]

    @invariant()
    def step_is_counted(self) -> None:
        """Called before the first step and after each one."""
        type(self).lived += 1

    @rule(
        sender=SENDERS,
        count=st.integers(min_value=1, max_value=3),
        kind=st.sampled_from(["", "window_post", "precommit"]),
    )
    def push(self, sender: int, count: int, kind: str) -> None:
        addresses = self.pool.addresses
        for _ in range(count):
            self.pushed += 1
            self.pool.push(
                f"m{self.pushed}",
                addresses[sender],
                to=addresses[1 - sender],
                kind=kind,
                value=self.pushed,
                urgent_epoch=self.pool.head.height + 8 if kind == "window_post" else None,
            )

    @rule(nulls=st.integers(min_value=0, max_value=2))
    def head(self, nulls: int) -> None:
        self.node.null_rounds(nulls)
        self.pool.step()
        self.keys_on_way.append(self.node.head.key)

    @rule()
    def choose_between_heads(self) -> None:
        self.pool.choose()
        proofs_bump(client=self.pool.client, head=self.pool.head, now=self.pool.now)

    @rule(depth=st.integers(min_value=1, max_value=4), heads=st.integers(min_value=1, max_value=3))
    def reorganise(self, depth: int, heads: int) -> None:
        back = self.keys_on_way[max(len(self.keys_on_way) - 1 - depth, 0)]
        self.node.head_set(back)
        self.node.null_rounds(1)  # another height, so another tipset
        self.node.faults.settings.hide_messages = True
        self.node.mine_one()
        self.node.faults.settings.hide_messages = False
        self.pool.step(heads)
        self.keys_on_way = [back, self.node.head.key]

    @rule()
    def another_node_takes_over(self) -> None:
        """It has the chain, but has heard of no message."""
        self.services.reverse()
        Node.objects.update(url=self.services[0].url)
        self.pool.link.close()
        self.pool.link = NodeLink(self.services[0].url, "")
        self.pool.client = ChainClient([self.pool.link])
        self.node.mempool.clear()

    @rule(sender=SENDERS)
    def node_loses_messages(self, sender: int) -> None:
        self.node.faults.settings.drop_next = 1 + sender

    @rule(epochs=st.integers(min_value=1, max_value=3))
    def fee_spike(self, epochs: int) -> None:
        self.node.faults.settings.spike_left = epochs
        self.pool.step()

    @rule(sender=SENDERS)
    def somebody_else_sends(self, sender: int) -> None:
        address = self.pool.addresses[sender]
        self.foreign += 1
        nonce = int(self.pool.client.call("MpoolGetNonce", address))
        message = ChainMessage(
            to=address_parse(self.pool.addresses[1 - sender]),
            from_=address_parse(address),
            nonce=nonce,
            value=AttoFil(FOREIGN_VALUE + self.foreign),
            gas_limit=3_000_000,
            gas_fee_cap=AttoFil(10**9),
            gas_premium=AttoFil(200_000),
        )
        signed = SignedMessage(message, key_sign(self.pool.keyring.keys[address], bytes(message.cid)))
        try:
            self.pool.client.mpool_push(signed)
        except DomainError:
            pass

    @rule()
    def signer_goes_or_comes(self) -> None:
        self.pool.keyring.is_away = not self.pool.keyring.is_away

    @rule(base_fee=st.sampled_from([50, 10**9]))
    def a_guard_comes_and_goes(self, base_fee: int) -> None:
        guard = guard_set(principal=SYSTEM, hold_base_fee=base_fee, hold_epochs=3, daily_budget=10**15)
        self.pool.choose()
        guard_remove(principal=SYSTEM, guard=guard)

    @rule(point=st.sampled_from(POINTS))
    def kill(self, point: Any) -> None:
        _, module, name, how = point
        with pytest.MonkeyPatch.context() as patch:
            where = __import__(module, fromlist=[name])
            patch.setattr(where, name, how(getattr(where, name)))
            try:
                self.pool.step()
            except Kill:
                pass
        self.keys_on_way.append(self.node.head.key)

    @rule(number=NUMBERS, action=st.sampled_from(sorted(BULK_STATES)))
    def change(self, number: int, action: str) -> None:
        rows = list(Message.objects.filter(state__in=BULK_STATES[action]).order_by("pk"))
        if rows:
            row = rows[number % len(rows)]
            messages_bulk(action, rows=[row], client=self.pool.client, head=self.pool.head, now=self.pool.now)

    @rule(number=NUMBERS)
    def replace_without_publishing(self, number: int) -> None:
        rows = list(Message.objects.filter(state=MessageState.FILLED).order_by("pk"))
        if not rows:
            return
        row = rows[number % len(rows)]
        client, head = self.pool.client, self.pool.head
        try:
            message_replace(message=row, fees=NewFees(), client=client, head=head, now=self.pool.now)
        except DomainError:
            pass

    def teardown(self) -> None:
        try:
            self._settles()
        finally:
            self.pool.link.close()
            for service in self.services:
                service.stop()
            self.node.close()
            self.patch.undo()
            rows_clear()

    def _on_chain(self) -> tuple[dict[str, list[int]], Counter[int]]:
        """Read nonces by sender, and how often each of our messages is there, off the chain itself."""
        nonces: dict[str, list[int]] = {address: [] for address in self.pool.addresses}
        values: Counter[int] = Counter()
        head = self.pool.client.chain_head()
        while head.height:
            for _, message in self.pool.client.chain_get_parent_messages(head.cids[0]):
                if str(message.from_) in nonces:
                    nonces[str(message.from_)].append(message.nonce)
                    values[message.value] += 1
            head = self.pool.client.chain_get_tipset(head.parent_key)
        return nonces, values

    def _settles(self) -> None:
        """Let the trouble end; whatever was accepted must come to rest."""
        self.pool.keyring.is_away = False
        faults = self.node.faults.settings
        faults.drop_next, faults.spike_left, faults.hide_messages = 0, 0, False
        Message.objects.filter(state=MessageState.UNFILLED).update(retry_height=0)
        for _ in range(PATIENCE_HEADS):
            self.pool.step()
            if not Message.objects.exclude(state__in=FINAL).exists():
                break
        self.pool.step(2)
        nonces, values = self._on_chain()
        for address in self.pool.addresses:
            assert sorted(nonces[address]) == list(range(len(nonces[address])))
        for row in Message.objects.exclude(kind__in=["gap", "cancel"]):
            assert row.state in FINAL, f"{row.pk} {row.state} {row.wait} {row.error}"
            landed = values[int(row.value)]
            assert landed == (row.state == MessageState.LANDED), f"{row.pk} {row.state}: {landed} times"
        assert Sender.objects.filter(gap_nonce__isnull=False).count() == 0


def rows_clear() -> None:
    """Empty the tables of a life; a rollback of all of it would keep each version of each row until then."""
    tables = [
        connection.ops.quote_name(model._meta.db_table)
        for label in ("chain", "messages", "users", "wallets")
        for model in apps.get_app_config(label).get_models()
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")


def live(number: int) -> int:
    """Live the lives of one seed; gives how many steps these were."""
    machine: type[DevnetMessager] = seed(number)(type(f"Seed{number}", (DevnetMessager,), {}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS_EACH,
            deadline=None,
            database=None,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return machine.lived


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "number", [SEEDS[0], *(pytest.param(number, marks=pytest.mark.slow) for number in SEEDS[1:])]
)
def test_the_messager_keeps_its_promises_on_the_devnet(number: int) -> None:
    assert live(number) > EXAMPLES * STEPS_EACH // 2


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_messager_keeps_its_promises_a_million_times() -> None:
    began = time.monotonic()
    done = json.loads(PROGRESS.read_text()) if PROGRESS.exists() else {"seed": max(SEEDS) + 1, "steps": 0}
    number = int(os.environ.get("POOLSITE_SOAK_SEED", done["seed"]))
    steps = int(done["steps"])
    while steps < SOAK_STEPS and time.monotonic() - began < SOAK_S:
        number, steps = number + 1, steps + live(number)
        PROGRESS.parent.mkdir(parents=True, exist_ok=True)
        PROGRESS.write_text(json.dumps({"seed": number, "steps": steps}))
    if steps >= SOAK_STEPS:
        PROGRESS.unlink()
