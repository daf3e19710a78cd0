"""A miner goes to another tenant with all that hangs on it, or nothing of it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.core.errors import DomainError, NotAllowed
from apps.gateway.models import SignerConnection
from apps.messages.models import Message
from apps.messages.services.push import message_push
from apps.messages.states import MessageState
from apps.miners.errors import MinerMoved, MinerNotReady, TransferKeyReused, TransferRefused
from apps.miners.models import Miner, MinerTransfer
from apps.miners.selectors.miners import miner_principal, miners_visible
from apps.miners.selectors.senders import sender_choose
from apps.miners.services.transfer import MOVED
from apps.miners.states import MinerState, Use
from apps.proving.models import Deadline
from apps.proving.services.jobs import Window, job_create
from apps.proving.services.transfer import miner_transfer, transfer_plan
from apps.sectors.models import Job, SealTarget, Sector
from apps.sectors.selectors.sectors import sectors_visible
from apps.sectors.states import JobState
from apps.users.models import AuditEntry, MinerGrant, Tenant, Token
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.audit import audit_visible
from apps.users.selectors.grants import miner_owner
from apps.users.services.grants import signer_grant_revoke
from apps.users.services.tenants import tenant_delete, tenant_update
from apps.users.services.tokens import TokenLimits
from poolsite.wire.job_inputs import ProvenSector
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from tests import factories, people
from tests.transfer_fixtures import ADDRESS, STORE, TransferCase, transfer_case
from tests.unit.apps.messages.kills import Kill, killed, killed_after
from tests.unit.apps.proving.transfer import claimed

pytestmark = pytest.mark.django_db


@pytest.fixture
def pool() -> TransferCase:
    factories.head(1000)
    return transfer_case()


def whose(pool: TransferCase) -> set[str]:
    """Whose everything is that goes with the miner."""
    return {
        Miner.objects.get(pk=pool.miner.pk).tenant.name,
        miner_owner(actor_id=2001),
        *Sector.objects.filter(miner=pool.miner).values_list("tenant__name", flat=True),
    }


def seen(name: str) -> list[Any]:
    """What a tenant's people see of miners, sectors and deadlines."""
    viewer = people.principal(name)
    deadlines = Deadline.objects.filter(miner__in=miners_visible(viewer))
    return [*miners_visible(viewer), *sectors_visible(viewer), *deadlines]


def test_row_right_sectors_and_deadlines_go_and_the_giver_sees_nothing(pool: TransferCase) -> None:
    MinerGrant.objects.update(open_mining=False)
    assert len(seen("alice")) == 8

    done = pool.go()

    assert whose(pool) == {"bob"}
    assert (len(seen("alice")), len(seen("bob"))) == (0, 8)
    assert not MinerGrant.objects.get().open_mining
    assert (done.from_tenant.name, done.to_tenant.name, done.sectors, done.actor) == (
        "alice",
        "bob",
        1,
        "system",
    )


def test_settings_go_and_the_next_message_is_the_receivers(pool: TransferCase) -> None:
    pool.go()

    row = Miner.objects.get(pk=pool.miner.pk)
    assert sender_choose(row, Use.POST).address == pool.control_key
    assert miner_principal(row).tenant_name == "bob"


def test_what_was_pushed_stays_the_givers(pool: TransferCase) -> None:
    for state in (MessageState.UNFILLED, MessageState.FILLED, MessageState.LANDED):
        factories.message(str(state), to=ADDRESS, from_addr=pool.worker_key, state=state)

    done = pool.go()

    assert done.messages == 2
    assert set(Message.objects.values_list("tenant__name", flat=True)) == {"alice"}


def test_transfer_is_audited_for_operator_and_both_tenants(pool: TransferCase) -> None:
    pool.go()

    lines = {row.action: row for row in AuditEntry.objects.all()}
    assert set(lines) == {"miner.transfer", "miner.transfer-out", "miner.transfer-in"}
    whole = lines["miner.transfer"]
    assert whole.after is not None
    assert (whole.target, whole.before) == (ADDRESS, {"tenant": "alice"})
    assert {key: whole.after[key] for key in ("tenant", "sectors")} == {"tenant": "bob", "sectors": 1}
    for name, action in (("alice", "miner.transfer-out"), ("bob", "miner.transfer-in")):
        assert [row.action for row in audit_visible(people.principal(name))] == [action]
    assert lines["miner.transfer-in"].after == {"tenant": "bob", "sectors": 1}


