"""Recovery over REST and on the pages: what is left to do after a restore, for the operator alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core import clock
from apps.core.formatting import whole
from apps.dashboard.pages.recovery.unmatched import CANDIDATES, SHOWN
from apps.messages.models import Recovery, Sender, UnmatchedMessage
from apps.messages.selectors.recovery import recovery_now
from apps.messages.services.recovery.detect import recovery_begin
from apps.miners.models import Miner
from apps.sectors.models import Sector
from apps.users.models import AuditEntry
from poolsite.filecoin.cids import cid_of_cbor
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import bearer, operator_person, operator_token, person, token

pytestmark = pytest.mark.django_db


def unmatched(name: str = "sent", **data: Any) -> UnmatchedMessage:
    now = clock.now()
    recovery_begin("the database was restored", now=now)
    Sender.objects.get_or_create(address="f01001", defaults={"read_back_at": clock.now()})
    return UnmatchedMessage.objects.create(
        **{
            "cid": str(cid_of_cbor(name.encode())),
            "unsigned_cid": str(cid_of_cbor(name.encode())),
            "from_addr": "f01001",
            "nonce": 7,
            "to": "f01002",
            "value": 5,
            "method": 0,
            "gas_limit": 1,
            "gas_fee_cap": 1,
            "gas_premium": 1,
            "height": 12,
            "found_at": now,
            **data,
        }
    )


def ask(client: Client, method: str, by: str, body: Any = "") -> Any:
    call = getattr(client, method)
    return call("/api/v1/recovery", body, content_type="application/json", headers=bearer(by))


def test_rest_shows_recovery_and_takes_decisions_of_the_operator(client: Client) -> None:
    row = unmatched()

    found = ask(client, "get", operator_token()).json()
    assert (found["is_on"], found["reason"]) == (True, "the database was restored")
    assert [(one["cid"], one["nonce"], one["value"]) for one in found["unmatched"]] == [(row.cid, 7, "5")]
    assert ask(client, "get", token("admin")).status_code == 403

    bad = ask(client, "post", operator_token(), {"cid": row.cid, "message": "none"})
    assert bad.status_code in (400, 409, 422, 503)
    for unknown in ("bafy", str(cid_of_cbor(b"other"))):
        assert ask(client, "post", operator_token(), {"cid": unknown, "message": ""}).status_code == 404
    done = ask(client, "post", operator_token(), {"cid": row.cid, "message": ""})
    assert (done.status_code, done.json()["unmatched"]) == (200, [])
    line = AuditEntry.objects.get(action="recovery.decide")
    assert (line.target, bool(line.actor)) == (row.cid, True)
    again = ask(client, "post", operator_token(), {"cid": row.cid, "message": ""})
    assert again.status_code == 400


def test_rest_ends_recovery_and_says_so_when_there_is_none(client: Client) -> None:
    unmatched()

    assert ask(client, "delete", operator_token()).json()["is_on"] is False
    assert recovery_now() is None
    assert AuditEntry.objects.filter(action="recovery.end").count() == 1
    assert ask(client, "delete", operator_token()).status_code == 400


def test_today_and_the_page_say_why_nothing_is_signed() -> None:
    row = unmatched()
    operator_person()
    waits = factories.message("w1", from_addr=row.from_addr)
    page = signed_in("olga")

    today = text_of(page.get("/"))
    assert "only window proofs are signed: the pool is recovering from a restored backup" in today.lower()
    assert reverse("recovery") in today
    assert "only window proofs are signed" in text_of(page.get(reverse("messages"))).lower()
    text = text_of(page.get(reverse("recovery")))
    assert row.cid in text
    assert "The database was restored." in text
    assert f"It is {waits.push_id}: 0 " in text
    assert page.post(reverse("recovery"), {"cid": row.cid, "message": ""}).status_code == 422
    page.post(reverse("recovery"), {"cid": row.cid, "message": "outside"})
    row.refresh_from_db()
    assert row.decided_by


def test_each_message_offers_those_of_its_own_sender_alike_ones_first() -> None:
    operator_person()
    unmatched()
    for number in range(CANDIDATES):
        factories.message(f"w{number}", from_addr="f01001")
    paid = factories.message("paid", from_addr="f01001", to="f01002", value=5)
    unmatched("other", from_addr="f01009", nonce=1)
    factories.message("others", from_addr="f01009")

    text = text_of(signed_in("olga").get(reverse("recovery")))

    first, second = re.findall(r"<select.*?</select>(?:.*?)</form>", text, re.DOTALL)
    assert re.findall(r'<option value="(\w+)"', first)[0] == paid.pk
    assert "The sender has more pending messages than are listed." in first
    assert re.findall(r'<option value="(\w+)"', second) == ["others", "outside"]
    assert "than are listed" not in second


def test_the_page_counts_those_that_it_does_not_list() -> None:
    operator_person()
    for number in range(SHOWN + 1):
        unmatched(f"sent {number}", nonce=number)

    text = text_of(signed_in("olga").get(reverse("recovery")))

    assert f"{SHOWN + 1} messages to decide about." in text
    assert "1 more message to decide about is listed once some of these are decided." in text


def test_a_tenant_sees_that_nothing_is_signed_and_decides_nothing() -> None:
    unmatched()
    person("ada", of="alice")
    page = signed_in("ada")

    assert "only window proofs are signed" in text_of(page.get("/")).lower()
    assert page.get(reverse("recovery")).status_code == 404


def lost_pledge() -> Sector:
    """A sector that was read back after a restore, of a pledge that the database has lost."""
    recovery_begin("the database was restored", now=clock.now())
    Recovery.objects.update(since=None, sectors_since=None)
    row = factories.sector(factories.miner(), number=7)
    Sector.objects.filter(pk=row.pk).update(pledge=None)
    return row


def test_pledges_with_a_lost_key_wait_for_the_operators_word(client: Client) -> None:
    row = lost_pledge()
    operator_person()
    page = signed_in("olga")

    assert "pledges with an idempotency key are refused" in text_of(page.get("/"))
    text = text_of(page.get(reverse("recovery")))
    assert "Pledges with a key are refused." in text
    assert str(row) in text
    asked = page.post(reverse("recovery"), {"settle": "pledges"})
    assert "creates its sectors a second time" in text_of(asked)
    assert ask(client, "get", operator_token()).json()["sectors_unpledged"] == 1

    assert page.post(reverse("recovery"), {"settle": "pledges", "sure": "yes"}).status_code == 302
    assert ask(client, "get", operator_token()).json()["sectors_unpledged"] == 0
    assert "key are refused" not in text_of(page.get("/"))


def test_rest_allows_pledges_with_a_key(client: Client) -> None:
    lost_pledge()

    assert ask(client, "post", operator_token(), {}).status_code == 400
    done = ask(client, "post", operator_token(), {"pledges_settled": True})

    assert (done.status_code, done.json()["sectors_unpledged"]) == (200, 0)
    assert AuditEntry.objects.get(action="recovery.pledges").after == {"unpledged": "1 sector"}


def moved_miner() -> Miner:
    """A miner that was moved in before the backup of a pool that was restored."""
    recovery_begin("the database was restored", now=clock.now())
    Recovery.objects.update(since=None, sectors_since=None)
    return factories.miner(works_from=960)


def test_heights_of_moved_miners_wait_for_the_operators_look(client: Client) -> None:
    factories.miner(works_until=0)
    factories.miner(works_from=960, works_until=1200)
    factories.miner()
    moved_miner()
    operator_person()
    page = signed_in("olga")

    assert "after the restore" in text_of(page.get("/"))
    text = text_of(page.get(reverse("recovery")))
    assert "Confirm who proves moved miners after the restore." in text
    assert "the pool, from height 960 on" in text
    assert f"another program, from height {whole(1200)} on" in text
    assert "another program: not moved in yet" in text
    assert len(ask(client, "get", operator_token()).json()["miners_with_restored_moves"]) == 3
    asked = text_of(page.post(reverse("recovery"), {"settle": "moves"}))
    assert "Continue only if you have checked" in asked
    assert "the pool, from height 960 on" in asked

    assert page.post(reverse("recovery"), {"settle": "moves", "sure": "yes"}).status_code == 302
    assert ask(client, "get", operator_token()).json()["miners_with_restored_moves"] == []
    assert "after the restore" not in text_of(page.get("/"))
    assert "Recovery is done." in text_of(page.get(reverse("recovery")))


def test_rest_settles_the_heights_until_the_next_restore(client: Client) -> None:
    row = moved_miner()

    done = ask(client, "post", operator_token(), {"moves_settled": True})

    assert (done.status_code, done.json()["miners_with_restored_moves"]) == (200, [])
    assert AuditEntry.objects.get(action="recovery.moves").after == {"moved": "1 miner"}
    recovery_begin("restored again", now=clock.now())
    assert ask(client, "get", operator_token()).json()["miners_with_restored_moves"] == [row.address]
