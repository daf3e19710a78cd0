"""The pages of tenants: the operator makes them, gives miners, signers, rates; each sees its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from apps.core.clock import now
from apps.dashboard.pagination import ROWS
from apps.gateway.models import SignerKey
from apps.users.models import AuditEntry, MinerGrant, RateLimit, SignerGrant, Tenant
from apps.users.selectors.rate_limits import RULES
from apps.users.services.grants import miner_grant, rate_limit_set, signer_grant
from apps.users.services.rate_limit_buckets import rate_limit_count
from tests import factories, people
from tests.page_client import left_open, signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def olga() -> Client:
    people.operator_person()
    return signed_in("olga")


def path_of(name: str, op: str = "") -> str:
    return f"/tenants/{Tenant.objects.get(name=name).uuid}/{op + '/' if op else ''}"


def post(client: Client, name: str, op: str, **form: str) -> Any:
    return client.post(path_of(name, op), form)


def last_row() -> tuple[str, str, Any, Any]:
    row = AuditEntry.objects.last()
    assert row is not None
    return row.action, row.target, row.before, row.after


def test_a_tenant_is_made_and_shown_with_nothing(olga):
    made = olga.post("/tenants/new/", {"name": "carol", "comment": "two miners soon"})
    page = text_of(olga.get(made["Location"]))

    assert made["Location"] == path_of("carol")
    assert "two miners soon" in page
    assert "No miners." in page
    assert last_row() == ("tenant.create", "carol", None, {"comment": "two miners soon", "enabled": True})
    assert "carol" in text_of(olga.get("/tenants/"))


def test_all_tenants_are_counted_and_shown_page_by_page(olga):
    names = [f"t{n:03}" for n in range(ROWS + 5)]
    Tenant.objects.bulk_create(Tenant(name=name, enabled=name != names[-1]) for name in names)
    every = sorted(Tenant.objects.filter(deleted_at=None).values_list("name", flat=True))

    first = text_of(olga.get("/tenants/"))
    found = re.search(r'rel="next" href="([^"]+)"', first)
    assert found is not None
    second = text_of(olga.get("/tenants/" + found[1]))

    for page in (first, second):
        assert f"{len(every)} tenants." in page
        assert "1 of them disabled." in page
    assert f">{every[ROWS]}</a>" not in first
    assert re.findall(r'c-name"><a href="[^"]+">([^<]+)<', first + second) == every


@pytest.mark.parametrize("name", ["", "two words", "-x", "a/b", "x" * 51, "alice"])
def test_a_name_that_cannot_be_is_refused_and_kept_in_the_form(olga, name):
    people.tenant("alice")

    answer = olga.post("/tenants/new/", {"name": name})

    assert answer.status_code == 422
    assert 'id="name-error"' in text_of(answer)
    assert f'value="{name}"' in text_of(answer)


def test_disabling_is_asked_first_shuts_its_people_out_and_is_taken_back(olga):
    people.person("ann")
    ann = signed_in("ann")

    assert "Its people and tokens are refused" in text_of(post(olga, "alice", "close"))
    assert Tenant.objects.get(name="alice").enabled
    post(olga, "alice", "close", sure="yes")
    assert ann.get("/sectors/")["Location"] == "/login/?next=/sectors/"
    assert last_row() == ("tenant.update", "alice", {"enabled": True}, {"enabled": False})
    post(olga, "alice", "open")

    assert signed_in("ann").get("/sectors/").status_code == 200


def test_the_pools_own_tenant_cannot_be_shut_out(olga):
    answer = post(olga, "pool", "close", sure="yes")

    assert answer.status_code == 422
    assert "the pool&#x27;s own account: it cannot be disabled" in text_of(answer)
    assert Tenant.objects.get(name="pool").enabled


def test_a_miner_is_given_moved_after_a_question_and_taken(olga):
    for name in ("alice", "bob"):
        people.tenant(name)

    post(olga, "alice", "miner", miner="t01000", open_mining="on")
    asked = text_of(post(olga, "bob", "miner", miner="f01000"))
    assert "It belongs to alice, which loses access to it." in asked
    assert '<input type="hidden" name="miner" value="f01000">' in asked
    assert MinerGrant.objects.get().tenant.name == "alice"
    post(olga, "bob", "miner", miner="f01000", sure="yes")
    row = MinerGrant.objects.get()
    assert (row.tenant.name, row.open_mining) == ("bob", False)
    assert "block production off" in text_of(olga.get(path_of("bob")))
    post(olga, "bob", "miner-take", miner="f01000", sure="yes")

    assert last_row() == ("miner.ungrant", "f01000", {"tenant": "bob"}, None)
    assert not MinerGrant.objects.filter(deleted_at=None).exists()


@pytest.mark.parametrize(("name", "op"), [("bob", "miner"), ("alice", "miner-take")])
def test_a_miner_that_the_pool_works_for_keeps_its_tenant(olga, name, op):
    miner_grant(tenant=factories.miner(1000, of="alice").tenant, actor_id=1000)
    people.tenant("bob")

    answer = post(olga, name, op, miner="f01000", sure="yes")

    assert answer.status_code == 422
    assert "the pool runs it for tenant alice" in text_of(answer)
    assert MinerGrant.objects.get(actor_id=1000, deleted_at=None).tenant.name == "alice"


def test_an_address_is_given_and_taken(olga):
    people.tenant("alice")
    address = factories.bls(1)

    post(olga, "alice", "signer", address=address)
    assert address in text_of(olga.get(path_of("alice")))
    assert "no longer signed with" in text_of(post(olga, "alice", "signer-take", address=address))
    assert SignerGrant.objects.filter(deleted_at=None).exists()
    post(olga, "alice", "signer-take", address=address, sure="yes")

    assert not SignerGrant.objects.filter(deleted_at=None).exists()
    assert last_row()[:2] == ("signer.ungrant", address)


def test_a_key_that_another_tenants_signer_brought_is_kept_or_revoked(olga):
    address = factories.bls(1)
    SignerKey.objects.create(address=address, tenant=people.tenant("alice"), verified_at=now())
    signer_grant(tenant=people.tenant("bob"), address=address)
    assert "nobody granted it" in text_of(olga.get(path_of("bob")))

    post(olga, "bob", "signer", address=address)

    assert "nobody granted it" not in text_of(olga.get(path_of("bob")))
    assert SignerGrant.objects.get(tenant__name="bob").is_by_hand


def test_a_rate_is_set_counts_is_shown_and_removed(olga, pool_redis):
    people.tenant("alice")

    post(olga, "alice", "rate", service="rest", api="", capacity="10", seconds="3600")
    RULES.clear()
    for _ in range(4):
        rate_limit_count(people.principal("alice"), service="rest", api="MinersView")
    page = text_of(olga.get(path_of("alice")))
    again = text_of(olga.get(path_of("alice")))

    assert ("10 in 1 h" in page, "6 left" in page) == (True, True)
    assert "6 left" in again, "looking costs nothing"
    row = RateLimit.objects.get()
    assert (row.service, row.capacity, row.reset_ns) == ("rest", 10, 3600 * 10**9)
    post(olga, "alice", "rate-take", key=str(row.pk))
    assert not RateLimit.objects.exists()
    RULES.clear()


@pytest.mark.parametrize(
    ("op", "form", "field"),
    [
        ("miner", {"miner": "f1x"}, "miner"),
        ("miner", {"miner": f"f0{2**64 - 1}"}, "miner"),
        ("miner", {}, "miner"),
        ("signer", {"address": "f01000"}, "address"),
        ("signer", {"address": "x" * 300}, "address"),
        ("rate", {"capacity": "ten", "seconds": "60"}, "capacity"),
        ("rate", {"capacity": "0", "seconds": "60"}, "capacity"),
        ("rate", {"capacity": "1e400", "seconds": "60"}, "capacity"),
        ("rate", {"capacity": "10", "seconds": "NaN"}, "seconds"),
        ("rate", {"capacity": "10", "seconds": "0.0000000001"}, "seconds"),
        ("rate", {"capacity": "10", "seconds": "60", "service": "x" * 51}, "service"),
        ("comment", {"comment": "x" * 256}, "comment"),
    ],
)
def test_what_cannot_be_taken_is_named_beside_its_field_and_kept(olga, op, form, field):
    people.tenant("alice")

    answer = post(olga, "alice", op, **form)

    page = text_of(answer)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in page
    assert all(f'value="{text}"' in page for text in form.values())


@pytest.mark.parametrize("op", ["rate-take", "miner-take", "signer-take"])
@pytest.mark.parametrize("what", ["nonsense", "f01000", "00000000-0000-4000-8000-000000000000"])
def test_what_the_tenant_does_not_have_cannot_be_taken(olga, op, what):
    people.tenant("alice")
    miner_grant(tenant=people.tenant("bob"), actor_id=1000)

    answer = post(olga, "alice", op, key=what, miner=what, address=what, sure="yes")

    assert answer.status_code == 422
    assert MinerGrant.objects.filter(deleted_at=None).exists()


@pytest.mark.parametrize("role", ["TENANT_ADMIN", "TENANT", "AUDITOR"])
def test_a_tenants_people_see_their_own_and_change_nothing(role):
    people.person("adam", role=role)
    miner_grant(tenant=people.tenant("alice"), actor_id=1000)
    signer_grant(tenant=people.tenant("bob"), address=factories.bls(1))
    rate_limit_set(tenant=people.tenant("alice"), capacity=5, reset_ns=10**9)
    client = signed_in("adam")

    page, listed = text_of(client.get(path_of("alice"))), text_of(client.get("/tenants/"))

    assert ("f01000" in page, "5 in 1 s" in page) == (True, True)
    assert f"{path_of('alice')}close/" not in page
    assert "bob" not in listed
    assert client.get(path_of("bob")).status_code == 404
    for name in ("alice", "bob"):
        for op in ("open", "close", "comment", "miner", "miner-take", "signer", "rate", "rate-take"):
            assert post(client, name, op, sure="yes", miner="f01000").status_code == 404
    assert client.post("/tenants/new/", {"name": "x"}).status_code == 404
    assert Tenant.objects.get(name="alice").enabled


def test_unknown_tenant_action_is_404_and_idle_session_reauthenticates(olga):
    people.tenant("alice")

    assert post(olga, "alice", "explode").status_code == 404
    answer = left_open("olga").post(path_of("alice", "miner"), {"miner": "f01000"})
    assert "Confirm your identity" in text_of(answer)
    assert not MinerGrant.objects.exists()


def test_the_operator_sets_how_many_bytes_of_data_a_tenant_may_store(olga, settings):
    settings.PIECE_QUOTA_BYTES = 0
    factories.piece(factories.miner(of="alice"))

    assert "100 B, no limit" in text_of(olga.get(path_of("alice")))
    assert post(olga, "alice", "quota", limit_bytes="1.5 KiB").status_code == 302
    page = text_of(olga.get(path_of("alice")))
    assert "100 B of 1.50 KiB" in page
    assert 'value="1.5 KiB"' in page
    assert last_row()[2:] == ({"piece_quota": "no limit (the pool's default)"}, {"piece_quota": "1.50 KiB"})
    post(olga, "alice", "quota", limit_bytes="0")
    assert 'name="limit_bytes" value="0"' in text_of(olga.get(path_of("alice")))
    post(olga, "alice", "quota", limit_bytes="")
    assert "(the pool's default)" in text_of(olga.get(path_of("alice")))
    wrong = post(olga, "alice", "quota", limit_bytes="many")

    assert wrong.status_code == 422
    assert "enter a size, such as 500 GiB" in text_of(wrong)


def test_a_tenant_sees_its_quota_and_does_not_set_it():
    people.person("ann")
    ann = signed_in("ann")

    assert "Client data" in text_of(ann.get(path_of("alice")))
    assert "limit_bytes" not in text_of(ann.get(path_of("alice")))
    assert post(ann, "alice", "quota", limit_bytes="5").status_code == 404
