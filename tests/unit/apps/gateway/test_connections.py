"""Rows of connections: opened, confirmed and closed, with the keys and accounts that they bring."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from apps.core import clock
from apps.gateway.hub.activity import Activity
from apps.gateway.hub.routes import wallet_route
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.gateway.selectors.connections import is_expected, keys_served
from apps.gateway.selectors.signer_grants import grants_unchosen
from apps.gateway.services import connections
from apps.gateway.states import Purpose
from apps.users.models import AccountApproval, SignerGrant
from apps.users.services.grants import account_approve, signer_grant, signer_grant_revoke
from tests import factories
from tests.people import principal, tenant

pytestmark = pytest.mark.django_db

ADDRESS, OTHER = factories.secp(3), factories.bls(4)


def opened(*accounts: str, caller: str = "alice") -> str:
    """The id of a wallet's channel that was just opened."""
    key = str(uuid.uuid4())
    connections.signer_connection_open(
        uuid=key, principal=principal(caller), accounts=accounts, process="web-1", source="10.0.0.7"
    )
    return key


def test_account_of_another_tenant_is_asked_for_and_served_once_approved() -> None:
    bob, caller = tenant("bob"), principal("alice")

    assert connections.accounts_claim(principal=caller, names=["alice", "bob", "nobody"]) == ["alice"]
    assert AccountApproval.objects.get().account == bob

    account_approve(signer_tenant=tenant("alice"), account=bob)
    assert connections.accounts_claim(principal=caller, names=["bob", "alice"]) == ["bob", "alice"]


def test_proved_keys_are_granted_to_the_accounts_but_ids_are_not() -> None:
    key = opened("alice")
    connections.keys_add(connection_id=key, accounts=["alice"], addresses=[ADDRESS, OTHER, "f01000", ADDRESS])

    assert set(SignerKey.objects.values_list("address", flat=True)) == {ADDRESS, OTHER, "f01000"}
    granted = SignerGrant.objects.filter(deleted_at=None).values_list("tenant__name", "address")
    assert set(granted) == {("alice", ADDRESS), ("alice", OTHER)}


def test_grant_that_was_revoked_is_not_renewed_by_a_restart() -> None:
    connections.keys_add(connection_id=opened("alice"), accounts=["alice"], addresses=[ADDRESS])
    signer_grant_revoke(tenant=tenant("alice"), address=ADDRESS)

    again = opened("alice")
    connections.keys_add(connection_id=again, accounts=["alice"], addresses=[ADDRESS])

    assert not SignerGrant.objects.filter(deleted_at=None).exists()
    assert str(SignerKey.objects.get().connection_id) == again


def test_another_tenant_that_was_granted_some_keys_gets_no_others() -> None:
    bob, key = tenant("bob"), opened("alice", "bob")
    signer_grant(tenant=bob, address=OTHER, is_by_hand=True)

    connections.keys_add(connection_id=key, accounts=["alice", "bob"], addresses=[ADDRESS, OTHER])

    granted = SignerGrant.objects.filter(deleted_at=None).values_list("tenant__name", "address")
    assert set(granted) == {("alice", ADDRESS), ("alice", OTHER), ("bob", OTHER)}


def test_another_tenant_that_was_granted_some_keys_gets_no_later_ones() -> None:
    bob, key = tenant("bob"), opened("alice", "bob")
    signer_grant(tenant=bob, address=OTHER, is_by_hand=True)
    connections.keys_add(connection_id=key, accounts=["alice", "bob"], addresses=[OTHER])

    connections.keys_add(connection_id=key, accounts=["alice", "bob"], addresses=[ADDRESS])

    granted = SignerGrant.objects.filter(deleted_at=None).values_list("tenant__name", "address")
    assert set(granted) == {("alice", ADDRESS), ("alice", OTHER), ("bob", OTHER)}


def test_a_key_that_was_taken_again_brings_no_others() -> None:
    bob, key = tenant("bob"), opened("alice", "bob")
    signer_grant(tenant=bob, address=OTHER, is_by_hand=True)
    signer_grant_revoke(tenant=bob, address=OTHER)

    connections.keys_add(connection_id=key, accounts=["alice", "bob"], addresses=[ADDRESS, OTHER])

    assert not SignerGrant.objects.filter(deleted_at=None, tenant=bob).exists()


def test_another_tenant_without_a_granted_key_gets_none() -> None:
    bob, key = tenant("bob"), opened("alice", "bob")

    connections.keys_add(connection_id=key, accounts=["alice", "bob"], addresses=[ADDRESS, OTHER])
    connections.keys_add(connection_id=key, accounts=["bob"], addresses=[ADDRESS, OTHER])  # asked for later

    assert not SignerGrant.objects.filter(tenant=bob).exists()


def test_what_an_earlier_version_granted_stays_until_a_person_decides() -> None:
    bob, key = tenant("bob"), opened("alice", "bob")
    for address in (ADDRESS, OTHER):
        signer_grant(tenant=bob, address=address)

    connections.keys_add(connection_id=key, accounts=["alice", "bob"], addresses=[ADDRESS, OTHER])

    assert SignerGrant.objects.filter(deleted_at=None, tenant=bob).count() == 2
    assert {grant.address for grant in grants_unchosen()} == {ADDRESS, OTHER}
    signer_grant(tenant=bob, address=ADDRESS, is_by_hand=True)
    signer_grant_revoke(tenant=bob, address=OTHER)
    assert list(grants_unchosen()) == []