def test_sealing_target_ends_and_the_giver_reads_so(pool: TransferCase) -> None:
    SealTarget.objects.create(miner=pool.miner, in_work=7, since=clock.now(), look_at=clock.now())

    pool.go()

    assert not SealTarget.objects.exists(), "it would spend what bob has"
    line = audit_visible(people.principal("alice")).get(action="miner.target-remove")
    assert (line.before, line.after) == ({"in_work": "7 sectors", "balance_min": "0 FIL"}, None)
    assert not audit_visible(people.principal("bob")).filter(action="miner.target-remove").exists()


def test_tokens_that_name_it_lose_it_and_none_becomes_wider(pool: TransferCase) -> None:
    alone, both, other = (
        people.token("sign", of="alice", limits=TokenLimits(miners=miners))
        for miners in ([2001], [2001, 7], [7])
    )
    operators = people.token("admin", of="alice", is_operator=True, limits=TokenLimits(miners=[2001]))
    assert len({alone, both, other, operators}) == 4

    done = pool.go()

    rows = {tuple(row.miners): row.revoked_at is None for row in Token.objects.filter(is_operator=False)}
    assert (2001,) in rows, "a token that is brought back must not be one without a limit"
    assert Token.objects.filter(miners=[2001], revoked_at=None, is_operator=False).count() == 0
    assert Token.objects.filter(miners=[7], revoked_at=None).count() == 2
    assert Token.objects.get(is_operator=True).revoked_at is None
    assert (done.tokens_kept, done.tokens_revoked) == (["alice-sign"], ["alice-sign"])


@pytest.mark.parametrize("data", [{}, {"from_tenant": "alice"}, {"key": "k"}], ids=["alike", "from", "key"])
def test_again_is_the_same_hand_over(pool: TransferCase, data: dict[str, str]) -> None:
    first = pool.go(**data)

    assert pool.go(**data) == first
    assert AuditEntry.objects.filter(action="miner.transfer").count() == 1


def test_a_key_is_for_one_receiver_and_good_after_the_miner_went_on(pool: TransferCase) -> None:
    first = pool.go(key="k")
    Miner.objects.update(tenant=people.tenant("alice"))

    assert pool.go(key="k") == first
    with pytest.raises(TransferKeyReused):
        pool.go(key="k", to_tenant=people.tenant("carol"))


def test_who_had_it_before_and_gets_it_back_gets_it(pool: TransferCase) -> None:
    pool.go()
    back = people.tenant("alice")
    factories.signer_connection(of="alice")
    for key in (pool.worker_key, pool.control_key):
        factories.signer_key(key, SignerConnection.objects.get(tenant=back))
    factories.worker("prover-a", of="alice", kinds=[JobKind.WINDOW_POST], stores=[STORE])

    done = pool.go(to_tenant=back)

    assert whose(pool) == {"alice"}
    assert pool.go().pk != done.pk
    assert MinerTransfer.objects.count() == 3


def receiver_is_disabled(_pool: TransferCase) -> None:
    tenant_update(tenant=people.tenant("bob"), enabled=False)


def receiver_may_not_sign(pool: TransferCase) -> None:
    signer_grant_revoke(tenant=people.tenant("bob"), address=pool.worker_key)


def receiver_lacks_a_named_sender(pool: TransferCase) -> None:
    signer_grant_revoke(tenant=people.tenant("bob"), address=pool.control_key)


def nobody_may_sign(pool: TransferCase) -> None:
    for key in (pool.worker_key, pool.control_key):
        signer_grant_revoke(tenant=None, address=key)


def keys_are_not_known(pool: TransferCase) -> None:
    Miner.objects.filter(pk=pool.miner.pk).update(worker="", owner="")


def signer_serves_others(_pool: TransferCase) -> None:
    SignerConnection.objects.update(accounts=["carol"])


def signer_is_gone(_pool: TransferCase) -> None:
    SignerConnection.objects.update(closed_at=clock.now())


def prover_is_gone(pool: TransferCase) -> None:
    type(pool.prover).objects.update(seen_at=clock.now() - timedelta(minutes=10))


def prover_has_another_store(pool: TransferCase) -> None:
    type(pool.prover).objects.update(stores=["elsewhere"])


def sector_is_half_made(pool: TransferCase) -> None:
    factories.sector(pool.miner, state=SectorState.PC1_DONE, held_by=factories.worker("s1"))


