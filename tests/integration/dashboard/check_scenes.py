"""The scenes of the checks: what breaks in a quiet pool so that a check fails, by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from apps.automation.reasons import NOT_CARRIED_OUT
from apps.blocks.models import F3Lease, Round
from apps.blocks.selectors.finality import F3Participation
from apps.blocks.states import RoundState
from apps.chain.models import Node
from apps.chain.selectors.status import network_known
from apps.chain.states import NodeCondition
from apps.checks.models import AlertChannel, Notification
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.core.database_times import SlowDatabase
from apps.core.disk import DiskSpace
from apps.core.marked_texts import gettext
from apps.core.models import Console
from apps.core.reasons import refused
from apps.gateway.errors import SignerAway
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.market.models import MinerMarket
from apps.messages.models import Recovery
from apps.messages.reasons import DATABASE_OTHER
from apps.messages.services.recovery.detect import recovery_begin
from apps.messages.states import MessageState, NoncesBy, SenderState, Wait
from apps.miners.models import Role
from apps.miners.states import RoleKind, RoleState
from apps.pieces.models import BlockIndex
from apps.pieces.reasons import INDEX_WRONG
from apps.proving.models import Dispute, SectorCheck, WindowPost
from apps.proving.reasons import NO_PROVER
from apps.proving.states import Forecast
from apps.users.models import LoginAttempt, MinerGrant
from apps.users.selectors.guessed_factors import SUSPICIOUS
from apps.users.services.grants import signer_grant
from poolsite.filecoin.actors.power import CreateMinerReturn
from poolsite.filecoin.address import id_address
from poolsite.filecoin.codec import to_cbor
from tests import factories
from tests.auto_rules import auto_rule
from tests.integration.dashboard.check_scenes_sealing import SEALING_SCENES, epochs_ago
from tests.mk20 import sized
from tests.people import person, tenant


def chain_stalled(_: Any) -> None:
    factories.head(1001, arrived_at=epochs_ago(600))


def head_late(_: Any) -> None:
    factories.head(1001, arrived_at=epochs_ago(5))


def nodes_unreadable(_: Any) -> None:
    Node.objects.create(url="http://one", name="one", condition=NodeCondition.AWAY, error="refused")


def nodes_foreign(_: Any) -> None:
    said = gettext("the node is on {name}; this pool belongs to {network}")
    error = said.format(name="mainnet", network="testnet")
    Node.objects.create(url="http://one", name="one", condition=NodeCondition.WRONG_NETWORK, error=error)


def nodes_unhealthy(_: Any) -> None:
    Node.objects.create(url="http://two", name="two", condition=NodeCondition.HEALTHY)
    Node.objects.create(url="http://one", name="one", condition=NodeCondition.AWAY)


def nodes_forked(_: Any) -> None:
    Node.objects.create(url="http://two", name="two", condition=NodeCondition.HEALTHY)
    Node.objects.create(url="http://one", name="one", condition=NodeCondition.FORKED, error="at epoch 9")


def network_is_public(monkeypatch: Any) -> None:
    known = network_known()
    assert known is not None
    monkeypatch.setattr(
        "apps.checks.selectors.data.network_known", lambda: replace(known, name="calibrationnet")
    )


def f3_stalled(monkeypatch: Any) -> None:
    network_is_public(monkeypatch)
    said = F3Participation(is_running=True, instance=7, finalized=960, head_height=1000)
    monkeypatch.setattr("apps.checks.selectors.data.f3_read", lambda: {"one": said})


def pool_clock_skew(monkeypatch: Any) -> None:
    network_is_public(monkeypatch)
    factories.head(1001, timestamp=int(now().timestamp()) + 5)


def upgrade_unready(_: Any) -> None:
    for name in ("one", "two"):
        upgrades = {"FireHorse": 5000}
        Node.objects.create(url=f"http://{name}", name=name, condition="HEALTHY", upgrades=upgrades)
    Node.objects.create(url="http://old", name="old", condition="HEALTHY", upgrades={"Dragon": 1})


def sectors_faulty(_: Any) -> None:
    factories.deadline(factories.miner(faulty_sectors=3), 1, live=3, faulty=3)


def auto_terminations(_: Any) -> None:
    factories.head(10_000)
    miner = factories.miner(faulty_sectors=1, live_sectors=1, pledge=10**18)
    row = factories.deadline(miner, 1, live=1, faulty=1, open_epoch=10_020, faulty_since=7_700)
    factories.partition(row, live=[4], faulty=[4], faulty_since={"4": 7_700})


def cutoffs_missed(_: Any) -> None:
    miner = factories.miner(faulty_sectors=1, live_sectors=2)
    row = factories.deadline(miner, 1, live=2, faulty=1, open_epoch=1005, faulty_since=950)
    factories.partition(row, live=[4, 5], faulty=[4], faulty_since={"4": 950})


def recoveries_capped(_: Any) -> None:
    factories.deadline(factories.miner(faulty_sectors=12_000), 1, live=12_000, faulty=12_000)


def sector_files(_: Any) -> None:
    miner = factories.miner(active_sectors=2)
    row = factories.deadline(miner, 1, live=2, open_epoch=1030)
    factories.partition(row, live=[7, 8])
    SectorCheck.objects.create(
        miner=miner,
        number=7,
        deadline_index=1,
        store="store-1",
        host="prover-1",
        is_good=False,
        path="/store/sealed/s-t01000-7",
        reason="it is missing",
        checked_at=now(),
        height=1000,
        bad_since=1000,
        bad_times=1,
    )


def windows_missed(_: Any) -> None:
    miner = factories.miner(active_sectors=2)
    factories.deadline(miner, 1, live=2, forecast=Forecast.LATER, open_epoch=1030)
    times = {"open_epoch": 970, "close_epoch": 980, "challenge_epoch": 968}
    WindowPost.objects.create(
        miner=miner,
        deadline_index=1,
        randomness=b"r",
        state="MISSED",
        error=NO_PROVER(),
        **times,
    )


def windows_at_risk(_: Any) -> None:
    factories.deadline(
        factories.miner(),
        2,
        live=1,
        open_epoch=999,
        close_epoch=1009,
        forecast=Forecast.AT_RISK,
        reason=NO_PROVER(),
    )


def roles_unheld(_: Any) -> None:
    miner = factories.miner(active_sectors=2)
    given = {"kind": RoleKind.WINDOW, "since": epochs_ago(100), "heard_at": epochs_ago(90)}
    lapsed = {"state": RoleState.HELD, "token": 3, "lease_until": epochs_ago(89)}
    Role.objects.create(miner=miner, host="rack-a", **given, **lapsed)
    Role.objects.create(miner=miner, host="rack-b", **given)


def deals_late(_: Any) -> None:
    miner = factories.miner()
    factories.deal(miner, sized(b"data"), start_epoch=1500)
    factories.deal(miner, sized(b"others"), state="VERIFIED", chain_deal=7, start_epoch=1005)


def indexes_wrong(_: Any) -> None:
    market = MinerMarket.objects.create(miner=factories.miner(), serves_data=True)
    piece = factories.piece(market.miner, state="ACTIVE", sector_number=0, offset=0)
    BlockIndex.objects.create(
        piece=piece, outcome="INDEXED", blocks=16, reason=INDEX_WRONG(wrong=1, sampled=16)
    )


def doors_down(_: Any) -> None:
    MinerMarket.objects.create(miner=factories.miner(), takes_libp2p=True)


def moves_restored(_: Any) -> None:
    factories.miner(works_from=960)
    recovery_begin(DATABASE_OTHER(), now=now())
    Recovery.objects.update(since=None, sectors_since=None)


def disputes_lost(_: Any) -> None:
    miner = factories.miner()
    factories.deadline(miner, 1, live=2, open_epoch=1030)
    Dispute.objects.create(
        miner=miner,
        deadline_index=1,
        post_index=0,
        from_addr=factories.bls(7),
        cid=factories.cid("dispute"),
        height=999,
        exit_code=0,
    )


def fee_debt(_: Any) -> None:
    factories.miner(fee_debt=10**18)


def miners_unread(_: Any) -> None:
    """Heads come, and the task that reads miners at each does not run."""
    factories.miner(refreshed_height=1000)
    factories.head(1012, arrived_at=epochs_ago(3))
    factories.head(1015)


def worker_change_pending(_: Any) -> None:
    factories.miner(new_worker="f0103", new_worker_epoch=1100)


def miners_created(_: Any) -> None:
    made = CreateMinerReturn(id_address(1026), id_address(1026))
    factories.message(
        "init", state=MessageState.LANDED, to="f04", method=2, return_data=to_cbor(made), created_at=now()
    )


def recovery(_: Any) -> None:
    recovery_begin(DATABASE_OTHER(), now=now())


def sector_recovery(_: Any) -> None:
    factories.worker("sealer-9")
    recovery_begin(DATABASE_OTHER(), now=now())
    Recovery.objects.update(since=None)


def messages_stuck(_: Any) -> None:
    factories.message("held", wait=Wait.POLICY, attempts=3)
    factories.sender(factories.bls(1))


def messages_unapproved(_: Any) -> None:
    factories.message("unapproved", needs_approval=True, wait=Wait.APPROVAL)


def grants_unchosen(_: Any) -> None:
    SignerKey.objects.create(address=factories.bls(6), tenant=tenant("alice"), verified_at=now())
    signer_grant(tenant=tenant("bob"), address=factories.bls(6))


def messages_replaced(_: Any) -> None:
    factories.message("taken", state=MessageState.REPLACED, wait=Wait.NONCE_TAKEN, nonce=3, error="used")


def rules_hindered(_: Any) -> None:
    auto_rule(stopped=NOT_CARRIED_OUT(id="m-1"))


def factors_guessed(_: Any) -> None:
    person("nora")
    for _n in range(SUSPICIOUS):
        LoginAttempt.objects.create(
            username="nora", source="10.6.6.6", at=now(), is_good=False, is_second=True
        )


def messages_failed(_: Any) -> None:
    factories.message("bad", state=MessageState.FAILED, error="marked as failed")


def base_fee_above_cap(_: Any) -> None:
    flight: dict[str, Any] = {"nonce": 0, "filled_at": now(), "published_at": now(), "gas_fee_cap": 1}
    factories.message("cheap", state=MessageState.FILLED, wait="", **flight)


def nonce_gaps(_: Any) -> None:
    factories.sender(factories.bls(1), gap_nonce=4)


def senders_foreign(_: Any) -> None:
    factories.sender(factories.bls(1), foreign_at=now())


def senders_left(_: Any) -> None:
    factories.sender(factories.bls(1), nonces_by=NoncesBy.OTHER)
    factories.message("left", from_addr=factories.bls(1))


def senders_paused(_: Any) -> None:
    factories.sender(factories.bls(1), state=SenderState.FORBIDDEN)


def balances_short(_: Any) -> None:
    wallet = factories.wallet(balance=10**12)
    factories.sender(wallet.address)
    factories.spend(wallet.address, days_ago=1)


def signers_away(_: Any) -> None:
    wallet = factories.wallet(seen_at=None)
    factories.message("unsigned", from_addr=wallet.address)


def connection(model: Any, **values: Any) -> None:
    failed = {"failures": 1, "failed_at": now(), "last_failure": "timed out"}
    times = {"created_at": now(), "seen_at": now(), "process": "web"}
    model.objects.create(tenant=tenant(), **times, **failed, **values)


def requests_failed(_: Any) -> None:
    connection(SignerConnection)


def policies_advised(_: Any) -> None:
    factories.signer_connection(factories.bls(7), policy_advice=["proofs by day"])


def round_of(**values: Any) -> None:
    common = {"miner": factories.miner(qa_power=2048), "epoch": 990, "base_height": 989, "at": now()}
    Round.objects.create(**{**common, "expected": 0.2, **values})


def wins_lost(_: Any) -> None:
    round_of(state=RoundState.PROOF_TIMEOUT, win_count=1, sector=4, reason="no answer in time")


def blocks_foreign(_: Any) -> None:
    miner = factories.miner()
    grant = MinerGrant.objects.create(actor_id=miner.actor_id or 0, tenant=miner.tenant, open_mining=True)
    MinerGrant.objects.filter(pk=grant.pk).update(updated_at=epochs_ago(10))
    factories.head(miners=[miner.address])


def blocks_unstarted(_: Any) -> None:
    head = factories.head()
    miner = factories.miner(qa_power=2048, has_min_power=True, works_from=head.height - 30)
    MinerGrant.objects.create(actor_id=miner.actor_id or 0, tenant=miner.tenant, open_mining=False)
    MinerGrant.objects.update(updated_at=epochs_ago(100))


def rounds_unbegun(_: Any) -> None:
    round_of(epoch=900, base_height=899, at=epochs_ago(100), state=RoundState.NO_WIN, expected=0.0)
    miner = Round.objects.get().miner
    MinerGrant.objects.create(actor_id=miner.actor_id or 0, tenant=miner.tenant, open_mining=True)


def rounds_undrawn(_: Any) -> None:
    round_of(state=RoundState.SIGNER_AWAY, reason=refused(SignerAway(factories.bls(1))))


def wins_rare(_: Any) -> None:
    round_of(state=RoundState.NO_WIN, expected=20.0)


def f3_unleased(_: Any) -> None:
    since = now() - timedelta(minutes=10)
    lease = F3Lease(ticket="b2xk", from_instance=1, ends=6, instance=9)
    lease.miner, lease.failing_since, lease.reason = factories.miner(), since, "no node that runs F3 responds"
    lease.save()


def winning_proofs_failed(_: Any) -> None:
    connection(ProverConnection, actor_id=factories.miner().actor_id)


def console_disk(monkeypatch: Any) -> None:
    monkeypatch.setattr("django.conf.settings.DISK_RESERVE_BYTES", 1 << 30)
    full = DiskSpace(free=0, total=1 << 40)
    monkeypatch.setattr("apps.checks.findings.console.disk_spaces", lambda: [full])


def database_slow(monkeypatch: Any) -> None:
    slow = SlowDatabase(since=now().timestamp() - 300, ms=900.0, locks_s=0.0)
    monkeypatch.setattr("apps.checks.findings.console.database_slow", lambda: slow)


def processes_down(monkeypatch: Any) -> None:
    row = {"name": "tasks", "pid": None, "up": False, "restarts": 4, "last_exit": -9, "once": False}
    monkeypatch.setattr("apps.core.processes.supervised", lambda: {"tasks": row})


def consoles_unshared(_: Any) -> None:
    at = now()
    for machine in ("a", "b"):
        Console.objects.create(machine=machine, started_at=at, seen_at=at, probed_at=at)
    unread = {"machine": "a", "setting": "C1_DIR", "folder": "/mnt/c1", "reason": "another file is there"}
    Console.objects.filter(machine="b").update(unread=[unread])


def backups_old(monkeypatch: Any) -> None:
    network_is_public(monkeypatch)
    long_ago = now() - timedelta(days=5)
    monkeypatch.setattr("apps.checks.selectors.data.backup_last_taken", lambda: long_ago)


def checks_late(monkeypatch: Any) -> None:
    monkeypatch.setattr(CheckData, "evaluated_at", property(lambda data: data.at - timedelta(minutes=2)))


def notifications_undelivered(_: Any) -> None:
    channel = AlertChannel.objects.create(name="ops", kind="WEBHOOK", target="x")
    failed = {"event": "TEST", "body": {}, "created_at": now(), "next_try_at": now(), "attempts": 3}
    Notification.objects.create(channel=channel, **failed)


SCENES: dict[str, Callable[[Any], None]] = {
    scene.__name__: scene
    for scene in (
        chain_stalled,
        head_late,
        nodes_unreadable,
        nodes_foreign,
        nodes_unhealthy,
        nodes_forked,
        f3_stalled,
        pool_clock_skew,
        upgrade_unready,
        sectors_faulty,
        auto_terminations,
        cutoffs_missed,
        recoveries_capped,
        sector_files,
        windows_missed,
        windows_at_risk,
        roles_unheld,
        deals_late,
        doors_down,
        indexes_wrong,
        moves_restored,
        disputes_lost,
        fee_debt,
        miners_unread,
        worker_change_pending,
        miners_created,
        recovery,
        sector_recovery,
        messages_stuck,
        messages_unapproved,
        grants_unchosen,
        messages_replaced,
        rules_hindered,
        messages_failed,
        base_fee_above_cap,
        nonce_gaps,
        senders_foreign,
        senders_left,
        senders_paused,
        balances_short,
        signers_away,
        requests_failed,
        policies_advised,
        wins_lost,
        blocks_foreign,
        blocks_unstarted,
        rounds_unbegun,
        rounds_undrawn,
        wins_rare,
        f3_unleased,
        winning_proofs_failed,
        console_disk,
        database_slow,
        processes_down,
        consoles_unshared,
        backups_old,
        checks_late,
        notifications_undelivered,
        factors_guessed,
    )
} | SEALING_SCENES
