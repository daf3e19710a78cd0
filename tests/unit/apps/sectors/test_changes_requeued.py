"""A termination or extension whose message was never signed goes with the next; no other is sent twice."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest

from apps.messages.models import Message
from apps.messages.states import MessageState, Wait
from apps.sectors.models import Batch, JobEvent, Sector, SectorChange
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.changes import following, messages, push, sending, steps
from apps.sectors.services.changes.advance import changes_advance
from apps.sectors.services.changes.steps import change_cancel
from apps.sectors.states import BatchState
from apps.users.rules.principals import Principal
from poolsite.filecoin.policy import network_by_name
from tests import factories, people
from tests.killed_writes import Killed, kill
from tests.people import principal
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db
NETWORK = network_by_name("localnet-poolsite-test")
EXPIRED: Final[dict[str, Any]] = {
    "wait": Wait.EXPIRED,
    "error": "epoch 1010 has passed",
    "expire_epoch": 1010,
}


class Changes:
    """Two proving sectors of a miner whose changes the chain takes at every head."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.miner = factories.miner(1000)
        self.height, self.is_open = 1000, False
        self.policy = SealingPolicy()
        self.sectors: list[Sector] = [factories.sector(self.miner, state="PROVING") for _ in range(2)]
        of_extensions = push.change_last_epoch_compute

        def last_epoch(batch: Batch, *, work: Any) -> int | None:
            return of_extensions(batch, work=work) if batch.kind == "extend" else self.last_epoch(batch)

        for name, act in {
            "queued_changes_price": lambda _miner, *, changes, **_: [(one, self.price()) for one in changes],
            "messages_try": lambda *_args, **_named: [SimpleNamespace(exit_code=0, error="")],
            "trial_message": lambda **_: None,
            "change_params_encode": lambda *_args, **_named: b"",
            "sender_choose": lambda *_args, **_named: SimpleNamespace(address=factories.bls(1)),
            "restore_check": lambda **_: None,
        }.items():
            monkeypatch.setattr(sending, name, act)
        monkeypatch.setattr(messages, "change_params_encode", lambda *_args, **_named: b"")
        monkeypatch.setattr(push, "message_push", self.push)
        for module in (push, following):
            monkeypatch.setattr(module, "change_last_epoch_compute", last_epoch)

    def price(self) -> Any:
        """Return what a change does; while its deadline is open it is not sent."""
        return SimpleNamespace(refusal="", live=None, sends_at=self.height + 5 if self.is_open else 0)

    def last_epoch(self, batch: Batch) -> int:
        """Return the last epoch of a batch: ten after it was closed."""
        return batch.closed_height + 10

    def push(self, *, principal: Principal, id: str, kind: str, expire_epoch: int | None, **_: Any) -> None:
        """Accept a message."""
        self.people = principal.people
        factories.message(id, kind=kind, to=self.miner.address, expire_epoch=expire_epoch or 0)

    def ask(self, kind: str) -> None:
        """Queue a change of each sector."""
        for sector in self.sectors:
            SectorChange.objects.create(
                sector=sector, kind=kind, state=f"{kind}_QUEUED", queued_height=900, actor="ann"
            )

    def step(self, epochs: int = 1) -> None:
        """Go on to a later head."""
        self.height += epochs
        head = factories.head(self.height)
        client: Any = None
        at = NOON + timedelta(seconds=30 * self.height)
        changes_advance(SealingContext(client, NETWORK, head, at, self.policy))

    @property
    def states(self) -> list[str]:
        """Return where the changes are."""
        return list(SectorChange.objects.order_by("pk").values_list("state", flat=True))


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Changes:
    """Two sectors that are proving."""
    return Changes(monkeypatch)


@pytest.mark.parametrize("kind", ["TERMINATE", "EXTEND"])
def test_what_expired_without_a_nonce_goes_with_the_next_message(changes: Changes, kind: str) -> None:
    changes.ask(kind)
    changes.step()
    assert changes.states == [f"{kind}_SENT"] * 2
    first = Message.objects.get()
    assert (first.nonce, first.exit_code) == (None, -1)
    Batch.objects.update(error="the signer is away")
    Message.objects.update(state=MessageState.FAILED, **EXPIRED)
    changes.is_open = True
    changes.step(20)

    words = "epoch 1010 has passed; before that: the signer is away"
    assert changes.states == [f"{kind}_QUEUED"] * 2
    assert set(SectorChange.objects.values_list("error", flat=True)) == {words}
    assert Batch.objects.get().state == BatchState.FAILED
    lines = JobEvent.objects.filter(event=f"{kind}_REQUEUE")
    assert {(one.note, one.is_error) for one in lines} == {(words, False)}
    assert lines.count() == 2
    assert Message.objects.count() == 1, "its deadline is open: nothing is sent yet"

    changes.is_open = False
    changes.step(10)
    assert changes.states == [f"{kind}_SENT"] * 2
    assert Message.objects.count() == Batch.objects.count() == 2
    assert set(SectorChange.objects.values_list("batch", "error")) == {(Batch.objects.latest("pk").pk, "")}