def test_keys_of_a_tenants_own_signer_are_no_question() -> None:
    for of in ("alice", "bob"):
        key = opened(of, caller=of)
        connections.keys_add(connection_id=key, accounts=[of], addresses=[ADDRESS])
    signer_grant(tenant=tenant("bob"), address=ADDRESS)

    assert list(grants_unchosen()) == []


def test_a_key_that_another_tenant_uses_is_granted_to_no_newcomer() -> None:
    bob = tenant("bob")
    signer_grant(tenant=bob, address=ADDRESS)
    key = opened("alice")

    connections.keys_add(connection_id=key, accounts=["alice"], addresses=[ADDRESS, OTHER])

    granted = SignerGrant.objects.filter(tenant=tenant("alice")).values_list("address", flat=True)
    assert list(granted) == [OTHER]
    signer_grant(tenant=tenant("alice"), address=ADDRESS, is_by_hand=True)  # the operator decides
    connections.keys_add(connection_id=key, accounts=["alice", "carol"], addresses=[ADDRESS])
    assert SignerGrant.objects.filter(deleted_at=None, address=ADDRESS).count() == 2


def test_keys_given_up_are_marked_and_come_back() -> None:
    key = opened("alice")
    connections.keys_add(connection_id=key, accounts=[], addresses=[ADDRESS])

    connections.keys_remove(connection_id=key, addresses=[ADDRESS])
    assert SignerKey.objects.get().removed_at is not None

    connections.keys_add(connection_id=key, accounts=[], addresses=[ADDRESS])
    assert SignerKey.objects.get().removed_at is None


def test_accounts_of_a_connection_are_replaced() -> None:
    key = opened("alice")

    connections.accounts_set(connection_id=key, accounts={"bob", "alice"})

    assert SignerConnection.objects.get().accounts == ["alice", "bob"]


def test_confirming_adds_up_what_a_connection_did() -> None:
    key, now = opened("alice"), clock.now() + timedelta(seconds=5)
    prover = connections.prover_connection_open(
        uuid=str(uuid.uuid4()),
        principal=principal("alice"),
        actor_id=1000,
        purpose=Purpose.PROOF,
        process="web-2",
        source="",
    )
    did = Activity(requests=3, failures=1, in_flight=2, p50_ms=4.0, p99_ms=9.0, last_failure="slow")

    for _ in range(2):
        connections.connections_confirm(process="web-1", done={key: did}, held={}, now=now)

    row = SignerConnection.objects.get()
    assert (row.requests, row.failures, row.last_failure) == (6, 2, "slow")
    assert (row.seen_at, row.failed_at) == (now, now)
    assert ProverConnection.objects.get(pk=prover.pk).seen_at < now, "another process confirms its own"


def two_signers() -> tuple[str, str]:
    """Two signers with one key, the later of which proved it last."""
    keys = opened("alice"), opened("alice")
    for key in keys:
        connections.keys_add(connection_id=key, accounts=["alice"], addresses=[ADDRESS, OTHER])
    return keys


def confirm(key: str, *addresses: str) -> None:
    connections.connections_confirm(process="web-1", done={}, held={key: set(addresses)}, now=clock.now())


@pytest.mark.parametrize("end", ["closed", "away", "given up"])
def test_a_key_stays_served_while_another_signer_holds_it(end: str) -> None:
    first, later = two_signers()
    if end == "closed":
        connections.connection_close(uuid=later, tenant_id=tenant("alice").pk, activity=None)
    elif end == "away":
        old = clock.now() - timedelta(seconds=31)
        SignerConnection.objects.filter(pk=later).update(seen_at=old, process="web-2")
    else:
        connections.keys_remove(connection_id=later, addresses=[ADDRESS, OTHER])
    assert keys_served("alice", [ADDRESS]) == set()

    confirm(first, ADDRESS)

    assert keys_served("alice", [ADDRESS, OTHER]) == {ADDRESS}
    assert is_expected(wallet_route(ADDRESS), now=clock.now() + timedelta(minutes=59))


def test_a_key_stays_with_the_later_of_two_signers_while_that_is_connected() -> None:
    first, later = two_signers()

    confirm(first, ADDRESS)

    assert {str(pk) for pk in SignerKey.objects.values_list("connection", flat=True)} == {later}


def test_a_key_that_a_signer_gave_up_is_not_given_back_to_it() -> None:
    key = opened("alice")
    connections.keys_add(connection_id=key, accounts=["alice"], addresses=[ADDRESS])
    connections.keys_remove(connection_id=key, addresses=[ADDRESS])

    confirm(key, ADDRESS)  # read just before it was given up

    assert SignerKey.objects.get().removed_at is not None


def test_a_key_of_another_tenants_signer_is_not_taken() -> None:
    other = factories.signer_connection()
    SignerKey.objects.create(
        address=ADDRESS,
        tenant=tenant("bob"),
        connection=other,
        verified_at=clock.now(),
        removed_at=clock.now(),
    )

    confirm(opened("alice"), ADDRESS)

    assert SignerKey.objects.get().connection == other


@pytest.mark.parametrize("kind", ["signer", "prover"])
def test_closed_connection_has_nothing_in_flight(kind: str) -> None:
    row = factories.signer_connection() if kind == "signer" else factories.prover_connection(1000)
    type(row).objects.filter(pk=row.pk).update(in_flight=2)

    connections.connection_close(uuid=str(row.pk), tenant_id=row.tenant_id, activity=None)

    row.refresh_from_db()
    assert row.closed_at is not None
    assert row.in_flight == 0
