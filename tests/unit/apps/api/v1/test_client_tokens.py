"""Clients' tokens: created and revoked by the provider, and what a client sees with one."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.test import Client
from django.urls import reverse

from apps.core import clock
from apps.core.reasons import COLON, refused
from apps.dashboard.urls import urlpatterns as pages
from apps.market.errors import DealRefused
from apps.market.models import ClientToken, Deal
from apps.market.reasons import DEALS_WAIT, MINER_LACKS, PUBLISHED_LATE
from apps.market.selectors.client_tokens import reason_told
from apps.market.services.markets import market_set
from apps.miners.models import Miner
from apps.pieces.services.indexes import indexes_update
from apps.users.models import AuditEntry, Tenant
from apps.users.states import Role
from tests import factories, people
from tests.cars import blocks_of, golden, piece_of
from tests.mk20 import sized
from tests.page_client import NOBODY, signed_in, text_of

pytestmark = pytest.mark.django_db

CAROL, DAVE = factories.secp(5), factories.secp(6)
OPEN: Final = re.compile(r"login|docs|invitation")
"""Pages that open without signing in."""
CAR: Final = golden("subdir-with-mixed-block-files")


@pytest.fixture
def miner() -> Miner:
    factories.head(1000)
    return factories.miner(2001)


def deal(of: Miner, client: str = CAROL, **changes: Any) -> Deal:
    return factories.deal(of, sized(b"x" * 1000), client=client, **changes)


def created(of: str = "alice", level: str = "admin", client: str = CAROL, **body: Any) -> Any:
    text = people.operator_token() if of == "pool" else people.token(level, of=of)
    return Client().post(
        f"/api/v1/clients/{client}/tokens",
        {"name": "carol", **body},
        content_type="application/json",
        headers=people.bearer(text),
    )


def browser(token: str) -> Client:
    """Return a browser in which a client has entered its token."""
    client = Client()
    answer = client.post("/my-deals/sign-in/", {"token": token})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/my-deals/")
    return client


def ids_of(page: Any) -> set[str]:
    return set(re.findall(r'href="/my-deals/([0-9a-f-]{36})/"', text_of(page)))


def test_a_token_opens_its_clients_deals_and_nothing_else(miner: Miner) -> None:
    own = [deal(miner), deal(factories.miner(2002), state="ACTIVE")]
    others = [deal(miner, DAVE), deal(factories.miner(2003, of="bob"))]
    token = created().json()["token"]
    client = browser(token)

    assert ids_of(client.get("/my-deals/")) == {str(one.uuid) for one in own}
    assert [client.get(f"/my-deals/{one.uuid}/").status_code for one in own] == [200, 200]
    assert [client.get(f"/my-deals/{one.uuid}/").status_code for one in others] == [404, 404]
    values = {"uuid": NOBODY, "int": "1", "str": "nothing", "path": "nothing"}
    for pattern in pages:
        route = re.sub(r"<(?:(\w+):)?\w+>", lambda found: values[found[1] or "str"], str(pattern.pattern))
        if not route.startswith("my-deals/"):
            answers = [one.get(f"/{route}") for one in (client, Client())]
            said, nobodys = [(one.status_code, one.headers.get("Location", "")) for one in answers]
            assert said == nobodys, route
            assert said[0] != 200 or OPEN.match(route), route
    for path in ("deals", f"deals/{own[0].uuid}", f"clients/{CAROL}", "pieces"):
        assert client.get(f"/api/v1/{path}").status_code == 401
        assert client.get(f"/api/v1/{path}", headers=people.bearer(token)).status_code == 401
    assert token not in str(client.cookies), "the cookie does not have it"
    assert client.cookies["client_token"]["path"] == "/my-deals/"
    assert ids_of(browser(created("pool").json()["token"]).get("/my-deals/")) == {
        str(one.uuid) for one in (*own, others[1])
    }


def test_a_token_that_is_not_good_is_refused_with_the_reason(miner: Miner, monkeypatch: Any) -> None:
    deal(miner)
    made = [created(expires_at=at).json() for at in (None, (clock.now() + timedelta(days=1)).isoformat())]
    clients = [browser(one["token"]) for one in made]
    admin = people.bearer(people.token("admin"))
    path = f"/api/v1/clients/{CAROL}/tokens"
    assert Client().get("/my-deals/").headers["Location"] == "/my-deals/sign-in/"
    assert Client().delete(f"{path}/{made[0]['uuid']}", headers=admin).status_code == 204
    at = clock.now() + timedelta(days=1, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: at)

    for client, one, why in zip(
        clients, made, ("this token was revoked", "this token has expired"), strict=True
    ):
        answer = client.get("/my-deals/")
        assert (answer.status_code, why in text_of(answer)) == (403, True)
        again = Client().post("/my-deals/sign-in/", {"token": one["token"]})
        assert (again.status_code, why in text_of(again), "client_token" in again.cookies) == (
            403,
            True,
            False,
        )
    unknown = Client().post("/my-deals/sign-in/", {"token": "none"})
    assert (unknown.status_code, "this token is not known here" in text_of(unknown)) == (403, True)
    forged = Client()
    forged.cookies["client_token"] = made[0]["uuid"]
    assert forged.get("/my-deals/").status_code == 302
    third = browser(created(expires_at=None).json()["token"])
    Tenant.objects.filter(name="alice").update(enabled=False)
    assert third.get("/my-deals/").status_code == 403


def test_who_may_give_a_client_a_token(miner: Miner) -> None:
    deal(miner)

    assert created(level="sign").status_code == 403
    assert created("bob").status_code == 404
    assert created(client=DAVE).status_code == 404
    assert created(expires_at="2020-01-01T00:00:00Z").json()["field"] == "expires_at"
    assert created(name="").json()["field"] == "name"
    assert not ClientToken.objects.exists()
    made = created().json()
    text, uuid = made["token"], made["uuid"]
    listed = Client().get(f"/api/v1/clients/{CAROL}/tokens", headers=people.bearer(people.token("read")))
    assert listed.json()["count"] == 1
    assert text not in str(listed.json())
    bobs = people.bearer(people.token("admin", of="bob"))
    assert Client().delete(f"/api/v1/clients/{CAROL}/tokens/{uuid}", headers=bobs).status_code == 404
    alices = people.bearer(people.token("admin"))
    for _ in range(2):
        assert Client().delete(f"/api/v1/clients/{CAROL}/tokens/{uuid}", headers=alices).status_code == 204
    acts = list(AuditEntry.objects.filter(action__startswith="client.").values_list("action", "target"))
    assert acts == [("client.token-create", CAROL), ("client.token-revoke", CAROL)]
    assert text not in str(list(AuditEntry.objects.values()))
    assert not ClientToken.objects.filter(digest=text).exists()


def test_a_client_hears_what_it_was_told(miner: Miner) -> None:
    deal(miner, state="REFUSED", reason=refused(DealRefused("Deal price too low: 0 < 5")))
    deal(miner, state="REFUSED", reason=DEALS_WAIT(count=64))
    failed = deal(miner, state="FAILED", reason="its data did not come in time")
    held_up = MINER_LACKS(amount="5 FIL")
    deal(miner, state="UNPUBLISHED", reason=held_up)
    late = deal(miner, state="FAILED", reason=COLON(one=PUBLISHED_LATE(epoch=7), other=held_up))
    assert reason_told(Deal.objects.get(pk=late.pk)) == PUBLISHED_LATE(epoch=7)
    client = browser(created().json()["token"])

    page = text_of(client.get("/my-deals/"))

    for said in (
        "Deal price too low: 0 &lt; 5",
        "Please retry in some time.",
        "its data did not come in time",
    ):
        assert said in page
    assert "64 deals wait" not in page
    assert "market balance lacks" not in page + text_of(client.get("/my-deals/deals.csv"))
    assert "its data did not come in time" in text_of(client.get(f"/my-deals/{failed.uuid}/"))
    assert ids_of(client.get("/my-deals/?state=FAILED")) == {str(failed.uuid), str(late.uuid)}
    assert text_of(client.get("/my-deals/deals.csv?state=FAILED")).count("\n") == 3
    assert len(ids_of(client.get(f"/my-deals/?q={failed.piece_cid}"))) == 5
    assert ids_of(client.get(f"/my-deals/?q={failed.uuid}")) == {str(failed.uuid)}
    for bad in ("state=NONE", "client=x", "q=none"):
        assert client.get(f"/my-deals/?{bad}").status_code == 422


def test_a_long_list_has_pages(miner: Miner) -> None:
    rows = [deal(miner) for _ in range(52)]
    client = browser(created().json()["token"])
    first = client.get("/my-deals/")
    [older] = re.findall(r'rel="next" href="([^"]+)"', text_of(first))

    shown = ids_of(first), ids_of(client.get(f"/my-deals/{older}"))

    assert [len(one) for one in shown] == [50, 2]
    assert shown[0] | shown[1] == {str(one.uuid) for one in rows}


def test_data_come_back_by_the_addresses_on_the_page(miner: Miner, settings: Any, tmp_path: Path) -> None:
    settings.PIECES_DIR = str(tmp_path)
    of_car = sized(CAR)
    piece = piece_of(miner, CAR, is_indexed=False, piece_cid=str(of_car.cid), has_data=True)
    row = factories.deal(miner, of_car, client=CAROL, state="ACTIVE", piece=piece)
    client = browser(created().json()["token"])
    assert "does not serve these data" in text_of(client.get(f"/my-deals/{row.uuid}/"))

    market_set(miner, values={"serves_data": True}, by=people.principal())
    indexes_update(now=clock.now())

    page = text_of(client.get(f"/my-deals/{row.uuid}/"))
    links = re.findall(r'href="http://testserver(/(?:piece|ipfs)/[^"]+)"', page)
    assert [link.split("/")[1] for link in links] == ["piece", "ipfs"]
    assert b"".join(Client().get(links[0])) == CAR
    block = Client().get(links[1], headers={"Accept": "application/vnd.ipld.raw"})
    assert (block.status_code, b"".join(block)) == (200, blocks_of(CAR)[0][1])


def test_the_clients_page_gives_a_token_once_and_revokes_it(miner: Miner) -> None:
    deal(miner)
    deal(miner, DAVE)
    people.person("ann", role=Role.TENANT_ADMIN)
    admin = signed_in("ann")
    here = f"/clients/{CAROL}/"

    admin.post(f"{here}tokens/new/", {"name": "carol", "life": "30"})
    another = admin.get(f"/clients/{DAVE}/tokens/made/")
    assert another.headers["Location"] == f"/clients/{DAVE}/", "it is nobody else's token"
    made = admin.get(f"{here}tokens/made/")
    [text] = re.findall(r'id="text" value="([^"]+)"', text_of(made))

    assert "http://testserver/my-deals/" in text_of(made)
    assert admin.get(f"{here}tokens/made/").headers["Location"] == here
    assert browser(text).get("/my-deals/").status_code == 200
    [row] = ClientToken.objects.all()
    assert row.expires_at is not None
    assert (row.expires_at - row.created_at).days in (29, 30)
    assert row.last_used_at is None or row.last_used_at <= clock.now()
    revoke = reverse("client-token-revoke", args=[CAROL, row.uuid])
    assert revoke in text_of(admin.get(here))
    assert admin.post(revoke).status_code == 200, "it asks first"
    assert admin.post(revoke, {"sure": "yes"}).headers["Location"] == here
    assert revoke not in text_of(admin.get(here))
    assert admin.post(f"{here}tokens/new/", {"name": "", "life": "30"}).status_code == 422
