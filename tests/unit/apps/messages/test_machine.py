"""A model: random pushes, heads, reorganisations, kills, lost pools, foreign messages, restored backups.

For each sender the chain holds 0…n; each accepted message is there at most once, and when the trouble is
over every message has landed or stands in a stated final state.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from apps.core.errors import DomainError
from apps.messages.models import Message, UnmatchedMessage
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.bulk import messages_bulk
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.fee_bump import proofs_bump
from apps.messages.services.recovery.restore import unmatched_decide
from apps.messages.services.replace import message_replace
from apps.messages.services.retry import messages_recover
from apps.messages.services.sign import DEAD_EPOCHS
from apps.messages.states import MessageState
from tests.messaging import Pool, pool_world
from tests.people import principal
from tests.unit.apps.messages.kills import POINTS, Kill
from tests.unit.apps.messages.recovery import Dump

LONG_STEPS = 10_000
"""Of the long run; the devnet's machine goes up to a million."""

SENDERS = st.integers(min_value=0, max_value=1)
FINAL = {MessageState.LANDED, MessageState.FAILED, MessageState.REPLACED}


class Messager(RuleBasedStateMachine):
    """One pool with two senders."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.atomic = transaction.atomic()
        self.atomic._from_testcase = True  # type: ignore[attr-defined]  # rolled back by the test, not the product's
        self.atomic.__enter__()
        self.world = pool_world(self.patch)
        self.pool: Pool = self.world.__enter__()
        self.addresses: list[str] = []
        self.pushed = 0
        self.foreign = 0
        self.salt = 0
        self.backup: Dump | None = None

    @initialize()
    def begin(self) -> None:
        self.addresses = [self.pool.address(), self.pool.address(kind="bls")]

    @rule(
        sender=SENDERS, count=st.integers(min_value=1, max_value=3), kind=st.sampled_from(["", "window_post"])
    )
    def push(self, sender: int, count: int, kind: str) -> None:
        for _ in range(count):
            name = f"m{self.pushed}"
            self.pushed += 1
            self.pool.push(name, self.addresses[sender], kind=kind, params=name.encode())

    @rule()
    def push_again(self) -> None:
        row = Message.objects.filter(push_id=f"m{self.pushed - 1}").first()
        if row is not None:
            self.pool.push(row.push_id, row.from_addr, params=bytes(row.params))

    @rule(nulls=st.integers(min_value=0, max_value=2))
    def head(self, nulls: int) -> None:
        self.pool.step(nulls=nulls)

    @rule()
    def choose_between_heads(self) -> None:
        self.pool.choose()

    @rule(depth=st.integers(min_value=1, max_value=4), heads=st.integers(min_value=1, max_value=3))
    def reorganise(self, depth: int, heads: int) -> None:
        self.pool.node.rewind(min(depth, len(self.pool.node.chain(self.pool.node.head.cid)) - 1))
        self.salt += 1
        for at in range(heads):
            self.pool.node.mine(
                salt=f"branch {self.salt} {at}", only=lambda signed: bool(signed.message.nonce % 2)
            )
        self.pool.settle()

    @rule()
    def lose_the_pool(self) -> None:
        self.pool.node.pool.clear()

    @rule(sender=SENDERS, above=st.integers(min_value=0, max_value=1))
    def somebody_else_sends(self, sender: int, above: int) -> None:
        address = self.addresses[sender]
        nonce = self.pool.node.nonce_after(self.pool.node.head.cid, address) + above
        self.foreign += 1
        self.pool.node.pool[(address, nonce)] = self.pool.foreign(address, nonce=nonce, value=self.foreign)

    @rule(fee=st.sampled_from([50, 100, 100_000_000]))
    def base_fee(self, fee: int) -> None:
        self.pool.node.base_fee = fee

    @rule()
    def signer_goes_or_comes(self) -> None:
        self.pool.keyring.is_away = not self.pool.keyring.is_away

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

    @rule()
    def dump(self) -> None:
        self.backup = Dump()

    @rule(is_noticed=st.booleans())
    def restore(self, is_noticed: bool) -> None:
        """Read the last backup in; clients push again what they get no answer about."""
        if self.backup is None:
            return
        lost = [row for row in Message.objects.filter(kind="") if row.pushed_by != "recovered"]
        self.backup.restore(is_noticed=is_noticed)
        if is_noticed:
            for row in lost:
                self.pool.push(row.push_id, row.from_addr, params=bytes(row.params))

    def _decide(self) -> None:
        """Say of what no row explains that somebody else sent it."""
        for row in UnmatchedMessage.objects.filter(decided_at=None):
            unmatched_decide(
                principal=principal(), row=row, message_id="", client=self.pool.client, now=self.pool.now
            )

    def _some(self, number: int, state: str) -> Message | None:
        rows = list(Message.objects.filter(state=state).order_by("pk"))
        return rows[number % len(rows)] if rows else None

    @rule(number=st.integers(min_value=0, max_value=50), state=st.sampled_from(["UNFILLED", "FILLED"]))
    def give_up(self, number: int, state: str) -> None:
        row = self._some(number, state)
        if row is not None:
            message_mark_bad(message=row, now=self.pool.now)

    @rule(sender=SENDERS)
    def take_back(self, sender: int) -> None:
        try:
            messages_recover(
                address=self.addresses[sender],
                client=self.pool.client,
                head=self.pool.head,
                now=self.pool.now,
            )
        except DomainError:
            pass

    @rule(number=st.integers(min_value=0, max_value=50))
    def replace(self, number: int) -> None:
        row = self._some(number, "FILLED")
        if row is None:
            return
        try:
            message_replace(
                message=row, fees=NewFees(), client=self.pool.client, head=self.pool.head, now=self.pool.now
            )
        except DomainError:
            pass

    @rule(number=st.integers(min_value=0, max_value=50))
    def cancel(self, number: int) -> None:
        row = self._some(number, "FILLED")
        if row is not None:
            messages_bulk(
                "cancel", rows=[row], client=self.pool.client, head=self.pool.head, now=self.pool.now
            )

    @rule()
    def proofs_pay_more(self) -> None:
        proofs_bump(client=self.pool.client, head=self.pool.head, now=self.pool.now)

    def _on_chain(self) -> Counter[bytes]:
        return Counter(
            signed.message.params
            for address in self.addresses
            for signed in self.pool.node.landed(address)
            if signed.message.params
        )

    @invariant()
    def nonces_are_whole_and_nothing_lands_twice(self) -> None:
        for address in self.addresses:
            nonces = self.pool.nonces_on_chain(address)
            assert nonces == list(range(len(nonces)))
        assert all(count == 1 for count in self._on_chain().values())

    def teardown(self) -> None:
        try:
            self._settles()
        finally:
            self.world.__exit__(None, None, None)
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
            self.patch.undo()

    def _settles(self) -> None:
        """Let the trouble end; whatever was accepted must come to rest."""
        self.pool.keyring.is_away = False
        self.pool.node.base_fee = 100
        Message.objects.filter(state=MessageState.UNFILLED).update(retry_height=0)
        for _ in range(14 + DEAD_EPOCHS):
            self.pool.step()
            self._decide()
            if not Message.objects.exclude(state__in=FINAL).exists():
                break
        for _ in range(3):
            self.pool.step()
        on_chain = self._on_chain()
        for row in Message.objects.exclude(kind__in=["gap", "cancel"]):
            assert row.state in FINAL, f"{row.pk} {row.state} {row.wait} {row.error}"
            assert on_chain[bytes(row.params)] == (row.state == MessageState.LANDED), f"{row.pk} {row.state}"
        self.nonces_are_whole_and_nothing_lands_twice()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("examples", "steps"),
    [(12, 25), pytest.param(LONG_STEPS // 40, 40, marks=pytest.mark.slow)],
    ids=["short", "long"],
)
def test_the_messager_keeps_its_promises(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Messager,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
