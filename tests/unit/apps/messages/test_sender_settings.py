"""Settings of senders, rules of methods and extra nodes: who may change them, and what the log keeps."""

from __future__ import annotations

import uuid

import pytest

from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.messages.errors import BadMessage, SenderNotFound, SenderShared
from apps.messages.models import ActorRules, ExtraNode, Sender
from apps.messages.selectors.rules import actor_rules_all, extra_nodes
from apps.messages.services import fee_rules, method_rules, senders
from apps.messages.services.extra_nodes import extra_node_delete, extra_node_save
from apps.messages.states import SenderState
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import TOTAL_FILECOIN
from tests import factories
from tests.people import principal

pytestmark = pytest.mark.django_db

CODE = factories.cid("actor")


def last() -> tuple[str, str, object, object]:
    """The newest line of the audit log."""
    row = AuditEntry.objects.latest("pk")
    return row.action, row.target, row.before, row.after


def test_settings_change_and_the_log_names_what_did() -> None:
    address = factories.wallet().address
    factories.sender(address, max_fee=7)

    row = senders.sender_set(
        principal=SYSTEM,
        address=address,
        fees={"max_fee": 9, "other": 1},
        quota=5,
        state=SenderState.FORBIDDEN,
    )

    assert (row.max_fee, row.quota, row.state) == (9, 5, SenderState.FORBIDDEN)
    action, target, before, after = last()
    assert (action, target) == ("sender.set", address)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert (before["max_fee"], after["max_fee"]) == (
        "0.000000000000000007 FIL",
        "0.000000000000000009 FIL",
    )
    assert "gas_fee_cap" not in after


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"fees": {"max_fee": -1}}, "max_fee"),
        ({"fees": {"max_fee": TOTAL_FILECOIN + 1}}, "max_fee"),
        ({"fees": {"base_fee": TOTAL_FILECOIN + 1}}, "base_fee"),
        ({"fees": {"gas_over_premium": 1e308}}, "gas_over_premium"),
        ({"fees": {"gas_over_estimation": 1001.0}}, "gas_over_estimation"),
        ({"quota": -1}, "quota"),
        ({"quota": 1 << 31}, "quota"),
    ],
)
def test_bad_setting_is_named_and_changes_nothing(data: dict[str, object], field: str) -> None:
    address = factories.wallet().address
    factories.sender(address, max_fee=7)

    with pytest.raises(BadMessage) as refusal:
        senders.sender_set(principal=SYSTEM, address=address, **data)  # type: ignore[arg-type]  # made up

    assert refusal.value.field == field
    assert Sender.objects.get().max_fee == 7


def test_next_nonce_is_set_by_hand_and_voids_what_was_computed() -> None:
    address = factories.wallet().address
    row = factories.sender(address)
    before = row.version

    changed = senders.sender_set_nonce(principal=SYSTEM, address=address, nonce=41)

    assert (changed.next_nonce, changed.version) == (41, before + 1)
    assert last()[0] == "sender.nonce"


def test_unknown_sender_is_not_set_and_forgetting_it_is_no_error() -> None:
    address = factories.wallet().address

    with pytest.raises(SenderNotFound):
        senders.sender_set(principal=SYSTEM, address=address, quota=1)
    with pytest.raises(SenderNotFound):
        senders.sender_set_nonce(principal=SYSTEM, address=address, nonce=1)
    senders.sender_delete(principal=SYSTEM, address=address)
    factories.sender(address)
    senders.sender_delete(principal=SYSTEM, address=address)

    assert not Sender.objects.exists()
    assert last()[:2] == ("sender.delete", address)


def test_tenant_does_not_change_how_others_send() -> None:
    address = factories.wallet(of="bob").address
    factories.sender(address)

    for call in (senders.sender_set, senders.sender_delete):
        with pytest.raises(SenderShared):
            call(principal=principal("alice"), address=address)
    with pytest.raises(SenderShared):
        senders.sender_set_nonce(principal=principal("alice"), address=address, nonce=3)