def sector_waits_for_the_chain(pool: TransferCase) -> None:
    row = factories.sector(pool.miner, state=SectorState.PRECOMMIT_SENT)
    Job.objects.filter(sector=row).update(sticky_worker=factories.worker("s1"))


def sector_is_just_begun(pool: TransferCase) -> None:
    factories.sector(pool.miner, held_by=factories.worker("s1"))


def proof_is_made(pool: TransferCase, **data: Any) -> None:
    proven = ProvenSector(number=1, comm_r=bytes(32), seal_proof=pool.miner.seal_proof)
    window = Window(deadline=2, close_epoch=1010, seconds_left=40, window_s=40)
    job = job_create(
        pool.miner,
        sectors=[proven],
        randomness=bytes(32),
        window=window,
        time_sensitive=True,
        now=clock.now(),
    )
    until = {"lease_until": clock.now() + timedelta(seconds=9), **data}
    Job.objects.filter(pk=job.pk).update(worker=factories.worker("p1"), state=JobState.LEASED, **until)


REFUSED: list[tuple[Callable[[TransferCase], None], str, str]] = [
    (receiver_is_disabled, "tenant", "bob is disabled: enable it first"),
    (receiver_may_not_sign, "signer", "bob may not sign with f3"),
    (receiver_lacks_a_named_sender, "signer", "bob may not sign with f1"),
    (nobody_may_sign, "signer", "bob may not sign with f3"),
    (keys_are_not_known, "miner", "its keys are not known yet"),
    (signer_serves_others, "gateway", "no connected signer holds f3"),
    (signer_is_gone, "gateway", "no connected signer holds f3"),
    (prover_is_gone, "prover", "bob has no prover connected"),
    (prover_has_another_store, "prover", f"no connected prover of bob has the store {STORE}"),
    (sector_is_half_made, "sectors", "1 sector is half sealed on hosts of alice"),
    (sector_waits_for_the_chain, "sectors", "1 sector is half sealed on hosts of alice"),
    (sector_is_just_begun, "sectors", "s1 is making a sector for it: try again when that is done"),
    (proof_is_made, "window", "p1 is making a proof for it: try again when that is done"),
]


@pytest.mark.parametrize(
    ("spoil", "field", "words"), REFUSED, ids=[row[0].__name__.replace("_", " ") for row in REFUSED]
)
def test_what_stands_in_the_way_is_said_at_its_field_and_nothing_moves(
    pool: TransferCase, spoil: Callable[[TransferCase], None], field: str, words: str
) -> None:
    spoil(pool)

    with pytest.raises(TransferRefused) as caught:
        pool.go()
    with pytest.raises(TransferRefused):
        transfer_plan(pool.wish(), principal=SYSTEM, now=clock.now())

    assert caught.value.field == field
    assert caught.value.reason.startswith(words)
    assert whose(pool) == {"alice"}
    assert not AuditEntry.objects.exists()


def test_transfer_refuses_same_tenant_and_stale_owner(pool: TransferCase) -> None:
    with pytest.raises(TransferRefused, match="it already belongs to alice") as caught:
        pool.go(to_tenant=people.tenant("alice"))
    assert caught.value.field == "tenant"

    with pytest.raises(MinerMoved, match="it belongs to alice, not to carol") as moved:
        pool.go(from_tenant="carol")
    assert moved.value.field == "from_tenant"


def test_a_deleted_tenant_and_a_miner_that_is_being_made_are_refused(pool: TransferCase) -> None:
    Miner.objects.filter(pk=pool.miner.pk).update(state=MinerState.CREATING)
    with pytest.raises(MinerNotReady):
        pool.go()

    wish = pool.wish()
    tenant_delete(tenant=people.tenant("bob"))
    with pytest.raises(DomainError) as caught:
        miner_transfer(wish, principal=SYSTEM, now=clock.now())
    assert (caught.value.code, caught.value.field) == ("tenant_unknown", "tenant")


@pytest.mark.parametrize(
    "who",
    [
        {"is_operator": False, "perm": "admin"},
        {"is_operator": True, "perm": "sign"},
        {"is_operator": True, "perm": "admin", "miners": (2001,)},
    ],
    ids=["a tenant's admin", "an operator who does less", "a limited token"],
)
def test_it_is_the_operators_act(pool: TransferCase, who: dict[str, Any]) -> None:
    principal = replace(people.principal("alice"), **who)

    for act in (miner_transfer, transfer_plan):
        with pytest.raises(NotAllowed):
            act(pool.wish(), principal=principal, now=clock.now())

    assert whose(pool) == {"alice"}


