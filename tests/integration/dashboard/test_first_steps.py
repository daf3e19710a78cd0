"""A tenant's first steps: each is done when its fact is there, on its page and on its own *Today*."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.urls import reverse

from apps.dashboard.first_steps import LIVE_KINDS, first_steps
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.page_data import PageData
from apps.users.models import CompanyAccount, Tenant
from apps.users.rules.principals import SYSTEM
from apps.users.services.people import person_invite
from apps.users.states import Role
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from tests import factories, people
from tests.page_client import signed_in, text_of
from tests.people import principal

pytestmark = pytest.mark.django_db

ORDER = ["tenant", "people", "signer", "funds", "miner", "policy", "host", "prover", "sector"]


def steps_of(tenant: Tenant, viewer: Any = SYSTEM) -> dict[str, Any]:
    found = first_steps(PageData(viewer), tenant)
    assert found is not None
    return {step.key: step for step in found.steps}


def done(tenant: Tenant) -> list[str]:
    return [key for key, step in steps_of(tenant).items() if step.is_done]


def company_person(name: str) -> None:
    """A person of alice whom the company's identity provider signs in, who has no password here."""
    row = people.person(name)
    row.set_unusable_password()
    row.save()
    CompanyAccount.objects.create(user=row, issuer="https://id.example.com", subject=name)


def hrefs(step: Any) -> list[str]:
    return [link.href for link in step.links]


def test_each_step_is_done_once_its_fact_is_there():
    alice = people.tenant("alice")
    assert list(steps_of(alice)) == ORDER
    assert done(alice) == ["tenant"]

    person_invite(principal=SYSTEM, username="ann", role=Role.TENANT_ADMIN, tenant="alice")
    assert "ann invited" in steps_of(alice)["people"].text
    company_person("al")
    assert done(alice) == ["tenant", "people"]
    assert steps_of(alice)["people"].text == "al can sign in"

    wallet = factories.wallet(balance=0, seen_at=None)
    assert done(alice)[-1] == "signer"
    assert "no signer is connected now" in steps_of(alice)["signer"].text
    connection = factories.signer_connection(wallet.address)
    assert steps_of(alice)["signer"].text == "1 key seen; the signer is connected"
    assert steps_of(alice)["funds"].text == f"send FIL to worker {wallet.address}"
    owner = factories.wallet(balance=0, label="owner")
    assert hrefs(steps_of(alice)["funds"]) == [
        f"{reverse('message-compose')}?to={owner.address}&tenant=alice"
    ]
    owner.delete()
    type(wallet).objects.update(balance=None)
    assert steps_of(alice)["funds"].text == "balances are not read yet"
    type(wallet).objects.update(balance=5 * factories.FIL)
    assert done(alice)[-1] == "funds"

    miner = factories.miner(worker=wallet.address)
    assert done(alice)[-1] == "miner"
    type(connection).objects.update(policy_receivers=["f04", "f09999"])
    assert "policy" not in done(alice)
    assert miner.address in steps_of(alice)["policy"].text
    assert hrefs(steps_of(alice)["policy"]) == [reverse("policy", args=[wallet.address])]
    type(connection).objects.update(policy_receivers=["f04", miner.address])
    assert done(alice)[-1] == "policy"

    sealer = factories.worker("sealer-1", kinds=[JobKind.SEAL])
    assert done(alice)[-1] == "host"
    factories.store(sealer, "hdd")
    assert steps_of(alice)["prover"].text == "no live prover reads hdd yet"
    factories.store(factories.worker("prover-1", kinds=[JobKind.WINDOW_POST]), "hdd")
    assert done(alice)[-1] == "prover"

    sector = factories.sector(miner, state=SectorState.TICKET_ASSIGNED)
    assert hrefs(steps_of(alice)["sector"]) == [reverse("sector", args=[sector.uuid])]
    assert done(alice) == ORDER[:-1]
    type(sector).objects.update(state=SectorState.PROVING)
    assert first_steps(PageData(SYSTEM), alice) is None


def test_every_link_has_the_tenant_and_later_the_miner_filled_in():
    alice, bob = people.tenant("alice"), people.tenant("bob")
    people.operator_person()
    olga = signed_in("olga")

    for step in steps_of(alice).values():
        for href in hrefs(step):
            shown = text_of(olga.get(href))
            assert re.search(r'value="alice"\s+selected', shown), href
            assert not re.search(r'value="(bob|pool)"\s+selected', shown), href
    assert "part=signer" in hrefs(steps_of(alice)["signer"])[0]
    miner = factories.miner(of="bob")
    assert hrefs(steps_of(bob)["sector"]) == [
        f"{reverse('pledge')}?{urlencode({'tenant': 'bob', 'miner': miner.address})}"
    ]
    assert hrefs(steps_of(alice)["sector"]) == []
    factories.miner(of="alice")
    second = factories.miner(of="bob")
    [href] = hrefs(steps_of(bob)["sector"])
    offered = re.findall(r'<option value="(f0[0-9]+)"', text_of(olga.get(href)))
    assert sorted(offered) == sorted([miner.address, second.address])


