"""A to-do carries the one click that mends it: an existing route, for those who may, naming the object."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.chain.models import Node
from apps.chain.states import NodeCondition
from apps.checks.findings.results import Act
from apps.checks.models import AlertChannel, Notification
from apps.checks.report.cache import codes_write, report_read, report_write
from apps.checks.report.evaluate import evaluate, evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.core.reasons import refused
from apps.dashboard.live_fragments import fragments_render
from apps.gateway.errors import SignerRefused
from apps.messages.models import Message, Sender
from apps.messages.reasons import SIGN_FAILED
from apps.messages.states import MessageState, NoncesBy, SenderState, Wait
from apps.miners.models import Miner
from apps.sectors.models import PipelineRun, Sector, WorkerCommand
from apps.users.models import AuditEntry, MinerGrant, SignerGrant
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import signer_grant
from apps.users.states import Role
from poolsite.wire.pipeline import SectorState
from poolsite.wire.policy_refusals import VALUE, LimitRefusal
from tests import factories
from tests.integration.dashboard.check_scenes import SCENES
from tests.messaging import pool_world
from tests.page_client import hidden_fields, signed_in, text_of
from tests.people import PASSWORD, operator_person, person, principal, tenant

pytestmark = pytest.mark.django_db

ACTS: dict[str, tuple[str, ...]] = {
    "nodes_foreign": ("Unbind the pool…",),
    "fee_debt": ("Pay debt of alice-",),
    "sectors_paused": ("Retry f0",),
    "runs_stopped": ("Retry f0",),
    "messages_stuck": ("Retry Send",),
    "messages_unapproved": ("Review Send…",),
    "grants_unchosen": ("Review bob…",),
    "messages_replaced": ("Push again Send…",),
    "miners_created": ("Add f01026…",),
    "policies_advised": ("Review policy of alice…",),
    "base_fee_above_cap": ("Raise fees of Send…",),
    "senders_left": ("Let the pool send for",),
    "senders_paused": ("Resume",),
    "balances_short": ("Send FIL to",),
    "wins_lost": ("Warm up alice-",),
    "blocks_unstarted": ("Make no blocks for alice-",),
    "rounds_unbegun": ("Warm up alice-",),
    "wins_rare": ("Warm up alice-",),
    "hosts_paused": ("Resume idle",),
    "disputes_lost": ("Dry run f0",),
    "copies_bad": ("Rebuild f0",),
    "sectors_expiring": ("Extend 1 sector…",),
    "allocations_ending": ("Take the data of allocation",),
    "notifications_undelivered": ("Test ops",),
}
"""What each check's scene has a button for; no other check has a click that would mend it."""
DONE: dict[str, Callable[[], bool]] = {
    "sectors_paused": lambda: Sector.objects.get().paused_at is None,
    "runs_stopped": lambda: PipelineRun.objects.get().paused_at is None,
    "messages_stuck": lambda: Message.objects.get().attempts == 0,
    "senders_left": lambda: Sender.objects.get().nonces_by == NoncesBy.BOTH,
    "senders_paused": lambda: Sender.objects.get().state == SenderState.ALIVE,
    "blocks_unstarted": lambda: MinerGrant.objects.get().updated_at > now() - timedelta(minutes=1),
    "hosts_paused": lambda: WorkerCommand.objects.filter(op="resume").exists(),
    "notifications_undelivered": lambda: Notification.objects.filter(
        event="TEST", body__id__isnull=False
    ).exists(),
}
"""What the click of each has done."""
SHOWS: dict[str, str] = {
    **dict.fromkeys(("wins_lost", "rounds_unbegun", "wins_rare"), "A win would be lost at this step"),
    "disputes_lost": "node",
}
"""What the page shows that the click of each leads to, instead of a change."""


def acts_of(name: str, viewer: Any = SYSTEM) -> list[Act]:
    result = evaluate_some([name], CheckData(viewer)).result(name)
    assert result is not None
    return [act for finding in result.findings for act in finding.acts]


def todo_of(text: str) -> str:
    return text[text.index('id="f-todo"') :].partition("</section>")[0]


def browser(name: str = "olga") -> Client:
    """One that has to show the token of its forms."""
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in(name).cookies
    return client


