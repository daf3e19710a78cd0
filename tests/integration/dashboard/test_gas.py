"""Senders and gas on the pages: lanes, settings, spending, the day and the pool's rules."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from django.urls import reverse

from apps.messages.models import (
    GasGuard,
    Sender,
    SharedRules,
)
from apps.messages.states import SenderState
from apps.users.models import AuditEntry
from tests import factories
from tests.demo_data import busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person

pytestmark = pytest.mark.django_db


def test_the_lane_shows_what_landed_what_is_missing_and_what_comes_next():
    scene = busy_pool()
    Sender.objects.filter(address=scene.wallet.address).update(gap_nonce=5)
    person()

    page = text_of(signed_in("ann").get(reverse("sender", args=[scene.wallet.address])))

    for nonce, word in ((1, "landed"), (2, "landed"), (4, "in flight"), (5, "missing"), (6, "next")):
        assert f"nonce {nonce}, {word}" in page
    assert "nonce gap" in page


def test_a_sender_is_paused_and_let_go_on_and_that_is_audited():
    scene = busy_pool()
    person()
    client, address = signed_in("ann"), scene.wallet.address

    client.post(reverse("sender-act", args=[address, "pause"]))
    assert Sender.objects.get(address=address).state == SenderState.FORBIDDEN
    client.post(reverse("sender-act", args=[address, "resume"]))
    assert Sender.objects.get(address=address).state == SenderState.ALIVE

    changes = list(AuditEntry.objects.filter(action="sender.set").values_list("before", "after"))
    assert changes == [
        ({"state": "ALIVE"}, {"state": "FORBIDDEN"}),
        ({"state": "FORBIDDEN"}, {"state": "ALIVE"}),
    ]


def test_strangers_and_readers_change_nothing():
    scene = busy_pool()
    person("bill", of="bob")
    address = scene.wallet.address
    client = signed_in("bill")

    assert client.get(reverse("sender", args=[address])).status_code == 404
    assert client.post(reverse("sender-act", args=[address, "pause"])).status_code == 404
    assert client.post(reverse("sender-settings", args=[address]), {"quota": "1"}).status_code == 404
    guard = GasGuard.objects.get()
    assert client.post(reverse("gas-guard-remove", args=[guard.uuid])).status_code == 404
    assert client.get(reverse("sender", args=["nonsense"])).status_code == 404
    assert GasGuard.objects.exists()
    assert Sender.objects.get(address=address).state == SenderState.ALIVE


def test_fee_settings_are_kept_and_shown_again():
    scene = busy_pool()
    person()
    client, address = signed_in("ann"), scene.wallet.address
    where = reverse("sender-settings", args=[address])

    answer = client.post(where, {"quota": "7", "max_fee": "0.05", "base_fee": "0.3", "gas_over_premium": "2"})

    assert answer.status_code == 302
    row = Sender.objects.get(address=address)
    assert (row.quota, row.max_fee, row.base_fee, row.gas_over_premium) == (7, 5 * 10**16, 3 * 10**8, 2.0)
    page = text_of(client.get(reverse("sender", args=[address])))
    assert 'value="0.05"' in page
    assert 'value="0.3"' in page


@pytest.mark.parametrize(
    ("field", "text"),
    [("quota", "-1"), ("quota", "x"), ("max_fee", "1e999"), ("max_fee", "-2"), ("gas_over_premium", "nan")],
)
def test_a_bad_setting_is_refused_at_its_field(field, text):
    scene = busy_pool()
    person()

    answer = signed_in("ann").post(reverse("sender-settings", args=[scene.wallet.address]), {field: text})

    assert answer.status_code == 422
    assert f'id="{field}-error"' in text_of(answer)
    own = reverse("sender", args=[scene.wallet.address])
    assert f'id="f-page" hx-get="{own}"' in text_of(answer), "the page is fetched anew at its own address"


def rows_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(answer))))


def test_the_lists_as_csv_hold_only_ones_own():
    busy_pool()
    busy_pool("bob", key=50, actor_id=3001)
    person()
    operator_person()

    for name, count in (("senders-csv", 2), ("gas-csv", 6)):
        assert len(rows_of(signed_in("ann").get(reverse(name)))) == count
        assert len(rows_of(signed_in("olga").get(reverse(name)))) == 2 * count
    spent = rows_of(signed_in("ann").get(reverse("gas-csv")))[0]
    assert (spent["tenant"], spent["messages"], spent["cost_atto"]) == ("alice", "4", str(48 * 10**13))


@pytest.mark.parametrize("by", ["method", "tenant", "sender", "day"])
def test_spending_is_added_up_by_what_is_asked_for(by):
    busy_pool()
    operator_person()

    page = text_of(signed_in("olga").get(reverse("gas"), {"by": by, "days": "7"})).replace("<wbr>", "")

    assert {"method": "PreCommitSectorBatch2", "tenant": "alice", "sender": "alice worker", "day": "20"}[
        by
    ] in page
    assert "0.0029" in page or "0.0014" in page or "0.0010" in page


def test_a_method_that_was_called_on_several_miners_is_listed_once():
    wallet = factories.wallet()
    for actor_id, cost in ((2001, 2), (2002, 3)):
        miner = factories.miner(actor_id)
        factories.spend(wallet.address, to=miner.address, method=28, kind="precommit", cost=cost * 10**16)
    factories.spend(wallet.address, cost=4 * 10**16)
    person()

    page = text_of(signed_in().get(reverse("gas")))
    table = page[page.index('id="f-gas-spend"') :].partition("</table>")[0]

    names = re.findall(r'<th scope="row" class="c-name"> (\w+)', table.replace("<wbr>", ""))
    assert names == ["PreCommitSectorBatch2", "Send"]
    assert "Pre<wbr>Commit<wbr>Sector<wbr>Batch2" in table, "a narrow column breaks it at capitals"
    costs = re.findall(r"<strong>([^<]*)</strong>", table)
    assert [one.strip("0") for one in costs] == [".05", ".04", ".09"], "and all"
    assert "as much as on Money" in page


def test_the_day_is_drawn_and_its_cheap_hours_are_named():
    operator_person()
    factories.network(params={})
    for hour in range(12):
        factories.head(
            1000 + 100 * hour, timestamp=1_800_000_000 + 3600 * hour, base_fee=200 if hour in (6, 7) else 900
        )

    page = text_of(signed_in("olga").get(reverse("gas")))

    assert 'class="t-ok faint"' in page
    assert "Cheapest from" in page
    assert "Cheapest two hours" in page


def test_only_the_operator_changes_the_pools_own_rules():
    person()
    operator_person()
    where = reverse("gas-rules")
    form = {"quota": "30", "max_fee": "0.1", "gas_over_estimation": "1.3"}

    assert signed_in("ann").post(where, form).status_code == 404
    client = signed_in("olga")
    assert 'value="0.07"' in text_of(client.get(where))
    assert client.post(where, form).status_code == 302

    rules = SharedRules.objects.get()
    assert (rules.quota, rules.max_fee, rules.gas_over_estimation) == (30, 10**17, 1.3)
    assert AuditEntry.objects.filter(action="rules.set", target="pool").count() == 1
    assert 'id="quota-error"' in text_of(client.post(where, {**form, "quota": "many"}))
