"""Choosing a miner, a tenant or a wallet: a list of a handful, a search for more, nobody else's."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from apps.dashboard.pickers import HANDFUL
from apps.sectors.models import StoreMove, WorkerCommand
from tests import factories, people
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = pytest.mark.django_db


def suggestions(kind: str, text: str, *, by: str = "ann", **query: str) -> str:
    answer = signed_in(by).get(reverse("pick", args=[kind, "field"]), {"name": "x", "x": text, **query})
    assert answer.status_code == 200
    return text_of(answer)


def test_a_handful_is_a_list_that_starts_empty_and_shows_balances(ann):
    factories.wallet(label="hot", balance=7 * factories.FIL)

    page = text_of(signed_in().get(reverse("message-compose")))

    assert '<select class="select" id="from" name="from" required>' in page
    assert "hot f1" in page or "hot f3" in page
    assert "7.0000 FIL" in page
    assert " selected" not in page


def test_more_are_searched_on_the_server(ann):
    wallets = [factories.wallet(label=f"wallet-{number:02}") for number in range(HANDFUL + 3)]

    page = text_of(signed_in().get(reverse("message-compose")))
    found = suggestions("wallet", "WALLET-14")

    assert 'id="from" name="from" value="" list="from-list"' in page
    assert page[: page.index('id="method"')].count("<option") < 3 * HANDFUL
    assert found.count("<option") == 1
    assert wallets[14].address in found


def test_a_value_that_is_chosen_is_named(ann):
    wallet = factories.wallet(label="hot", balance=7 * factories.FIL)

    chosen = suggestions("wallet", wallet.address)

    assert 'id="field-chosen"' in chosen
    assert "hot" in chosen.partition("field-chosen")[2]
    assert "7.0000 FIL" in chosen.partition("field-chosen")[2]


@pytest.mark.parametrize("text", ["fra", "f0200", "200"])
def test_miners_are_found_by_name_and_address(ann, text):
    factories.miner(2001, name="fra-1")
    factories.miner(3001, name="ams-1")

    found = suggestions("miner", text)

    assert "f02001" in found
    assert "f03001" not in found


def test_nobody_elses_are_suggested(ann, bill):
    theirs = factories.miner(of="alice", name="secret")
    wallet = factories.wallet(label="secret", of="alice")

    for kind in ("miner", "wallet", "worker", "tenant"):
        found = suggestions(kind, "", by="bill")
        assert theirs.address not in found
        assert wallet.address not in found
        assert "alice" not in found


def test_what_does_not_fit_is_left_out(ann):
    operator_person()
    people.tenant("bob")

    found = suggestions("tenant", "", by="olga", omit="alice")

    assert '"bob"' in found
    assert '"alice"' not in found


def test_tenants_with_the_same_comment_are_told_apart(ann):
    operator_person()
    for name in ("bob", "carol"):
        people.tenant(name, comment="trial until March")

    found = suggestions("tenant", "MARCH", by="olga")

    assert "bob (trial until March)" in found
    assert "carol (trial until March)" in found
    assert "alice" not in found


@pytest.mark.parametrize(("kind", "field"), [("person", "field"), ("miner", "a<b"), ("miner", "A")])
def test_an_unknown_kind_or_field_is_not_there(ann, kind, field):
    assert signed_in().get(reverse("pick", args=[kind, field])).status_code == 404


def test_a_hand_over_starts_without_a_tenant(ann):
    operator_person()
    people.tenant("bob"), people.tenant("carol")
    miner = factories.miner(of="alice")

    page = text_of(signed_in("olga").get(reverse("miner-transfer", args=[miner.address])))

    assert " selected" not in page
    assert '<option value="bob">' in page
    assert '<option value="alice">' not in page


def test_a_tenant_is_granted_a_miner_out_of_suggestions(ann):
    operator_person()
    miner = factories.miner(of="alice", name="fra-1")
    bob = people.tenant("bob")

    page = text_of(signed_in("olga").get(reverse("tenant", args=[bob.uuid])))

    assert 'list="miner-list"' in page
    assert f'<option value="{miner.address}">fra-1' in page


@pytest.mark.parametrize("text", ["rack-14", "machine-14"])
def test_hosts_are_found_by_name_and_machine_not_listed(ann, text):
    hosts = [factories.worker(f"rack-{number}", host=f"machine-{number}") for number in range(HANDFUL + 3)]
    factories.worker("rack-14-of-bob", of="bob")

    for page in ("store-attach", "sealing"):
        shown = text_of(signed_in().get(reverse(page)))
        assert sum(f'<option value="{host.uuid}"' in shown for host in hosts) == HANDFUL
    for kind in ("host", "sealing-host"):
        found = suggestions(kind, text)
        assert found.count("<option") == 1
        assert f'value="{hosts[14].uuid}"' in found
        assert "rack-14 on machine-14" in suggestions(kind, str(hosts[14].uuid))
    assert suggestions("machine", "machine-14").count("<option") == 1


def test_a_host_may_be_typed_by_its_name(ann):
    host = factories.worker("rack-1")
    factories.worker("twin")
    factories.worker("twin")
    sent = {"folder": "/mnt/new", "kind": "new"}
    browser, attach, sealing = signed_in(), reverse("store-attach"), reverse("sealing")

    assert browser.post(attach, sent | {"worker": "rack-1"}).status_code == 302
    assert WorkerCommand.objects.get().worker == host
    for name, why in (("twin", "several hosts are named twin"), ("rack-9", "there is no worker rack-9 here")):
        refused = browser.post(attach, sent | {"worker": name})
        assert refused.status_code == 422
        assert why in text_of(refused)
        shown = text_of(browser.get(sealing, {"host": name}))
        assert why in shown
        assert browser.get(reverse("sealing-csv"), {"host": name}).status_code == 404
    assert WorkerCommand.objects.count() == 1
    assert f'value="{host.uuid}" selected' in text_of(browser.get(sealing, {"host": str(host.uuid)}))


def test_all_stores_of_the_tenant_but_the_source_can_be_moved_to(ann):
    box = factories.worker("box")
    stores = [factories.store(box, f"disk-{number:02}") for number in range(HANDFUL + 3)]
    page = text_of(signed_in().get(reverse("store-move", args=[stores[0].uuid])))
    [href] = (one.replace("&amp;", "&") for one in re.findall(r'hx-get="(/pick/[^"]+)"', page))

    found = text_of(signed_in().get(f"{href}&to=disk-14"))
    own = text_of(signed_in().get(f"{href}&to=disk-00"))

    assert str(stores[14].uuid) in found
    assert "disk-14: 512 GiB free" in found
    assert str(stores[0].uuid) not in own


def test_a_store_may_be_typed_by_its_name(ann):
    box = factories.worker("box", kinds=["seal", "window_post"])
    source, target = factories.store(box, "disk-1"), factories.store(box, "disk-2")
    factories.store(factories.worker("bobs", of="bob"), "of-bob")
    factories.sector(factories.miner(), state="PROVING", store="disk-1")
    browser, here = signed_in(), reverse("store-move", args=[source.uuid])

    for name in ("disk-9", "of-bob"):
        refused = browser.post(here, {"to": name, "count": "1"})
        assert f"there is no store {name} here" in text_of(refused)
    assert browser.post(here, {"to": "disk-2", "count": "1"}).status_code == 302
    assert StoreMove.objects.get().to_store == target