def clicked(client: Client, act: Act, *, page: str = "today") -> Any:
    """Press the button of an act on a page."""
    text = text_of(client.get(reverse(page)))
    form = re.search(
        rf'<form method="post" action="{re.escape(act.link.address)}">(.*?)</form>', text, re.DOTALL
    )
    assert form is not None
    assert act.text in unescape(form.group(1))
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form.group(1)))
    return client.post(act.link.address, fields)


@pytest.mark.parametrize("name", SCENES)
def test_every_check_has_the_acts_that_mend_it(quiet, monkeypatch, name):
    SCENES[name](monkeypatch)

    acts = acts_of(name)
    text = text_of(signed_in("olga").get("/")) if acts else ""

    assert len(acts) == len(ACTS.get(name, ())), acts
    for act, words in zip(acts, ACTS.get(name, ()), strict=True):
        assert act.text.startswith(words)
        assert act.text in unescape(todo_of(text))
        assert act.opens_page is (name not in DONE and name not in SHOWS), "it is clicked below"


@pytest.mark.parametrize(
    ("name", "page"),
    [
        pytest.param(name, page, marks=[pytest.mark.slow] if at and page == "checks" else [])
        for at, name in enumerate(DONE)
        for page in ("today", "checks")
    ],
)
def test_the_click_does_it_by_the_existing_route(quiet, monkeypatch, name, page):
    SCENES[name](monkeypatch)
    [act] = acts_of(name)
    assert not DONE[name]()

    answer = clicked(browser(), act, page=page)

    assert answer.status_code == 302
    assert DONE[name]()
    assert AuditEntry.objects.filter(actor__contains="olga").exists()


@pytest.mark.parametrize("name", SHOWS)
def test_the_click_shows_what_fails(quiet, monkeypatch, name):
    SCENES[name](monkeypatch)
    [act] = acts_of(name)

    assert SHOWS[name] in text_of(clicked(browser(), act))


def test_a_debt_is_paid_by_a_transfer_that_is_filled_in(quiet):
    wallet = factories.wallet(label="till")
    signer_grant(tenant=tenant("pool"), address=wallet.address)
    factories.miner(fee_debt=15 * 10**17)
    [act] = acts_of("fee_debt")

    text = text_of(signed_in("olga").get(act.link.address))

    assert act.opens_page
    assert f'value="{Miner.objects.get().address}"' in text
    assert re.search(r'name="value" value="1\.5"', text)


@pytest.mark.parametrize(
    ("state", "wait", "words"),
    [
        (MessageState.UNFILLED, Wait.ESTIMATE, "Retry Send"),
        (MessageState.UNFILLED, Wait.FEE_LIMIT, "Raise fee of Send…"),
        (MessageState.UNFILLED, Wait.FUNDS, "Send FIL to till…"),
        (MessageState.UNFILLED, Wait.GAS_CAP, "Change the fee rules of till…"),
        (MessageState.FILLED, Wait.FEE_CAP, "Raise fees of Send"),
        (MessageState.FILLED, Wait.NODE_REFUSES, "Raise fees of Send"),
        (MessageState.FILLED, Wait.NODE_AWAY, "Republish Send"),
    ],
)
def test_a_stuck_message_has_the_doctors_first_action(quiet, state, wait, words):
    wallet = factories.wallet(label="till")
    long_ago = now() - timedelta(hours=1)
    flight: dict[str, Any] = (
        {"nonce": 0, "filled_at": long_ago, "published_at": long_ago} if state == MessageState.FILLED else {}
    )
    row = factories.message("held", from_addr=wallet.address, state=state, wait=wait, attempts=3, **flight)
    if state == MessageState.FILLED:
        Message.objects.filter(pk=row.pk).update(gas_fee_cap=10**18 if wait != Wait.FEE_CAP else 1)

    assert [act.text for act in acts_of("messages_stuck")] == [words]


def test_a_message_that_its_policy_refuses_again_leads_to_the_policy(quiet):
    wallet = factories.wallet(label="till")
    refusal = SIGN_FAILED(reason=refused(SignerRefused(str(LimitRefusal("small", VALUE, "5 FIL", "1 FIL")))))
    factories.message("held", from_addr=wallet.address, wait=Wait.POLICY, attempts=3, error=refusal)

    [act] = acts_of("messages_stuck")

    assert act.text == "Change the signing policy of till…"
    assert act.link.address == reverse("policy", args=[wallet.address])


