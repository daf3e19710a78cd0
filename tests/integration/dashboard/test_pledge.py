"""Pledging sectors on the page: what leads where, and what is refused at its field."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from apps.core.clock import now
from apps.sectors.models import BatchSettings, Sector, Worker
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SEALING, Owner
from poolsite.wire.stores import StoreCondition
from tests import factories
from tests.integration.dashboard.withdrawals import signer_says
from tests.page_client import HTMX, signed_in, text_of

pytestmark = pytest.mark.django_db


def pledge_form(of: Any, **overrides: str) -> dict[str, str]:
    return {"miner": of.address, "count": "1", "key": "form1", "sure": "yes", **overrides}


def test_a_pledge_is_reviewed_with_its_price_before_anything_is_made(ann, node):
    factories.head()
    miner = factories.miner()
    factories.wallet(miner.worker, label="the worker", balance=factories.FIL)

    review = text_of(signed_in().post(reverse("pledge"), pledge_form(miner, count="2", sure="")))

    assert "Pledge 2 sectors" in review
    assert "locked plus burnt" in review
    assert "the worker" in review
    assert "alice has no sealing host: the sectors will wait until one joins" in review
    assert not Sector.objects.exists()


def test_a_pledge_whose_pre_commits_a_signer_refuses_says_so_first(ann, node, monkeypatch):
    factories.head()
    miner = factories.miner()
    asked = signer_says(monkeypatch, "no rule allows message: miner.PreCommitSectorBatch2")

    review = text_of(signed_in().post(reverse("pledge"), pledge_form(miner, sure="")))

    assert "would refuse PreCommitSectorBatch2: no rule allows message" in review
    [(sender, message)] = asked
    assert (sender, str(message.to), int(message.method)) == (miner.worker, miner.address, 28)
    assert "would refuse" in text_of(
        signed_in().get(reverse("pledge-price"), {"miner": miner.address, "count": "1"})
    ), "the card says it, too"
    signer_says(monkeypatch)
    assert "would refuse" not in text_of(signed_in().post(reverse("pledge"), pledge_form(miner, sure="")))


def test_a_pledge_asks_for_each_of_its_messages_with_their_funds(ann, node, monkeypatch):
    factories.head()
    miner = factories.miner(available=0)
    BatchSettings.objects.create(miner=miner, precommit_batch_max=4, commit_batch_max=3)
    asked = signer_says(monkeypatch)

    signed_in().post(reverse("pledge"), pledge_form(miner, count="5", sure=""))

    sent = [(int(message.method), int(message.value)) for _, message in asked]
    topup = factories.PLEDGE * 11 // 10 - factories.DEPOSIT
    assert sent == [(28, 4 * factories.DEPOSIT), (34, 3 * topup)]
    assert all(message.gas_limit for _, message in asked)


def test_a_pledge_without_pre_commits_asks_for_its_one_message(ann, node, monkeypatch):
    factories.head()
    miner = factories.miner(seal_proof=RegisteredSealProof.STACKED_DRG_2KIB_V1_2_NI)
    asked = signer_says(monkeypatch, "no rule allows message: miner.ProveCommitSectorsNI")

    review = text_of(signed_in().post(reverse("pledge"), pledge_form(miner, count="2", sure="")))

    assert "would refuse ProveCommitSectorsNI: no rule allows message" in review
    assert [int(message.method) for _, message in asked] == [36]


def test_a_pledge_says_which_rule_has_its_messages_wait(ann, node, monkeypatch):
    factories.head()
    miner = factories.miner(available=0)
    signer_says(monkeypatch)
    factories.approval_rule(actor="miner", method=28, above=3 * factories.DEPOSIT)
    form = {"miner": miner.address, "count": "3"}

    assert "second person" not in text_of(signed_in().get(reverse("pledge-price"), form))
    form["count"] = "4"
    card = text_of(signed_in().get(reverse("pledge-price"), form))
    review = text_of(signed_in().post(reverse("pledge"), pledge_form(miner, count="4", sure="")))

    for text in (card, review):
        assert "waits for a second person: miner PreCommitSectorBatch2 above" in text


def test_the_page_asks_no_signer_and_its_card_does_so_at_once(ann, node, monkeypatch):
    factories.head()
    miner = factories.miner()
    asked = signer_says(monkeypatch)

    page = signed_in().get(reverse("pledge"), {"miner": miner.address}).content.decode()

    assert (asked, 'hx-trigger="load, change' in page) == ([], True)
    card = signed_in().get(reverse("pledge-price"), {"miner": miner.address, "count": "1"})
    assert 'hx-trigger="change' in card.content.decode()


@pytest.mark.parametrize("form", [{"miner": ""}, {"count": "0"}, {"count": "1001"}])
def test_a_pledge_that_cannot_be_is_refused_before_its_review(ann, node, form):
    factories.head()

    answer = signed_in().post(reverse("pledge"), pledge_form(factories.miner(), sure="", **form))

    assert answer.status_code == 422
    assert f'id="{next(iter(form))}-error"' in text_of(answer)


def test_of_several_miners_none_is_preselected(ann, node):
    factories.head()
    factories.miner(), factories.miner()

    text = text_of(signed_in().get(reverse("pledge")))

    assert " selected" not in text
    assert "choose a miner" in text


def test_one_sector_leads_to_its_page(ann, node):
    miner = factories.miner()

    answer = signed_in().post(reverse("pledge"), pledge_form(miner))

    assert answer.status_code == 302
    assert answer.headers["Location"] == reverse("sector", args=[Sector.objects.get().uuid])


def test_several_lead_to_the_list(ann, node):
    answer = signed_in().post(reverse("pledge"), pledge_form(factories.miner(), count="3"))

    assert answer.headers["Location"] == reverse("sectors")
    assert Sector.objects.count() == 3


def test_a_double_click_is_one_pledge(ann, node):
    miner, client = factories.miner(), signed_in()

    client.post(reverse("pledge"), pledge_form(miner))
    client.post(reverse("pledge"), pledge_form(miner))

    assert Sector.objects.count() == 1


@pytest.mark.parametrize("count", ["0", "-1", "x", "", "1001", "1.5", "9" * 30, "٣"])
def test_a_bad_count_is_refused_at_its_field(ann, node, count):
    answer = signed_in().post(reverse("pledge"), pledge_form(factories.miner(), count=count))

    assert answer.status_code == 422
    assert 'id="count-error"' in text_of(answer)
    assert not Sector.objects.exists()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("", "choose a miner"),
        ("f01", "there is no miner f01 here"),
        ("nonsense", "there is no miner nonsense here"),
        ("f09999", "there is no miner f09999 here"),
    ],
)
def test_an_unknown_miner_is_refused(ann, node, address, why):
    miner = factories.miner()

    answer = signed_in().post(reverse("pledge"), pledge_form(miner, miner=address))

    assert answer.status_code == 422
    assert 'id="miner-error"' in text_of(answer)
    assert why in text_of(answer)


def test_a_strangers_miner_is_unknown(bill, node):
    miner = factories.miner(of="alice")
    factories.miner(of="bob")

    answer = signed_in("bill").post(reverse("pledge"), pledge_form(miner))

    assert answer.status_code == 422
    assert not Sector.objects.exists()


def test_the_page_says_what_a_sector_costs_and_who_can_pay(ann, node):
    factories.head()
    miner = factories.miner()
    factories.wallet(miner.worker, label="the worker", balance=factories.FIL)

    text = text_of(signed_in().get(reverse("pledge")))

    assert "0.0500 FIL" in text  # the deposit, as the node says
    assert "0.0600 FIL" in text  # what the pledge, 10 % more than the node says, asks on top
    assert "the worker" in text
    assert "can pay" in text


def test_a_balance_that_pays_alone_is_shown_with_what_is_under_way(ann, node):
    factories.head()
    miner = factories.miner(name="alone", available=4 * factories.FIL // 10)
    factories.wallet(miner.worker, balance=factories.FIL)
    BatchSettings.objects.create(miner=miner, send_funds=False)
    for _ in range(2):
        factories.sector(miner, state="PC1_DONE")
    browser = signed_in()

    one, two = (
        text_of(browser.get(reverse("pledge-price"), {"miner": miner.address, "count": count}))
        for count in ("1", "2")
    )

    assert "available; work in progress takes 0.2200 FIL, 0.0700 FIL remaining" in one
    assert "work in progress takes 0.2200 FIL, 0.0400 FIL short" in two


def test_another_number_is_priced_without_a_new_page(ann, node):
    factories.head()
    miner = factories.miner()
    factories.wallet(miner.worker, label="the worker", balance=factories.FIL)

    answer = signed_in().get(reverse("pledge-price"), {"miner": miner.address, "count": "12"}, headers=HTMX)

    text = text_of(answer)
    assert "<html" not in text
    assert "All 12" in text
    assert "0.6000 FIL" in text
    assert "cannot pay" in text
    assert "short: the messages would wait for funds" in text


@pytest.mark.parametrize("count", ["", "0", "x", "9" * 30])
def test_a_bad_count_is_priced_as_far_as_it_goes(ann, node, count):
    factories.head()
    miner = factories.miner()

    answer = signed_in().get(reverse("pledge-price"), {"miner": miner.address, "count": count})

    assert answer.status_code == 200
    assert "0.0500 FIL" in text_of(answer)


def test_a_strangers_miner_has_no_price(bill, node):
    factories.head()
    miner = factories.miner(of="alice")

    answer = signed_in("bill").get(reverse("pledge-price"), {"miner": miner.address, "count": "1"})

    assert "Cost unknown" in text_of(answer)
    assert "0.0500" not in text_of(answer)


def test_without_a_node_the_form_is_there_and_the_price_is_not(ann):
    factories.head()
    factories.miner()

    text = text_of(signed_in().get(reverse("pledge")))

    assert "Cost unknown" in text
    assert 'id="count"' in text


def test_without_a_node_it_says_so(ann):
    answer = signed_in().post(reverse("pledge"), pledge_form(factories.miner()))

    assert answer.status_code == 422
    assert "Not pledged." in text_of(answer)


def test_a_network_that_refuses_our_proofs_is_said_before_and_after_asking(ann, node):
    factories.network("mainnet")
    factories.head()
    miner = factories.miner()
    client = signed_in()

    before = client.get(reverse("pledge"), {"miner": miner.address})
    after = client.post(reverse("pledge"), pledge_form(miner))

    for answer in (before, after):
        assert "the network mainnet requires groth16 proofs" in text_of(answer)
    assert after.status_code == 422
    assert not Sector.objects.exists()


def test_back_from_the_review_of_a_pledge_its_count_is_there(ann, node):
    factories.head()
    miner = factories.miner()

    review = text_of(signed_in().post(reverse("pledge"), pledge_form(miner, count="7", sure="")))

    assert f'href="{reverse("pledge")}?miner={miner.address}&amp;count=7"' in review
    assert 'value="7"' in text_of(signed_in().get(reverse("pledge"), {"miner": miner.address, "count": "7"}))


def served(**overrides: Any) -> Any:
    """A host that seals all stages and a prover; returns the store that both have."""
    stages = {str(spec.stage): 1 for spec in SEALING if spec.owner is Owner.WORKER and spec.slots}
    store = factories.store(factories.worker("sealer", slots=stages), **overrides)
    prover = factories.worker("prover", kinds=[JobKind.WINDOW_POST], slots={})
    store.attachments.create(worker=prover, path="/mnt", condition=StoreCondition.READY, since=now())
    return store


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("", ""),
        ("prover", "no live prover reads store store: sectors in it would not be proven"),
        ("stage", "no live host of alice has slots for PC2"),
        ("room", "the stores have 3 KiB free, these sectors need 4 KiB: 1 fit"),
        ("store", "alice has no store: sealed sectors will wait for one"),
    ],
)
def test_a_review_says_what_would_keep_the_sectors_from_ending(ann, node, monkeypatch, spoilt, said):
    factories.head()
    miner = factories.miner()
    signer_says(monkeypatch)
    store = served(**({"free_bytes": 3 << 10} if spoilt == "room" else {}))
    if spoilt == "prover":
        Worker.objects.filter(name="prover").update(seen_at=now() - timedelta(hours=1))
    if spoilt == "store":
        store.delete()
    if spoilt == "stage":
        slots = Worker.objects.get(name="sealer").slots
        Worker.objects.filter(name="sealer").update(slots={**slots, "PC2": 0})

    review = text_of(signed_in().post(reverse("pledge"), pledge_form(miner, count="2", sure="")))
    card = text_of(signed_in().get(reverse("pledge-price"), {"miner": miner.address, "count": "2"}))

    assert store.name == "store"
    assert [said in text for text in (review, card)] == [True, True]
    assert ("Before it ends" in review) == bool(said)
    assert "locked plus burnt" in review
    assert re.search(r'data-kind="primary" type="submit">\s*Pledge 2 sectors', review)


def test_a_store_of_unknown_size_refuses_nothing(ann, node, monkeypatch):
    factories.head()
    miner = factories.miner()
    signer_says(monkeypatch)
    served(total_bytes=0, free_bytes=0)

    review = signed_in().post(reverse("pledge"), pledge_form(miner, sure=""))

    assert review.status_code == 200
    assert "no store is large enough" not in text_of(review)


def test_what_no_store_can_hold_is_refused(ann, node):
    factories.head()
    miner = factories.miner()
    served(total_bytes=1 << 10, free_bytes=1 << 10)

    review = signed_in().post(reverse("pledge"), pledge_form(miner, sure=""))
    sent = signed_in().post(reverse("pledge"), pledge_form(miner))

    for answer in (review, sent):
        assert answer.status_code == 422
        assert "no store is large enough for a sector of 2 KiB" in text_of(answer)
        assert 'id="miner-error"' in text_of(answer)
    assert not Sector.objects.exists()