def test_nothing_is_chosen_where_a_wrong_choice_gives_rights():
    people.tenant("alice")
    people.tenant("bob")
    people.operator_person()
    olga = signed_in("olga")

    for page in ("person-invite", "token-new", "host-join", "miner-new"):
        text = text_of(olga.get(reverse(page)))
        assert not re.search(
            r'<option\s+value="(alice|bob|pool|sealer|prover|TENANT_ADMIN|OPERATOR)"\s+selected', text
        )
    answer = olga.post(reverse("host-join"), {"tenant": "alice", "store": "/mnt/store"})
    assert answer.status_code == 422
    assert 'id="part-error"' in text_of(answer)


def test_a_new_miners_keys_are_those_of_its_tenant():
    people.operator_person()
    factories.head()
    mine, other = factories.wallet(factories.bls(1)), factories.wallet(factories.bls(2), of="bob")
    olga = signed_in("olga")

    none = text_of(olga.get(reverse("miner-new")))
    hers = text_of(olga.get(reverse("miner-new"), {"tenant": "alice"}))

    assert mine.address not in none
    assert other.address not in none
    assert mine.address in hers
    assert other.address not in hers


def test_the_tenants_page_shows_the_steps_and_what_it_has():
    people.operator_person()
    people.person("ann")
    people.person("bea", of="bob")
    people.token("read")
    factories.worker("alice-sealer")
    factories.worker("bob-sealer", of="bob")
    wallet = factories.wallet()
    factories.signer_connection(wallet.address)
    type(wallet).objects.update(label="hot")

    text = text_of(signed_in("olga").get(reverse("tenant", args=[people.tenant("alice").uuid])))

    for words in ("First steps", "ann", "alice-read", "alice-sealer", "hot"):
        assert words in text
    for words in ("bea", "bob-sealer"):
        assert words not in text


def test_people_whom_the_company_signs_in_are_not_invited():
    people.operator_person()
    company_person("al")

    text = text_of(signed_in("olga").get(reverse("tenant", args=[people.tenant("alice").uuid])))

    card = text.partition('id="f-tenant-people"')[2].partition("</section>")[0]
    assert "active" in card
    assert "invited" not in card


def test_the_policy_is_read_anew_with_the_page_though_its_step_is_done():
    people.operator_person()
    wallet = factories.wallet()
    miner = factories.miner(worker=wallet.address)
    connection = factories.signer_connection(wallet.address)
    page = reverse("tenant", args=[people.tenant("alice").uuid])
    read = reverse("miner-signing", args=[miner.address])
    olga = signed_in("olga")

    for named, shown in (([], 'hx-swap="none"'), (None, 'hx-swap="outerHTML"')):
        type(connection).objects.update(policy_receivers=named)
        before, _, after = text_of(olga.get(page)).partition(f'hx-get="{read}"')
        assert shown in after.partition(">")[0]
        assert ('id="f-miner-signing"' in before[-80:]) == (named is None)


def test_a_tenants_person_sees_only_their_own_steps():
    people.operator_person()
    people.person("ann", role=Role.AUDITOR)
    people.person("adam", role=Role.TENANT_ADMIN)
    bob = people.tenant("bob")
    ann, adam = signed_in("ann"), signed_in("adam")

    today = text_of(ann.get("/"))
    assert 'id="step-people"' in today
    assert "bob" not in today
    steps = today.partition('id="f-first-steps"')[2].partition("</section>")[0]
    assert "<a" not in steps, "an auditor is offered nothing that is refused"
    assert unescape(text_of(adam.get("/"))).count(reverse("person-invite")) == 1
    assert ann.get(reverse("tenant", args=[bob.uuid])).status_code == 404
    assert 'id="step-people"' not in text_of(signed_in("olga").get("/"))


@pytest.mark.parametrize("kind", LIVE_KINDS)
def test_steps_tick_without_a_reload(kind):
    alice = people.tenant("alice")
    own = principal("alice")

    for page, viewer in ((f"tenant:{alice.uuid}", SYSTEM), ("today", own)):
        assert 'id="step-signer"' in fragments_render({(kind, "1")}, viewer=viewer, page=page)


def test_pages_begun_from_a_tenants_page_lead_back_to_it() -> None:
    people.operator_person()
    factories.head()
    client = signed_in("olga")
    back = f'href="{reverse("tenant", args=[people.tenant("alice").uuid])}"'
    token = "/tokens/new/?tenant=alice&part=signer"

    for begun, sent in (
        ("/people/invite/?tenant=alice", {"username": "eve", "role": "TENANT"}),
        (token, {"name": "a", "part": "signer", "life": "0"}),
        ("/hosts/join/?tenant=alice", {"part": "sealer", "store": "/mnt/store", "sector_size": "2KiB"}),
    ):
        answer = client.post(begun, {"tenant": "alice", **sent})
        assert back in text_of(client.get(answer["Location"]))
    assert 'value="alice-signer"' in text_of(client.get(token))
    assert back in text_of(client.get("/miners/add/?tenant=alice"))