def test_the_message_that_holds_up_another_is_replaced(quiet):
    wallet = factories.wallet()
    long_ago = now() - timedelta(hours=1)
    for nonce in range(2):
        factories.message(
            f"nonce {nonce}",
            from_addr=wallet.address,
            state=MessageState.FILLED,
            nonce=nonce,
            gas_fee_cap=1,
            filled_at=long_ago,
            published_at=long_ago,
            priority=2 - nonce,
        )

    [act] = acts_of("messages_stuck")

    assert act.link.address == reverse("message-replace", args=["nonce 0"])


def test_all_messages_below_the_base_fee_are_raised_after_one_review(monkeypatch):
    with pool_world(monkeypatch) as pool:
        operator_person()
        pool.push("above", address := pool.address())
        for name in ("one", "two"):
            pool.push(name, address)
        pool.choose()
        Message.objects.exclude(push_id="above").update(gas_fee_cap=1)
        [act] = acts_of("base_fee_above_cap")
        browser = signed_in("olga")

        answer = browser.get(act.link.address)
        review = text_of(answer)

        assert act.text == "Raise fees of 2 messages…"
        assert "At the current base fee, gas costs" in review
        assert not Message.objects.filter(gas_fee_cap=1, state="REPLACED").exists()
        assert "2 messages done" in text_of(browser.post(act.link.address, hidden_fields(answer)))
        assert acts_of("base_fee_above_cap") == []
        listed = text_of(browser.get(reverse("messages") + "?state=priced-out"))
        assert reverse("message", args=[pool.row("one").pk]) not in listed


def test_one_message_below_the_base_fee_is_raised_after_its_review(monkeypatch):
    with pool_world(monkeypatch) as pool:
        operator_person()
        pool.push("one", pool.address())
        pool.choose()
        Message.objects.update(gas_fee_cap=1)
        [act] = acts_of("base_fee_above_cap")

        assert act.link.address == reverse("message-replace", args=[pool.row("one").pk])
        review = text_of(signed_in("olga").get(act.link.address))
        assert 'name="gas_fee_cap"' in review
        listed = text_of(signed_in("olga").get(reverse("messages") + "?state=priced-out"))
        assert reverse("message", args=[pool.row("one").pk]) in listed


def test_a_node_of_another_chain_is_disabled_beside_others(quiet):
    bad = Node.objects.create(
        url="http://one", name="one", condition=NodeCondition.WRONG_NETWORK, error="other genesis"
    )
    factories.miner()
    assert acts_of("nodes_foreign") == []
    Node.objects.create(url="http://two", name="two", condition=NodeCondition.HEALTHY)
    [act] = acts_of("nodes_foreign")

    assert clicked(browser(), act).status_code == 302

    bad.refresh_from_db()
    assert act.text == "Disable one"
    assert not bad.is_enabled
    assert acts_of("nodes_foreign") == []


def test_whoever_proved_nothing_lately_is_asked_by_the_route(quiet):
    Node.objects.create(
        url="http://one", name="one", condition=NodeCondition.WRONG_NETWORK, error="other genesis"
    )
    Node.objects.create(url="http://two", name="two", condition=NodeCondition.HEALTHY)
    [act] = acts_of("nodes_foreign")
    client = Client(enforce_csrf_checks=True)
    assert client.login(username="olga", password=PASSWORD)

    assert "Confirm your identity" in text_of(clicked(client, act))


def test_a_pool_that_is_bound_by_mistake_is_unbound_after_a_question(quiet):
    Node.objects.create(
        url="http://one", name="one", condition=NodeCondition.WRONG_NETWORK, error="other genesis"
    )
    [act] = acts_of("nodes_foreign")

    assert act.opens_page
    assert "Unbind the pool from its network" in text_of(signed_in("olga").get(act.link.address))


