"""Ids of messages are unique per tenant: each caller has its own, and an operator is told of two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.core.errors import DomainError
from apps.messages.errors import MessageIdAmbiguous, MessageIdTaken, MessageNotFound
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.messages import message_get, messages_named
from apps.messages.selectors.seen_messages import messages_seen
from apps.messages.services.push import message_push, messages_push_batch
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.services.grants import signer_grant
from tests import factories
from tests.people import principal, tenant

pytestmark = pytest.mark.django_db

ADDRESS = factories.bls(7)


def pushed(caller: Principal, id: str, *, value: int = 1, kind: str = "") -> Message:
    """A message of this caller from the address that all of them hold."""
    signer_grant(tenant=tenant(caller.tenant_name), address=ADDRESS)
    return message_push(principal=caller, id=id, to="f01000", from_=ADDRESS, value=value, method=0, kind=kind)


def operator() -> Principal:
    return replace(principal("pool"), is_operator=True)


def test_two_tenants_may_use_one_id_and_each_finds_its_own():
    alice, bob = principal("alice"), principal("bob")
    hers, his = pushed(alice, "pay-7", value=1), pushed(bob, "pay-7", value=2)

    assert hers.pk != his.pk
    assert pushed(alice, "pay-7", value=1).pk == hers.pk, "the same push again is the same message"
    with pytest.raises(MessageIdTaken):
        pushed(bob, "pay-7", value=1)
    assert (message_get(alice, "pay-7").pk, message_get(bob, "pay-7").pk) == (hers.pk, his.pk)
    assert messages_named(bob, ["pay-7", "nothing"]) == {"pay-7": his, "nothing": None}
    seen = messages_seen([(alice, "pay-7"), (bob, "pay-7")])
    assert [one[0].pk for one in seen if isinstance(one, tuple)] == [hers.pk, his.pk]


def test_nobody_reads_a_stranger_s_message_by_its_pool_wide_id():
    hers = pushed(principal("alice"), "pay-7")

    with pytest.raises(MessageNotFound):
        message_get(principal("bob"), hers.pk)
    assert message_get(principal("alice"), hers.pk).push_id == "pay-7"


def test_an_operator_names_one_of_two_by_its_uid_or_is_told_of_both():
    hers, his = pushed(principal("alice"), "pay-7"), pushed(principal("bob"), "pay-7")
    lone = pushed(principal("bob"), "pay-8")

    with pytest.raises(MessageIdAmbiguous) as caught:
        message_get(operator(), "pay-7")
    assert hers.pk in caught.value.reason
    assert f"{his.pk} (bob)" in caught.value.reason
    assert isinstance(messages_seen([(operator(), "pay-7")])[0], MessageIdAmbiguous)
    assert message_get(operator(), his.pk).pk == his.pk
    assert message_get(operator(), "pay-8").pk == lone.pk


def test_an_operator_s_own_message_goes_before_those_of_tenants():
    pushed(principal("alice"), "pay-7")
    own = pushed(operator(), "pay-7")

    assert message_get(operator(), "pay-7").pk == own.pk
    found = messages_seen([(operator(), "pay-7")])[0]
    assert not isinstance(found, DomainError)
    assert found[0].pk == own.pk


def test_a_message_of_the_pool_keeps_one_row_whatever_tenants_call_theirs():
    squatter = pushed(principal("bob"), "post:1:0", value=5)
    own = pushed(principal("alice"), "post:1:0", value=0, kind="window_post")

    assert (own.pk, own.push_id) == ("post:1:0", "post:1:0")
    assert squatter.pk != own.pk
    assert pushed(principal("alice"), "post:1:0", value=0, kind="window_post").pk == own.pk
    with pytest.raises(MessageIdTaken):
        pushed(principal("carol"), "post:1:0", value=0, kind="window_post")


def test_two_callers_of_one_insert_get_their_own_rows():
    alice, bob = principal("alice"), principal("bob")
    for name in ("alice", "bob"):
        signer_grant(tenant=tenant(name), address=ADDRESS)
    item = PushItem(id="pay-7", to="f01000", from_=ADDRESS, method=0)
    found = messages_push_batch([(alice, item), (bob, item), (alice, item)])

    rows = [one for one in found if isinstance(one, Message)]
    assert [row.tenant_id for row in rows] == [alice.tenant_id, bob.tenant_id, alice.tenant_id]
    assert rows[0] is rows[2]


def test_the_pool_itself_finds_what_has_no_tenant():
    row = Message.objects.create(
        id="gap:1", push_id="gap:1", to=ADDRESS, from_addr=ADDRESS, method=0, tenant=None
    )

    assert message_get(SYSTEM, "gap:1").pk == row.pk