def test_rules_of_a_method_are_made_changed_and_removed() -> None:
    first = method_rules.method_rule_set(principal=SYSTEM, code=CODE, method=5, fees={"max_fee": 7})
    again = method_rules.method_rule_set(principal=SYSTEM, code=CODE, method=5, fees={"max_fee": 8})
    assert (first.pk, actor_rules_all().get().max_fee) == (again.pk, 8)

    method_rules.method_rule_remove(principal=SYSTEM, key=first.pk)

    assert not ActorRules.objects.exists()
    assert last()[0] == "rules.remove"
    with pytest.raises(NotFound):
        method_rules.method_rule_remove(principal=SYSTEM, key=first.pk)
    with pytest.raises(BadValue):
        method_rules.method_rule_set(principal=SYSTEM, code=CODE, method=5, fees={"max_fee": None})
    with pytest.raises(SenderNotFound):
        method_rules.actor_rules_set(principal=SYSTEM, id=uuid.uuid4(), fees={"max_fee": 1})


def test_a_method_has_rules_under_one_id_alone() -> None:
    first = method_rules.method_rule_set(principal=SYSTEM, code=CODE, method=5, fees={"max_fee": 7})

    with pytest.raises(Conflict) as refused:
        method_rules.actor_rules_set(
            principal=SYSTEM, id=uuid.uuid4(), fees={"max_fee": 8}, code=CODE, method=5
        )

    assert refused.value.field == "method"
    assert (actor_rules_all().get().pk, actor_rules_all().get().max_fee) == (first.pk, 7)


def test_rules_of_methods_are_the_operators() -> None:
    with pytest.raises(NotAllowed):
        method_rules.method_rule_set(principal=principal("alice"), code=CODE, method=5, fees={"max_fee": 1})
    with pytest.raises(NotAllowed):
        method_rules.method_rule_remove(principal=principal("alice"), key=uuid.uuid4())


def test_pool_rules_change_with_a_line_in_the_log() -> None:
    row = fee_rules.shared_rules_set(principal=SYSTEM, fees={"max_fee": 12}, quota=3)

    assert (row.max_fee, row.quota) == (12, 3)
    assert last()[:2] == ("rules.set", "pool")


def test_method_is_read_by_number_or_name() -> None:
    assert method_rules.method_read("5", kind="miner") == 5
    assert method_rules.method_read("submitwindowedpost", kind="miner") == 5
    for text, kind in (("nothing", "miner"), ("Send", ""), ("9" * 30, "")):
        with pytest.raises(BadValue) as refusal:
            method_rules.method_read(text, kind=kind)
        assert refusal.value.field == "method"


def test_extra_node_is_saved_changed_and_deleted() -> None:
    extra_node_save(principal=SYSTEM, name="n", url="http://a", token="t")
    extra_node_save(principal=SYSTEM, name="n", url="http://b", token="t")
    assert [row.url for row in extra_nodes()] == ["http://b"]

    extra_node_delete(principal=SYSTEM, name="n")

    assert not ExtraNode.objects.exists()
    assert last()[:2] == ("node.extra.remove", "n")
    with pytest.raises(SenderNotFound):
        extra_node_delete(principal=SYSTEM, name="n")


@pytest.mark.parametrize(
    ("url", "token", "field"),
    [
        ("127.0.0.1:3453", "", "url"),
        ("http://127.0.0.1:99999", "", "url"),
        ("http://[::1", "", "url"),
        ("http://127.0.0.1:3453", "two\nlines", "token"),
    ],
)
def test_extra_node_that_cannot_be_read_is_refused(url: str, token: str, field: str) -> None:
    with pytest.raises(BadMessage) as refusal:
        extra_node_save(principal=SYSTEM, name="n", url=url, token=token)

    assert refusal.value.field == field
    assert not ExtraNode.objects.exists()
    assert not AuditEntry.objects.exists()