def test_a_test_of_a_channel_has_what_waits_for_it_sent_before(quiet):
    channel = AlertChannel.objects.create(name="ops", kind="WEBHOOK", target="x")
    later = now() + timedelta(minutes=30)
    facts = {"event": "TEST", "body": {}, "created_at": now(), "next_try_at": later, "attempts": 6}
    waiting = Notification.objects.create(channel=channel, **facts)
    [act] = acts_of("notifications_undelivered")

    clicked(browser(), act)

    waiting.refresh_from_db()
    assert waiting.next_try_at is not None
    assert waiting.next_try_at < later
    Notification.objects.filter(pk=waiting.pk).update(next_try_at=None)
    assert acts_of("notifications_undelivered") != []
    Notification.objects.exclude(pk=waiting.pk).update(next_try_at=None, delivered_at=now())
    assert acts_of("notifications_undelivered") == [], "it has taken a later one"


def test_a_tenant_acts_on_its_own_objects_only(quiet):
    person()
    factories.worker("mine", is_paused=True)
    factories.worker("theirs", of="bob", is_paused=True)

    todo = todo_of(text_of(signed_in("ann").get("/")))

    assert "Resume mine" in todo
    assert "theirs" not in todo


def test_who_may_not_sign_has_no_button(quiet):
    person("ava", role=Role.AUDITOR)
    worker = factories.worker("mine", is_paused=True)

    text = text_of(signed_in("ava").get("/"))

    assert "mine paused" in todo_of(text)
    assert "Resume mine" not in text
    assert f'href="{reverse("host", args=[worker.uuid])}"' in todo_of(text)


def test_a_sender_that_tenants_share_is_resumed_by_the_operator_alone(quiet):
    person()
    for name in ("alice", "bob"):
        SignerGrant.objects.create(tenant=tenant(name), address=factories.bls(1))
    factories.sender(factories.bls(1), state=SenderState.FORBIDDEN)

    assert acts_of("senders_paused", principal("alice")) == []
    assert len(acts_of("senders_paused")) == 1


def test_three_of_many_paused_hosts_have_a_button(quiet):
    for number in range(5):
        factories.worker(f"h{number}", is_paused=True)

    assert [act.text for act in acts_of("hosts_paused")] == ["Resume h0", "Resume h1", "Resume h2"]


def test_a_paused_sector_with_a_late_ticket_is_retried(quiet):
    factories.head(10_000_000)
    factories.sector(
        factories.miner(), state=SectorState.PC2_DONE, ticket_epoch=1000, paused_at=now(), error="x"
    )

    row = Sector.objects.get()
    wanted = [f"Retry {row.miner.address} / {row.number}"]
    assert [act.text for act in acts_of("tickets_expiring")] == wanted


def test_acts_survive_in_the_shared_report(quiet):
    factories.worker("idle", is_paused=True)
    factories.miner(fee_debt=10**18)
    report = evaluate(CheckData(SYSTEM))

    assert report_read(report_write(report), codes_write(report)) == report


def test_the_bell_has_the_same_buttons_on_every_page(quiet):
    factories.worker("idle", is_paused=True)
    [act] = acts_of("hosts_paused")

    answer = clicked(browser(), act, page="gas")

    assert answer.status_code == 302
    assert WorkerCommand.objects.get().op == "resume"
    frame = fragments_render({("worker", "1")}, viewer=SYSTEM, page="today")
    assert act.link.address in frame, "the pushed list has it, too"


def test_sectors_that_failed_alike_are_one_line_with_one_act():
    operator_person()
    miner = factories.miner(2001)
    for number in range(3):
        factories.sector(
            miner, state=SectorState.PC1_DONE, paused_at=now(), error=f"no space on /data/{number}"
        )
    factories.sector(miner, state=SectorState.PC1_DONE, paused_at=now(), error="tree is damaged")
    factories.sector(miner, state=SectorState.PC1_DONE, paused_at=now(), paused_by="ann")

    result = evaluate_some(["sectors_paused"], CheckData(SYSTEM)).result("sectors_paused")

    assert result is not None
    assert [(one.count, [act.label for act in one.acts]) for one in result.findings] == [
        (3, ["Retry"]),
        (1, ["Retry"]),
        (1, ["Retry"]),
    ]
    [all_of_them] = result.findings[0].acts
    assert all_of_them.text == "Retry 3 sectors"
    signed_in("olga").post(all_of_them.link.address)
    assert Sector.objects.filter(paused_at=None).count() == 3
