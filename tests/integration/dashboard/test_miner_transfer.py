"""Transferring a miner on its page: what it changes is shown before, and what stands in the way is said."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse

from apps.dashboard.live import RESYNC, Audience, AudiencePages
from apps.dashboard.live_fragments import fragments_render
from apps.messages.states import MessageState
from apps.miners.models import Miner, MinerTransfer
from apps.miners.services.transfer import MOVED
from apps.sectors.models import Sector
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import signer_grant_revoke
from apps.users.services.tenants import tenant_update
from apps.users.services.tokens import TokenLimits
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.page_client import left_open, signed_in, text_of
from tests.people import PASSWORD, operator_person, person, principal, tenant, token
from tests.transfer_fixtures import ADDRESS, TransferCase, transfer_case

pytestmark = pytest.mark.django_db

PAGE = reverse("miner-transfer", args=[ADDRESS])


@pytest.fixture
def pool() -> TransferCase:
    factories.head(1000)
    operator_person()
    person("ann", of="alice")
    person("bill", of="bob")
    return transfer_case()


def form(**data: str) -> dict[str, str]:
    return {"tenant": "bob", "from_tenant": "alice", "key": "k1", **data}


def owner() -> str:
    return str(Miner.objects.get().tenant.name)


def test_the_button_is_the_operators_and_so_is_the_page(pool: TransferCase) -> None:
    miner_page = reverse("miner", args=[ADDRESS])

    assert PAGE in text_of(signed_in("olga").get(miner_page))
    assert PAGE not in text_of(signed_in("ann").get(miner_page))
    for name in ("ann", "bill"):
        assert [signed_in(name).get(PAGE).status_code, signed_in(name).post(PAGE, form()).status_code] == [
            404,
            404,
        ]
    assert signed_in("olga").get(reverse("miner-transfer", args=["f0999"])).status_code == 404


def test_the_form_offers_the_other_tenants_that_are_let_in(pool: TransferCase) -> None:
    tenant_update(tenant=tenant("carol"), enabled=False)

    text = text_of(signed_in("olga").get(PAGE))

    assert re.findall(r'<option value="(\w+)"', text) == ["bob", "pool"]


def test_what_changes_is_listed_and_nothing_is_done_by_the_first_click(pool: TransferCase) -> None:
    token("sign", of="alice", limits=TokenLimits(miners=[2001]))
    factories.message("m", to=ADDRESS, from_addr=pool.worker_key)

    answer = signed_in("olga").post(PAGE, form())

    text = text_of(answer)
    assert answer.status_code == 200
    assert "Transfer to bob" in text
    for words in (
        "from alice to bob; alice no longer sees it",
        "1 sector, 1 deadline with sectors, all settings",
        "1 message to it, which lands as alice&#x27;s",
        "alice-sign: limited to this miner",
        "alice keeps access to",
    ):
        assert words in text
    assert owner() == "alice"


def test_the_second_click_does_it_once_and_the_pages_say_so(pool: TransferCase) -> None:
    olga = signed_in("olga")

    for _ in range(2):
        answer = olga.post(PAGE, form(sure="yes"))
        assert answer.headers["Location"] == reverse("miner", args=[ADDRESS])

    assert (owner(), MinerTransfer.objects.count()) == ("bob", 1)
    assert "Tenant bob. Transferred from alice on" in text_of(olga.get(reverse("miner", args=[ADDRESS])))
    bills = text_of(signed_in("bill").get(reverse("miner", args=[ADDRESS])))
    assert "Tenant bob." in bills
    assert "alice" not in bills
    assert signed_in("ann").get(reverse("miner", args=[ADDRESS])).status_code == 404
    assert signed_in("ann").get(reverse("sector", args=[pool.sector.uuid])).status_code == 404
    assert ADDRESS not in text_of(signed_in("ann").get(reverse("miners")))


def test_the_receivers_sector_does_not_show_what_the_giver_pushed(pool: TransferCase) -> None:
    batch = factories.batch(pool.miner)
    Sector.objects.update(precommit_batch=batch)
    factories.message(batch.message_id, to=ADDRESS, from_addr=pool.worker_key, state=MessageState.LANDED)
    page, shown = reverse("sector", args=[pool.sector.uuid]), reverse("message", args=[batch.message_id])
    assert shown in text_of(signed_in("ann").get(page))

    pool.go()

    assert shown not in text_of(signed_in("bill").get(page))
    assert shown in text_of(signed_in("olga").get(page))
    assert signed_in("bill").get(shown).status_code == 404
    assert signed_in("ann").get(shown).status_code == 200


def test_who_has_proved_nothing_lately_is_asked_first_and_goes_on(pool: TransferCase) -> None:
    olga = left_open("olga")

    asked = olga.post(PAGE, form(sure="yes"))
    assert 'name="confirm-password"' in text_of(asked)
    assert owner() == "alice"

    olga.post(PAGE, form(sure="yes", **{"confirm-password": PASSWORD}))
    assert owner() == "bob"


def lacks_grant(pool: TransferCase) -> None:
    signer_grant_revoke(tenant=tenant("bob"), address=pool.worker_key)


def half_made(pool: TransferCase) -> None:
    factories.sector(pool.miner, state=SectorState.PC1_DONE, held_by=factories.worker("s1"))


def no_prover(pool: TransferCase) -> None:
    type(pool.prover).objects.filter(pk=pool.prover.pk).delete()


@pytest.mark.parametrize("sure", ["", "yes"], ids=["the first click", "the second"])
@pytest.mark.parametrize(
    ("spoil", "words", "helps"),
    [
        (lacks_grant, "bob may not sign with", "Tenant bob"),
        (half_made, "1 sector is half sealed", "Sectors"),
        (no_prover, "bob has no prover connected", "Hosts"),
    ],
)
def test_what_stands_in_the_way_is_said_with_the_page_that_helps(
    pool: TransferCase, spoil: Any, words: str, helps: str, sure: str
) -> None:
    spoil(pool)

    answer = signed_in("olga").post(PAGE, form(sure=sure))

    text = text_of(answer)
    assert answer.status_code == 422
    assert words in text
    assert re.search(rf'<a class="btn" data-size="s" href="[^"]+">{helps}</a>', text)
    assert owner() == "alice"


@pytest.mark.parametrize("name", ["", "nobody", "alice", "x" * 300])
def test_a_tenant_that_cannot_be_is_said_at_the_field(pool: TransferCase, name: str) -> None:
    answer = signed_in("olga").post(PAGE, form(tenant=name, sure="yes"))

    assert answer.status_code == 422
    assert 'id="tenant-error"' in text_of(answer)
    assert owner() == "alice"


def test_a_page_that_is_older_than_another_hand_over_does_nothing(pool: TransferCase) -> None:
    Miner.objects.update(tenant=tenant("carol"))

    answer = signed_in("olga").post(PAGE, form(sure="yes"))

    assert "it belongs to carol, not to alice" in text_of(answer)
    assert owner() == "carol"


def test_transfer_empties_pages_of_the_old_tenant_and_refreshes_others(pool: TransferCase) -> None:
    pool.go()
    changes = {(MOVED, str(pool.miner.pk))}
    pages = {"miner": f"miner:{ADDRESS}", "sector": f"sector:{pool.sector.uuid}"}

    for name, word in (("miner", "Miner of another tenant"), ("sector", "Sector of another tenant")):
        gone = fragments_render(changes, viewer=principal("alice"), page=pages[name])
        assert 'id="f-page" hx-swap-oob="true"' in gone
        assert word in gone
        assert "hx-get" not in gone, "it does not fetch itself again"
        assert fragments_render(changes, viewer=principal("bob"), page=pages[name]) == ""
    assert fragments_render(changes, viewer=principal("alice"), page="miners") == ""


@pytest.mark.parametrize("page", ["miners", "today", "sectors", f"miner:{ADDRESS}"])
async def test_every_page_of_both_fetches_itself_again(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.live.fragments_render", lambda *_args, **_data: "<p>")
    watchers = AudiencePages(Audience(viewer=SYSTEM, page=page))

    assert await watchers.update({(MOVED, "1"), ("head", "1")}) == f"<p>{RESYNC}"
    assert await watchers.update({("head", "1")}) == "<p>"
