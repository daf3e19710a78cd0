"""Two people who change one miner's addresses, or withdraw from it, at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core.errors import Conflict
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.miners.services.address_change_messages import AddressRequest
from apps.miners.services.address_changes import change_push
from apps.miners.services.withdrawals import WithdrawalRequest, withdrawal_push
from apps.miners.states import AddressChange
from apps.users.models import AuditEntry
from poolsite.filecoin.amounts import FIL
from tests import people
from tests.integration.dashboard.miner_addresses import NEW, SECP, info
from tests.integration.dashboard.withdrawals import available, requested, signer_says

__all__ = ["available", "info"]

pytestmark = pytest.mark.django_db(transaction=True)


def change(kind: AddressChange, address: str, key: str) -> Callable[[], Any]:
    request = AddressRequest(change=kind, addresses=(address,), key=key)
    head, by = head_current(), people.principal()
    assert head is not None
    return lambda: change_push(
        Miner.objects.get(), request=request, principal=by, client=chain_client(), head=head
    )


def withdraw(amount: int | None, key: str) -> Callable[[], Any]:
    request = WithdrawalRequest(amount=amount, key=key)
    head, by = head_current(), people.principal()
    assert head is not None
    return lambda: withdrawal_push(
        Miner.objects.get(), request=request, principal=by, client=chain_client(), head=head
    )


def test_worker_and_control_changed_at_once_bring_nothing_back(
    beside: Callable[..., list[Any]],
) -> None:
    refused, sent, _ = beside(
        change(AddressChange.WORKER, NEW, "one"),
        "apps.miners.services.address_changes.change_plan",
        change(AddressChange.CONTROL, SECP, "two"),
        watched_s=20,
    )

    assert isinstance(refused, Conflict)
    assert Message.objects.get() == sent.message


def test_withdrawals_at_once_ask_for_no_more_than_there_is(
    beside: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    signer_says(monkeypatch)
    refused, sent, _ = beside(
        withdraw(7 * FIL, "one"),
        "apps.miners.services.withdrawals.withdrawal_plan",
        withdraw(8 * FIL, "two"),
        watched_s=20,
    )

    assert isinstance(refused, Conflict)
    assert requested(sent.message) == 8 * FIL
    assert [requested(row) for row in Message.objects.all()] == [8 * FIL]


def test_one_withdrawal_asked_for_twice_at_once_is_one_message_and_line(
    beside: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    signer_says(monkeypatch)
    one, two, _ = beside(
        withdraw(None, "one"),
        "apps.miners.services.withdrawals.withdrawal_plan",
        withdraw(None, "one"),
        watched_s=20,
    )

    assert one.message == two.message == Message.objects.get()
    assert AuditEntry.objects.filter(action="miner.withdraw").count() == 1


@pytest.mark.parametrize("act", ["withdraw", "change"])
def test_kill_before_the_audit_line_leaves_no_message(monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    def killed(**_: Any) -> None:
        raise KeyboardInterrupt

    module = "withdrawals" if act == "withdraw" else "address_changes"
    send = withdraw(None, "one") if act == "withdraw" else change(AddressChange.CONTROL, SECP, "one")
    with monkeypatch.context() as patch:
        patch.setattr(f"apps.miners.services.{module}.audit_record", killed)
        with pytest.raises(KeyboardInterrupt):
            send()

    assert not Message.objects.exists()
    send()
    assert (Message.objects.count(), AuditEntry.objects.count()) == (1, 1)
