"""*Today*: what it counts, what is to do and where that is mended; the same of miners and stuck messages."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from apps.chain.models import Node
from apps.chain.selectors.network import network_current
from apps.chain.states import NodeCondition
from apps.core import clock
from apps.dashboard.live_fragments import fragments_render
from apps.messages.models import Message
from apps.messages.states import MessageState, Wait
from apps.proving.models import PostNote, ProofAttempt, WindowPost
from apps.proving.states import Forecast
from apps.sectors.models import Worker
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.demo_data import busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, principal

pytestmark = pytest.mark.django_db


def test_the_overview_says_what_is_wrong():
    busy_pool()
    operator_person()

    text = text_of(signed_in("olga").get("/"))

    verdict = re.search(r'class="verdict"[^>]*>(.*?)<a', text, re.DOTALL)
    assert verdict is not None
    assert " ".join(verdict.group(1).split()) == (
        "<strong>10 issues, 1 critical, 1 with unknown cost.</strong>"
    )
    open_ones, _, folded = text.partition('id="f-todo"')[2].partition("</section>")[0].partition("todo-rest")
    assert "1 deadline of alice-main missed" in open_ones
    assert "Causes: 1 sector of alice-main faulty" in open_ones, "its fault is no issue of its own"
    for words in ("9 warnings", "1 sector paused", "alice-old offline"):
        assert words in folded
        assert words not in open_ones


def test_the_to_do_list_leads_to_where_each_thing_is_mended():
    pool = busy_pool()
    factories.message("alice-held", wait=Wait.POLICY, attempts=3, from_addr=pool.wallet.address)
    operator_person()

    text = text_of(signed_in("olga").get("/"))

    links = re.findall(r'id="todo-([\w-]+?)(?:-[0-9a-f]{12})?" href="([^"]+)"', text)
    control = factories.secp(201)
    assert links == [
        (f"deadlines-missed-{pool.miner.address}", reverse("miner", args=[pool.miner.address])),
        (f"deals-{pool.miner.address}", reverse("deals") + f"?miner={pool.miner.address}"),
        ("allocations", reverse("allocations") + "?state=missing"),
        ("expiring", reverse("sectors") + "?state=expiring"),
        ("paused", reverse("sector", args=[pool.paused.uuid])),
        ("stuck", reverse("message", args=["alice-held"])),
        ("failed", reverse("message", args=["alice-refused"])),
        ("failed", reverse("message", args=["alice-bad"])),
        ("nonce-gaps", reverse("sender", args=[pool.wallet.address])),
        ("senders-paused", reverse("sender", args=[control])),
        ("away", reverse("host", args=[Worker.objects.get(name="alice-old").uuid])),
    ]
    assert "no space left on the sealing disk" in text


def test_a_deadline_at_risk_counts_down_to_its_close():
    factories.head(1000)
    miner = factories.miner()
    factories.deadline(
        miner, 2, live=1, open_epoch=999, close_epoch=1009, forecast=Forecast.AT_RISK, reason="no prover"
    )
    operator_person()

    text = text_of(signed_in("olga").get("/"))

    todo = text[text.index('id="f-todo"') :]
    assert f"1 deadline of {miner.name} at risk" in todo
    assert "no prover" in todo
    assert re.search(r'data-until="\d+"', todo[: todo.index("</section>")])


def test_miner_page_shows_attempts_per_window_and_the_next_step():
    factories.head(1000)
    person()
    row = factories.miner()
    factories.deadline(row, 2, live=1, open_epoch=1005)
    facts = {"miner": row, "deadline_index": 2, "randomness": b"r"}
    now = {"open_epoch": 1005, "close_epoch": 1015, "challenge_epoch": 1000}  # epochs are seconds here
    away = WindowPost.objects.create(
        **facts,
        **now,
        state="NOTHING",
        partitions=[1],
        tries=2,
        try_epoch=1009,
        error="unreadable",
    )
    WindowPost.objects.create(
        **facts, **now, part=1, state="PROVED", partitions=[0], skipped={"0": [4, 5]}, proof=b"proof"
    )
    quiet = {"open_epoch": 979, "close_epoch": 989, "challenge_epoch": 977}
    WindowPost.objects.create(**facts, **quiet, state="LANDED", partitions=[77])
    PostNote.objects.create(
        post=away, at=clock.now(), epoch=1000, words="files of sectors [6] cannot be read"
    )

    text = text_of(signed_in().get(reverse("miner", args=[row.address])))

    card = text[text.index('id="f-miner-proofs"') :]
    card = card[: card.index("</section>")]
    assert "files of sectors [6] cannot be read" in card
    assert re.search(r"retried until epoch 1.013, next in <span data-until=\"\d+\">", card)
    assert "2 sectors" in card
    assert "sent with the sectors readable by then, next in" in card
    assert ">77<" not in card, "a window that landed at the first try needs no word"


def test_stalled_proof_is_shown_with_its_host_and_the_backup_host():
    person()
    factories.head(1000)
    row = factories.miner(actor_id=1234)
    why = "partition 0: no progress on ill since epoch 997 (3 of 20 sectors); also running on well"
    factories.deadline(row, 2, live=1, open_epoch=999, forecast=Forecast.AT_RISK, reason=why)
    progress = {"progress_total": 20, "progress_unit": "sectors"}
    job, backup_job = (
        factories.proof_job(row, worker=factories.worker(name), progress_done=done, **progress)
        for name, done in (("ill", 3), ("well", 11))
    )
    post = WindowPost.objects.create(
        miner=row,
        deadline_index=2,
        randomness=b"r",
        open_epoch=999,
        close_epoch=1009,
        challenge_epoch=997,
        partitions=[0],
    )
    reason = why.partition(": ")[2]
    ProofAttempt.objects.create(post=post, kind="FIRST", state="STALLED", job=job, reason=reason)
    ProofAttempt.objects.create(post=post, kind="BACKUP", job=backup_job)

    client = signed_in()
    card = text_of(client.get(reverse("miner", args=[row.address]))).partition('id="f-miner-proofs"')[2]
    assert "ill: 3 of 20 sectors; well: 11 of 20 sectors" in card
    assert "no progress on ill since epoch 997 (3 of 20 sectors); also running on well" in card
    assert f"deadline 2 of {row.name}: {why}" in text_of(client.get("/"))
    hosts = text_of(client.get(reverse("hosts")))
    assert f"{row.address}: WindowPoSt, 3 of 20 sectors" in hosts


def test_where_nothing_is_to_do_there_is_no_list():
    person()
    factories.head(1000)

    assert re.search(r'id="f-todo" hidden', text_of(signed_in().get("/")))


def test_a_host_short_of_disk_is_to_do():
    person()
    factories.head(1000)
    factories.worker("full", hardware={"cpus": 1, "disk_free_bytes": 1 << 30, "disk_total_bytes": 1 << 40})

    assert "full low on disk space" in text_of(signed_in().get("/"))


def test_hosts_of_other_tenants_are_named_with_them() -> None:
    operator_person()
    factories.worker("box", of="alice")
    factories.worker("box-2", of="pool")
    card = text_of(signed_in("olga").get("/")).partition('id="f-today-hosts"')[2].partition("</section>")[0]

    assert card.count('<span class="tag">alice</span>') == 1
    assert card.count('class="tag"') == 1


def test_a_host_that_is_away_says_what_waits_for_it():
    person()
    factories.head(1000)
    silent = factories.worker("gone", seen_at=clock.now() - timedelta(hours=1))
    miner = factories.miner(2001)
    factories.sector(miner, state=SectorState.PC1_DONE)
    for state, data in ((SectorState.PC1_DONE, {}), (SectorState.SEED_ASSIGNED, {"precommit_epoch": 900})):
        factories.sector(miner, state=state, held_by=silent, **data)

    text = text_of(signed_in().get("/"))

    assert "2 sectors in progress, 1 with a deposit on chain; no other host has the files" in text


def test_today_counts_stuck_messages_and_addresses_without_signer():
    person()
    factories.head(1000)
    factories.wallet(factories.bls(1), seen_at=None)
    factories.message("twice", wait=Wait.POLICY, attempts=2)
    for number in range(2):
        factories.message(f"often {number}", wait=Wait.POLICY, attempts=3)

    today, messages = (text_of(signed_in().get(reverse(name))) for name in ("today", "messages"))

    assert "<strong>2 issues" in today
    stuck = "2 messages stuck, the most urgent: the signer or a grant refuses the message"
    assert stuck in today
    assert "1 address without a signer" in today
    assert f"{stuck}." in messages
    assert "3 without a nonce yet." in messages


@pytest.mark.parametrize(
    ("wait", "epochs", "is_stuck"),
    [
        (Wait.FEE_CAP, 2, False),
        (Wait.FEE_CAP, 4, True),
        (Wait.NODE_REFUSES, 4, True),
        (Wait.IN_POOL, 19, False),
        (Wait.IN_POOL, 21, True),
    ],
)
def test_a_message_in_flight_that_cannot_land_is_stuck(wait, epochs, is_stuck):
    person()
    head = factories.head(1000)
    at = head.arrived_at - timedelta(seconds=epochs * network_current().epoch_s)
    factories.message("held", state=MessageState.FILLED, wait=wait, filled_at=at, published_at=at)

    text = text_of(signed_in().get(reverse("today")))

    assert ("1 message stuck" in text) is is_stuck


def test_a_message_of_an_address_that_was_never_funded_is_stuck():
    person()
    head = factories.head(1000)
    row = factories.message("poor", wait=Wait.NEXT_HEAD)
    factories.sender(row.from_addr, wait=Wait.NO_ACTOR)
    Message.objects.update(created_at=head.arrived_at - timedelta(hours=1))

    assert "1 message stuck" in text_of(signed_in().get(reverse("today")))


def test_the_doctor_says_that_blocks_pass_a_message_over():
    person()
    head = factories.head(1000)
    at = head.arrived_at - timedelta(hours=1)
    factories.message("late", state=MessageState.FILLED, filled_at=at, published_at=at)

    text = text_of(signed_in().get(reverse("message", args=["late"])))

    assert "Not included in a block for 1 h 00, although its fee cap is above the base fee." in text


def test_a_refusal_of_the_signer_leads_to_its_policy():
    person()
    factories.head(1000)
    wallet = factories.wallet()
    factories.message("no", from_addr=wallet.address, wait=Wait.POLICY, attempts=1)

    text = text_of(signed_in().get(reverse("message", args=["no"])))

    assert f'href="{reverse("policy", args=[wallet.address])}"' in text


def test_an_empty_pool_is_well_without_forecasts():
    person()
    factories.head(1000)

    assert "no sectors are active or in progress." in text_of(signed_in().get(reverse("today")))


def test_the_overview_of_a_healthy_pool_says_so():
    factories.head(1000)
    factories.miner(2001, active_sectors=2)
    operator_person()

    assert "All is well:" in text_of(signed_in("olga").get("/"))


def test_the_overview_counts_sectors_that_no_proof_covers_yet():
    factories.head(1000)
    factories.miner(2001, live_sectors=3, active_sectors=0)
    operator_person()

    text = text_of(signed_in("olga").get("/"))

    assert "0 sectors active, 3 awaiting first proof, 0 in progress" in text
    assert "no sectors are active" not in text


def test_before_the_first_head_the_overview_waits_for_a_node():
    operator_person()

    text = text_of(signed_in("olga").get("/"))

    assert "No chain yet." in text
    assert "no tipset yet" in text


def test_the_overview_counts_down_to_the_next_deadline():
    busy_pool()
    operator_person()

    text = text_of(signed_in("olga").get("/"))

    stat = re.search(r'id="f-stat-post".*?</a>', text, re.DOTALL)
    assert stat is not None
    assert "data-until=" in stat.group(0)
    assert "until deadline 4 closes, will land" in stat.group(0)


def test_a_dead_node_is_said_at_once_not_after_ten_epochs():
    factories.head(1000)
    node = Node.objects.create(
        url="http://10.9.8.7/rpc/v1", condition=NodeCondition.AWAY, error="connection refused"
    )
    operator_person()
    person()

    text = text_of(signed_in("olga").get("/"))
    tenants = text_of(signed_in("ann").get("/"))

    assert "in sync" not in text
    assert "no node answers" in text
    assert "no node can be read" in text
    assert "connection refused" in text
    assert "no node can be read" in tenants
    assert node.url not in tenants
    Node.objects.update(error=f"{node.url}: connection refused")
    assert f"{node.url}: {node.url}" not in text_of(signed_in("olga").get("/"))


def test_a_node_of_another_chain_is_said_with_what_to_do():
    factories.head(1000)
    Node.objects.create(
        url="http://10.9.8.7/rpc/v1",
        condition=NodeCondition.WRONG_NETWORK,
        error="another genesis block of x",
    )
    operator_person()

    text = text_of(signed_in("olga").get("/"))

    assert "node on another network" in text
    assert "another genesis block of x: restart it on the pool&#x27;s network, or disable it" in text
    frame = fragments_render({("node_state", "1")}, viewer=principal("alice"), page="today")
    assert "f-verdict" in frame
    assert "f-head" in frame


def test_a_console_disk_that_is_full_is_said_to_the_operator(settings: Any) -> None:
    settings.DISK_RESERVE_BYTES = 1 << 62
    operator_person()

    page = text_of(signed_in("olga").get("/"))

    assert "The console&#x27;s disk is full" in page
    assert "free up space" in page
