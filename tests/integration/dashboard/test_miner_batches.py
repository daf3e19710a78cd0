"""A miner's own settings of its batches: by page and REST, in force at once, in the audit log."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import reverse

from apps.core import clock
from apps.miners.models import Miner
from apps.sectors.models import BatchSettings
from apps.sectors.rules.batches import PRE_COMMIT
from apps.sectors.rules.policy import BASE_FEES, SealingPolicy
from apps.sectors.selectors.batch_settings import batch_policy, batch_settings_own
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.choosing import batch_choose
from apps.sectors.services.batches.requests import requested_height_read
from apps.sectors.services.sealing.packing import is_due, packing_request_read, pieces_plan
from apps.users.models import AuditEntry
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.policy import network_by_name
from poolsite.filecoin.sha254 import sha254_zero
from tests import factories, people
from tests.factories import MinerNode
from tests.integration.dashboard.withdrawals import signer_says
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db


def rest(body: Any, *, perm: str = "sign", of: str = "alice", path: str = "/batches") -> Any:
    return Client().patch(
        f"/api/v1/miners/f02001{path}",
        json.dumps(body),
        content_type="application/json",
        headers=people.bearer(people.token(perm, of=of)),
    )


def test_rest_sets_what_is_named_and_null_is_the_pools() -> None:
    miner = factories.miner(2001, of="alice")

    body = rest({"precommit_batch_max": 7, "commit_base_fee_max": "500"}).json()

    assert body["own"] == ["precommit_batch_max", "commit_base_fee_max"]
    assert (body["in_force"]["commit_base_fee_max"], body["pool"]["commit_base_fee_max"]) == ("500", "0")
    assert body["in_force"]["precommit_batch_max"] == 7
    assert body["pool"]["precommit_batch_max"] == SealingPolicy().precommit_batch_max
    entry = AuditEntry.objects.get(action="miner.batches")
    assert entry.after == {"precommit_batch_max": "7 sectors", "commit_base_fee_max": "500 attoFIL per gas"}
    policy = batch_policy(Miner.objects.get(pk=miner.pk))
    assert (policy.commit_base_fee_max, policy.precommit_base_fee_max) == (500, 0)
    assert rest({"precommit_batch_max": None}).json()["own"] == ["commit_base_fee_max"]
    assert AuditEntry.objects.filter(action="miner.batches").count() == 2
    assert rest({}).status_code == 200
    assert AuditEntry.objects.filter(action="miner.batches").count() == 2, "nothing changed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"precommit_batch_max": 0}, "precommit_batch_max"),
        ({"precommit_batch_max": 257}, "precommit_batch_max"),
        ({"commit_wait_epochs": 3000}, "commit_wait_epochs"),
        ({"update_batch_max": 257}, "update_batch_max"),
        ({"no_such": 1}, "no_such"),
    ],
)
def test_a_value_that_cannot_be_is_refused(body: Any, field: str) -> None:
    factories.miner(2001, of="alice")

    answer = rest(body)

    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_the_page_shows_all_errors_at_once_and_says_once_that_it_saved(ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    browser, page = signed_in(), reverse("miner-batches", args=["f02001"])

    refused = browser.post(page, {"precommit_batch_max": "257", "commit_wait_epochs": "x", "pause_s": "3601"})
    assert refused.status_code == 422
    shown = text_of(refused)
    assert "must be from 1 to 256" in shown
    assert "must be from 0 to 3600" in shown
    assert "enter a whole number" in shown
    assert refused.content.decode().count("autofocus") == 3, "the browser takes the first of them"
    assert not BatchSettings.objects.filter(miner=miner).exists()

    other = signed_in()
    assert browser.post(page, {"precommit_batch_max": "7"}).status_code == 302
    assert "Saved." not in text_of(other.get(page)), "only the browser that saved is told"
    assert "Saved." not in text_of(browser.get(page, headers={"HX-Request": "true"})), "a page's own refresh"
    assert "Saved." in text_of(browser.get(page))
    assert "Saved." not in text_of(browser.get(page))


def test_readers_and_strangers_set_nothing() -> None:
    factories.miner(2001, of="alice")

    assert rest({"commit_batch_max": 2}, perm="read").status_code == 403
    assert rest({"commit_batch_max": 2}, of="bob").status_code == 404


def test_what_waits_goes_at_once_when_a_person_asks(ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    old, new = (
        factories.sector(miner, state="PERSISTED", ready_height=height, ticket_epoch=100)
        for height in (100, 101)
    )
    factories.sector(miner, state="C2_DONE", ready_height=90, paused_at=clock.now())
    factories.head(100)
    browser = signed_in()
    send = reverse("miner-batches-send", args=["f02001"])

    page = text_of(browser.get(reverse("miner-batches", args=["f02001"])))
    assert f"2 sectors: {old.number}, {new.number}" in page
    assert f"{old.number}, {new.number}" in text_of(browser.post(send))
    assert not AuditEntry.objects.filter(action="miner.batches-send").exists(), "it was only asked"
    assert browser.post(send, {"sure": "yes"}).status_code == 302
    entry = AuditEntry.objects.get(action="miner.batches-send")
    assert entry.after == {"precommit": [old.number, new.number]}

    work = SealingContext(
        client=None,  # type: ignore[arg-type]
        network=network_by_name("localnet-poolsite-test"),
        head=factories.head(102, base_fee=900),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        policy=SealingPolicy(precommit_base_fee_max=1),
    )
    asked = requested_height_read(Miner.objects.get(pk=miner.pk))
    assert batch_choose([new, old], kind=PRE_COMMIT, work=work, requested_height=asked) == (
        [old, new],
        "asked",
    )
    assert batch_choose([new], kind=PRE_COMMIT, work=work, requested_height=asked) == ([], ""), (
        "it came later"
    )


def test_what_would_hold_waiting_sectors_messages_up_is_said_before(
    ann: None, node: MinerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.head(1000)
    miner = factories.miner(2001, of="alice", available=0)
    BatchSettings.objects.create(miner=miner, precommit_batch_max=2)
    replica: dict[str, Any] = {"comm_r": bytes([1]) * 32, "comm_d": sha254_zero(2048), "ticket_epoch": 100}
    for _ in range(3):
        factories.sector(miner, state="PERSISTED", **replica)
    factories.sector(miner, state="C2_DONE", **replica)
    sealed = {"/": str(commr_cid(bytes(32)))}
    info = {"SealRandEpoch": 100, "Expiration": 600_000, "SealedCID": sealed, "SealProof": miner.seal_proof}
    found = {"PreCommitEpoch": 900, "PreCommitDeposit": str(factories.DEPOSIT), "Info": info}
    monkeypatch.setattr(node, "do_StateSectorPreCommitInfo", lambda *_: found, raising=False)
    seen = signer_says(monkeypatch)
    factories.approval_rule(actor="miner", method=28, above=2 * factories.DEPOSIT - 1)

    def told(query: str = "?dry_run=true") -> dict[str, Any]:
        headers = people.bearer(people.token("sign", of="alice"))
        answer = Client().post(f"/api/v1/miners/f02001/batches/send{query}", headers=headers)
        assert answer.status_code == 200, answer.content
        return answer.json()  # type: ignore[no-any-return]

    first = told()
    assert (first["signer"], len(first["precommit"])) == ("", 3)
    assert first["approval"].startswith("miner PreCommitSectorBatch2 above")
    topup = factories.PLEDGE * 11 // 10 - factories.DEPOSIT
    assert [(int(one.method), int(one.value)) for _, one in seen] == [
        (28, 2 * factories.DEPOSIT),
        (34, topup),
    ]
    signer_says(monkeypatch, "no rule allows it")
    refused = told()
    review = text_of(signed_in().post(reverse("miner-batches-send", args=["f02001"])))
    assert "would refuse PreCommitSectorBatch2: no rule allows it" in refused["signer"]
    assert refused["signer"] in review
    assert f"waits for a second person: {refused['approval']}" in review
    assert not AuditEntry.objects.exists()
    assert "signer" not in told("")


def test_nothing_that_waits_is_nothing_to_send() -> None:
    factories.miner(2001, of="alice")
    factories.head(100)
    path = "/api/v1/miners/f02001/batches/send"

    headers = people.bearer(people.token("sign", of="alice"))
    assert Client().get(path, headers=headers).json() == {
        kind: [] for kind in ("precommit", "commit", "snap_up", "terminate", "extend")
    }
    assert Client().post(path, headers=headers).status_code == 409
    assert Client().post(path, headers=people.bearer(people.token("read", of="alice"))).status_code == 403


def test_pieces_are_sealed_part_filled_when_a_person_asks(ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    full, half, late = (
        factories.piece(miner, state="READY", padded_size=size, has_data=True) for size in (2048, 1024, 512)
    )
    path, browser = reverse("miner-pieces-seal", args=["f02001"]), signed_in()
    rest_path = "/api/v1/miners/f02001/pieces/seal"
    signs = people.bearer(people.token("sign", of="alice"))

    page = text_of(browser.get(reverse("miner-batches", args=["f02001"])))
    assert "1 piece: 2 KiB of 2 KiB" in page
    assert "2 pieces: 1.50 KiB of 2 KiB" in page
    assert Client().get(rest_path, headers=signs).json() == {
        "sectors": [
            {"pieces": [str(full.piece_cid)], "used": 2048, "size": 2048},
            {"pieces": [str(half.piece_cid), str(late.piece_cid)], "used": 1536, "size": 2048},
        ]
    }
    assert "2 pieces: 1.50 KiB of 2 KiB" in text_of(browser.post(path))
    assert not AuditEntry.objects.filter(action="miner.pieces-seal").exists(), "it was only asked"
    assert browser.post(path, {"sure": "yes"}).status_code == 302
    after: Any = AuditEntry.objects.get(action="miner.pieces-seal").after
    assert len(after["sectors"]) == 2

    asked = packing_request_read(Miner.objects.get(pk=miner.pk))
    assert asked is not None
    work = SealingContext(
        client=None,  # type: ignore[arg-type]  # nobody is asked
        network=network_by_name("localnet-poolsite-test"),
        head=factories.head(102),
        now=clock.now(),
        policy=SealingPolicy(pack_wait_s=9_000),
    )
    [packed] = pieces_plan([half], sector_size=2048)
    assert [is_due(packed, work=work, asked_at=at) for at in (None, asked)] == [False, True]
    half.state_since = clock.now()
    assert not is_due(packed, work=work, asked_at=asked), "it came later"


def test_without_waiting_pieces_there_is_nothing_to_seal() -> None:
    factories.miner(2001, of="alice")
    path = "/api/v1/miners/f02001/pieces/seal"
    signs, reads = (people.bearer(people.token(perm, of="alice")) for perm in ("sign", "read"))

    assert Client().get(path, headers=reads).json() == {"sectors": []}
    assert Client().post(path, headers=signs).status_code == 409
    assert Client().post(path, headers=reads).status_code == 403


def test_batches_follow_their_miners_own_settings() -> None:
    miner = factories.miner(2001, of="alice")
    sectors = [factories.sector(miner, state="PERSISTED", ticket_epoch=990) for _ in range(3)]
    rest({"precommit_batch_max": 2})
    work = SealingContext(
        client=None,  # type: ignore[arg-type]  # nobody is asked
        network=network_by_name("localnet-poolsite-test"),
        head=factories.head(1000),
        now=datetime(2026, 11, 21, 12, tzinfo=UTC),
        policy=batch_policy(Miner.objects.get(pk=miner.pk)),
    )

    chosen, reason = batch_choose(sectors, kind=PRE_COMMIT, work=work)

    assert (len(chosen), reason) == (2, "full")


def test_the_page_shows_the_pools_values_and_saves_its_own(ann: None) -> None:
    factories.miner(2001, of="alice")
    page, browser = reverse("miner-batches", args=["f02001"]), signed_in()

    shown = text_of(browser.get(page))
    assert 'placeholder="256"' in shown
    answer = browser.post(
        page,
        {
            "commit_batch_max": "3",
            "update_wait_epochs": "7",
            "extend_base_fee_max": "2",
            "terminate_base_fee_max": "0",
            "aggregate_commits": "no",
        },
    )

    assert answer.status_code == 302
    policy = batch_policy(Miner.objects.get())
    assert (policy.commit_batch_max, policy.extend_base_fee_max, policy.aggregate_commits) == (
        3,
        2 * 10**9,
        False,
    )
    own = batch_settings_own(Miner.objects.get())
    assert [own[name] for name in BASE_FEES.values()] == [None, None, 0, 2 * 10**9, None]
    assert policy.update_wait_epochs == 7
    shown = text_of(browser.get(page))
    assert 'value="3"' in shown
    assert re.search(r'id="terminate_base_fee_max"[^>]*value="0"', shown)
    assert re.search(r'id="extend_base_fee_max"[^>]*value="2"', shown)
    assert browser.post(page, {"update_base_fee_max": "-1"}).status_code == 422
    assert browser.post(page, {"commit_batch_max": "x"}).status_code == 422
    assert browser.post(page, {"commit_batch_max": "0"}).status_code == 422
    browser.post(page, {"aggregate_commits": "yes"})
    assert batch_policy(Miner.objects.get()).aggregate_commits is True
    assert batch_policy(Miner.objects.get()).commit_batch_max == SealingPolicy().commit_batch_max


def test_one_ceiling_of_before_becomes_that_of_each_kind() -> None:
    miner, without = factories.miner(2001), factories.miner(2002)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with pending checks cannot be altered
    before, after = ("sectors", "0011_packing_asked"), ("sectors", "0012_base_fees_by_kind")
    old = MigrationExecutor(connection).migrate([before]).apps.get_model("sectors", "BatchSettings")
    old.objects.create(miner_id=miner.pk, base_fee_max=500)
    old.objects.create(miner_id=without.pk)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    MigrationExecutor(connection).migrate([after])

    own = BatchSettings.objects.get(miner=miner)
    assert [getattr(own, name) for name in BASE_FEES.values()] == [500] * 5
    assert BatchSettings.objects.get(miner=without).commit_base_fee_max is None


def test_what_was_stored_before_a_limit_is_within_it_and_shown_so(ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    BatchSettings.objects.create(miner=miner, precommit_slack_epochs=3, pause_s=9_999)
    page, browser = reverse("miner-batches", args=["f02001"]), signed_in()

    policy = batch_policy(Miner.objects.get())
    assert (policy.precommit_slack_epochs, policy.pause_s) == (20, 3_600)
    body = rest({}).json()
    assert (body["in_force"]["precommit_slack_epochs"], body["own"]) == (
        20,
        ["precommit_slack_epochs", "pause_s"],
    )
    shown = text_of(browser.get(page))
    assert 'value="20"' in shown
    assert 'value="3"' not in shown
    sent = {"precommit_slack_epochs": "20", "pause_s": "3600", "commit_batch_max": "3"}
    assert browser.post(page, sent).status_code == 302
    assert BatchSettings.objects.get().precommit_slack_epochs == 20


def test_new_sectors_are_sealed_as_rest_and_page_say(ann: None) -> None:
    factories.miner(2001, of="alice")
    factories.network()
    page, browser = reverse("miner-batches", args=["f02001"]), signed_in()

    assert rest({"porep": "synthetic"}, path="").json()["seal_proof"] == 10
    assert rest({"porep": "synthetic"}, path="").status_code == 200
    entry = AuditEntry.objects.get(action="miner.porep")
    assert (entry.before, entry.after) == ({"porep": "interactive"}, {"porep": "synthetic"})
    assert rest({"porep": "sealed"}, path="").json()["field"] == "porep"
    assert rest({"porep": "interactive"}, path="", perm="read").status_code == 403
    assert rest({"porep": "interactive"}, path="", of="bob").status_code == 404

    assert 'value="synthetic" selected' in text_of(browser.get(page))
    assert browser.post(page, {"porep": "non-interactive"}).status_code == 302
    assert Miner.objects.get().seal_proof == 15
    assert browser.post(page, {"porep": "sealed"}).status_code == 422


def test_what_fits_into_no_message_is_not_offered(ann: None) -> None:
    factories.miner(2001, of="alice", sector_size=8 << 20, seal_proof=6)
    factories.network()

    refused = rest({"porep": "non-interactive"}, path="").json()

    assert refused["message"].endswith("accepts interactive, synthetic for sectors of this size")
    assert 'value="non-interactive"' not in text_of(
        signed_in().get(reverse("miner-batches", args=["f02001"]))
    )
    assert rest({"porep": "synthetic"}, path="").json()["seal_proof"] == 11