@pytest.mark.parametrize(("kind", "sent"), [("TERMINATE", False), ("EXTEND", True)])
def test_an_extension_is_sent_before_its_sector_ends(changes: Changes, kind: str, sent: bool) -> None:
    changes.policy = SealingPolicy(extend_base_fee_max=1, terminate_base_fee_max=1, extend_wait_epochs=9_000)
    changes.ask(kind)
    ends = changes.height + NETWORK.proving.period + 60 + 2
    SectorChange.objects.filter(sector=changes.sectors[1]).update(old_expiration=ends)

    changes.step()
    assert changes.states == [f"{kind}_QUEUED"] * 2, "the base fee is too high"
    changes.step()

    assert changes.states == [f"{kind}_{'SENT' if sent else 'QUEUED'}"] * 2


@pytest.mark.parametrize(
    ("ends", "last"), [((9_000, 8_000), 8_000), ((990, 8_000), 8_000), ((None, None), 0)]
)
def test_an_extension_has_to_land_before_its_first_sector_ends(
    changes: Changes, ends: tuple[int | None, int | None], last: int
) -> None:
    changes.ask("EXTEND")
    for sector, end in zip(changes.sectors, ends, strict=True):
        SectorChange.objects.filter(sector=sector).update(old_expiration=end)

    changes.step()

    assert Message.objects.get().expire_epoch == last, "its gas is raised as this epoch comes near"


def test_one_that_waits_for_the_next_message_can_be_cancelled(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes.ask("TERMINATE")
    changes.step()
    Message.objects.update(state=MessageState.FAILED, **EXPIRED)
    changes.is_open = True
    changes.step(20)

    change = SectorChange.objects.earliest("pk")
    with monkeypatch.context() as patch:
        patch.setattr(steps, "audit_record", kill)
        with pytest.raises(Killed):
            change_cancel(change, by=principal(), now=NOON)
    assert changes.states == ["TERMINATE_QUEUED"] * 2, "none is cancelled without a line in the audit log"

    change_cancel(SectorChange.objects.earliest("pk"), by=principal(), now=NOON)
    assert changes.states == ["TERMINATE_CANCELLED", "TERMINATE_QUEUED"]


@pytest.mark.parametrize(
    "given_up",
    [
        pytest.param(EXPIRED | {"nonce": 7}, id="it was signed"),
        pytest.param({"error": "marked bad", "expire_epoch": 1010}, id="somebody marked it bad"),
        pytest.param({"error": "failed after 8 attempts"}, id="the node refused it"),
    ],
)
def test_what_may_land_or_was_given_up_is_not_sent_anew(changes: Changes, given_up: dict[str, Any]) -> None:
    changes.ask("TERMINATE")
    changes.step()
    Message.objects.update(state=MessageState.FAILED, **given_up)
    changes.step(20)
    changes.step(20)

    assert changes.states == ["TERMINATE_FAILED"] * 2
    assert Message.objects.count() == 1


@pytest.mark.parametrize("on_its_way", [{"state": "UNFILLED"}, {"state": "FILLED", "nonce": 7}])
def test_nothing_is_sent_while_the_first_is_on_its_way_again(
    changes: Changes, on_its_way: dict[str, Any]
) -> None:
    changes.ask("TERMINATE")
    changes.step()
    Message.objects.update(state=MessageState.FAILED, **EXPIRED)
    changes.is_open = True
    changes.step(20)
    assert changes.states == ["TERMINATE_QUEUED"] * 2
    Message.objects.update(wait=Wait.NONE, **on_its_way)  # as a restore finds it in the node's pool
    changes.is_open = False
    for _ in range(3):
        changes.step()
    assert Message.objects.count() == 1

    Message.objects.update(state=MessageState.FAILED, wait=Wait.EXPIRED, nonce=None)
    changes.step()
    assert Message.objects.count() == 2


def test_a_first_message_that_lands_all_the_same_ends_the_change(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "live_sectors_read", lambda *_, **__: {})
    changes.ask("TERMINATE")
    changes.step()
    Message.objects.update(state=MessageState.FAILED, **EXPIRED)
    changes.is_open = True
    changes.step()
    landed = {"nonce": 7, "height": 1001, "exit_code": 0, "wait": Wait.NONE, "cid": factories.cid("first")}
    Message.objects.update(state=MessageState.LANDED, **landed)
    changes.step(5)

    assert changes.states == ["TERMINATE_LANDED"] * 2
    assert (Batch.objects.get().state, Message.objects.count()) == (BatchState.LANDED, 1)


def test_what_a_kill_kept_from_the_messager_is_sent_anew(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes.ask("TERMINATE")
    with monkeypatch.context() as killed:
        killed.setattr(sending, "change_batch_push", lambda *_args, **_named: None)
        changes.step()
    assert (Batch.objects.get().state, Message.objects.count()) == (BatchState.CLOSED, 0)
    changes.is_open = True
    changes.step(20)

    assert changes.states == ["TERMINATE_QUEUED"] * 2
    assert not Message.objects.exists()
    changes.is_open = False
    changes.step()
    assert changes.states == ["TERMINATE_SENT"] * 2
    assert Message.objects.count() == 1


def test_who_asked_for_changes_is_behind_their_message(changes: Changes) -> None:
    people.token("sign", by=people.principal(people=("bea",)))
    changes.ask("TERMINATE")
    SectorChange.objects.filter(sector=changes.sectors[1]).update(actor="token alice/alice-sign")

    changes.step()

    assert changes.people == ("ann", "bea")