def test_without_sectors_no_prover_is_needed(pool: TransferCase) -> None:
    Miner.objects.update(live_sectors=0)
    pool.miner.deadlines.update(live=0)
    prover_is_gone(pool)

    pool.go()

    assert whose(pool) == {"bob"}


def test_unstarted_sector_is_sealed_by_the_new_tenants_hosts(pool: TransferCase) -> None:
    factories.sector(pool.miner)
    givers, receivers = factories.worker("s-a"), factories.worker("s-b", of="bob")

    pool.go()

    assert claimed(givers) == 0
    assert claimed(receivers) == 1


def test_a_proof_whose_host_fell_silent_is_the_receivers_to_make(pool: TransferCase) -> None:
    proof_is_made(pool, lease_until=clock.now() - timedelta(seconds=1))

    pool.go()

    assert claimed(pool.prover, JobKind.WINDOW_POST) == 1


def test_pages_of_both_tenants_and_the_operators_are_told(
    pool: TransferCase, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    told: list[Any] = []
    monkeypatch.setattr("apps.core.live.changes_send", told.extend)
    with django_capture_on_commit_callbacks(execute=True):
        pool.go()

    heard = {change.tenant for change in told if change.kind == MOVED}
    assert heard == {Tenant.objects.get(name=name).pk for name in ("alice", "bob")}


def test_the_plan_says_what_will_change_and_changes_nothing(pool: TransferCase) -> None:
    people.token("sign", of="alice", limits=TokenLimits(miners=[2001]))
    factories.message("m", to=ADDRESS, from_addr=pool.worker_key)

    plan = transfer_plan(pool.wish(), principal=SYSTEM, now=clock.now())

    assert (plan.sectors, plan.deadlines, plan.messages) == (1, 1, 1)
    assert plan.senders == (pool.worker_key, pool.control_key)
    assert (plan.tokens_kept, plan.tokens_revoked) == ((), ("alice-sign",))
    assert whose(pool) == {"alice"}


POINTS: list[tuple[str, str, str, Any]] = [
    ("before anything", "apps.proving.services.transfer", "sectors_transfer", killed),
    ("after the sectors", "apps.proving.services.transfer", "sectors_transfer", killed_after),
    ("after the right", "apps.miners.services.transfer", "miner_grant", killed_after),
    ("after the tokens", "apps.miners.services.transfer", "tokens_remove_miner", killed_after),
    (
        "after the audit log, before the commit",
        "apps.miners.services.transfer",
        "transfer_audit",
        killed_after,
    ),
]


@pytest.mark.parametrize(
    ("module", "name", "how"), [row[1:] for row in POINTS], ids=[row[0] for row in POINTS]
)
def test_a_kill_before_the_commit_moves_nothing_and_once_more_moves_all(
    pool: TransferCase, module: str, name: str, how: Any
) -> None:
    people.token("sign", of="alice", limits=TokenLimits(miners=[2001]))

    with pytest.MonkeyPatch.context() as patch:
        where = __import__(module, fromlist=[name])
        patch.setattr(where, name, how(getattr(where, name)))
        with pytest.raises(Kill):
            pool.go(key="k")

    assert whose(pool) == {"alice"}
    assert Token.objects.get().revoked_at is None
    assert not AuditEntry.objects.exists()
    assert not MinerTransfer.objects.exists()
    pool.go(key="k")
    assert whose(pool) == {"bob"}
    assert Token.objects.get().revoked_at is not None


def test_a_kill_after_the_commit_is_found_done(pool: TransferCase) -> None:
    with pytest.raises(Kill):
        killed_after(pool.go)(key="k")

    again = pool.go(key="k")

    assert whose(pool) == {"bob"}
    assert MinerTransfer.objects.get() == again
    assert AuditEntry.objects.filter(action="miner.transfer").count() == 1


def test_a_push_after_it_is_the_receivers_and_one_before_it_the_givers(pool: TransferCase) -> None:
    def push(text: str) -> Message:
        row = Miner.objects.get(pk=pool.miner.pk)
        return message_push(
            principal=miner_principal(row), id=text, to=ADDRESS, from_=pool.worker_key, method=0
        )

    push("before")
    pool.go()
    push("after")

    owners = dict(Message.objects.values_list("push_id", "tenant__name"))
    assert owners == {"before": "alice", "after": "bob"}
