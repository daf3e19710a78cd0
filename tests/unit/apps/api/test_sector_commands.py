"""`manage.py sectors` and `manage.py sealing`: what pages and REST do, on the console's machine."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.core.clock import now
from apps.miners.models import Miner
from apps.pieces.data.commitments import small_commitment
from apps.pieces.models import Piece
from apps.sectors.models import BatchSettings, Job, SealTarget, Sector
from apps.sectors.selectors.failures import fingerprint
from apps.users.models import AuditEntry
from poolsite.filecoin.amounts import FIL
from tests import factories
from tests.people import bearer, token

pytestmark = pytest.mark.django_db


LOTUS_ORDER = [
    *("Chain", "Miner", "Power", "Raw", "Committed", "Proving", "Miner balance", "PreCommit", "Pledge"),
    *("Vesting", "Available", "Worker balance", "Total spendable", "Sectors", "Total"),
]


def said(*words: str, **options: Any) -> str:
    out = StringIO()
    call_command(*words, stdout=out, **options)
    return out.getvalue()


def test_sectors_are_listed_and_shown() -> None:
    miner = factories.miner(2001)
    failed = factories.sector(miner, number=7, state="PC1_DONE")
    Sector.objects.filter(pk=failed.pk).update(paused_at=now(), error="disk full")
    factories.sector(miner, number=8, state="PROVING", active=True, expiration=99)

    assert said("sectors", "list", "f02001").splitlines() == [
        "8 PROVING active ends 99",
        "7 PC1_DONE failed: disk full",
    ]
    assert said("sectors", "list", "f02001", state="PROVING,PERSISTED").splitlines() == [
        "8 PROVING active ends 99"
    ]
    shown = said("sectors", "status", "f02001", "7")
    assert "state: PC1_DONE" in shown
    assert "error: disk full" in shown
    with pytest.raises(CommandError, match="name the sectors"):
        said("sectors", "status", "f02001")


def test_sectors_go_on_stop_and_end_with_a_line_in_the_audit_log() -> None:
    miner = factories.miner(2001)
    for number in (7, 8):
        factories.sector(miner, number=number, state="PC1_DONE")

    said("sectors", "pause", "f02001", "7-8")
    assert Sector.objects.exclude(paused_at=None).count() == 2
    by = Sector.objects.get(number=7).paused_by
    assert f"7 PC1_DONE paused by {by}" in said("sectors", "list", "f02001").splitlines(), "it did not fail"
    said("sectors", "retry", "f02001", "7", state="ALLOCATED")
    assert Sector.objects.get(number=7).state == "ALLOCATED"
    with pytest.raises(CommandError, match="give a reason"):
        said("sectors", "set-state", "f02001", "8", state="PERSISTED", yes=True)
    said("sectors", "set-state", "f02001", "8", state="PERSISTED", reason="files are there", yes=True)
    assert Sector.objects.get(number=8).state == "PERSISTED"
    said("sectors", "abort", "f02001", "7-8", reason="old", yes=True)
    assert set(Sector.objects.values_list("state", flat=True)) == {"ABORTED"}
    acts = set(AuditEntry.objects.values_list("action", flat=True))
    assert acts >= {"sector.pause", "sector.back", "sector.state-set", "sector.abort"}


def test_an_act_for_good_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.sector(factories.miner(2001), number=7, state="PC1_DONE")
    monkeypatch.setattr("builtins.input", lambda _text: "yes")

    with pytest.raises(CommandError, match="nothing was done"):
        said("sectors", "abort", "f02001", "7")
    assert Sector.objects.get().state == "PC1_DONE"


def test_what_hosts_do_and_how_a_miner_stands_is_shown() -> None:
    miner = factories.miner(2001)
    worker = factories.worker("sealer-9")
    sector = factories.sector(miner, number=7, state="PC1_DONE")
    Job.objects.filter(sector=sector).update(worker=worker, state="LEASED", lease_until=now())

    assert "sealer-9: " in said("sealing", "jobs")
    assert "name: sealer-9" in said("sealing", "workers")
    factories.sector(miner, number=8, state="PROVING")
    factories.network()
    factories.head(100)
    Miner.objects.filter(pk=miner.pk).update(
        raw_power=4096,
        qa_power=8192,
        live_sectors=2,
        faulty_sectors=1,
        balance=3 * FIL,
        deposits=FIL,
        available=FIL,
    )
    shown = said("sealing", "info", "f02001")
    words = [line.strip().split(":")[0] for line in shown.splitlines() if line]
    assert [word for word in words if word in LOTUS_ORDER] == LOTUS_ORDER
    assert "Miner: f02001 (2 KiB sectors)" in shown
    assert "Proving: 2 KiB (2 KiB faulty)" in shown
    assert "PreCommit: 1.0000 FIL" in shown
    assert "  PROVING: 1" in shown
    with pytest.raises(CommandError):
        said("sealing", "info", "f0999")
    whole = said("sealing", "info", "f02001", all=True)
    assert whole.startswith(shown)
    assert "# sectors list f02001\n" in whole
    assert "name: sealer-9" in whole.split("# sealing workers\n")[1]


def test_a_target_and_a_miners_settings_are_set_and_shown() -> None:
    factories.miner(2001)

    shown = said("miners", "target", "f02001", "in_work=3", "balance_min=5")
    assert "in_work: 3" in shown
    assert "balance_min: 5" in shown
    assert SealTarget.objects.get().in_work == 3
    assert said("miners", "target", "f02001") == shown
    with pytest.raises(CommandError, match="not both"):
        said("miners", "target", "f02001", "in_work=3", "day_bytes=4096")
    assert said("miners", "target", "f02001", "end").strip() == "target: none"
    assert not SealTarget.objects.exists()

    shown = said("miners", "batches", "f02001", "pack_wait_s=600", "snap_up_first=true")
    assert "in_force.pack_wait_s: 600" in shown
    assert "pool.pack_wait_s: 60" in shown
    assert BatchSettings.objects.get().snap_up_first is True
    said("miners", "batches", "f02001", "pack_wait_s=null")
    assert BatchSettings.objects.get().pack_wait_s is None
    for wrong in ("pack_wait_s=-1", "no_such=1", "pack_wait_s"):
        with pytest.raises(CommandError):
            said("miners", "batches", "f02001", wrong)
    acts = set(AuditEntry.objects.values_list("action", flat=True))
    assert acts == {"miner.target", "miner.target-remove", "miner.batches"}


def test_failures_are_listed_and_a_group_goes_on() -> None:
    miner = factories.miner(2001)
    for number in (7, 8):
        row = factories.sector(miner, number=number, state="PC1_DONE", paused_at=now(), error="disk full")
        Job.objects.filter(sector=row).update(state="PAUSED")

    shown = said("failures", "list")
    key = fingerprint("PC2", "disk full")
    assert f"fingerprint: {key}" in shown
    assert "count: 2" in shown
    assert said("failures", "retry", key).splitlines() == ["f02001 / 8: retried", "f02001 / 7: retried"]
    assert not Sector.objects.exclude(paused_at=None).exists()
    with pytest.raises(CommandError):
        said("failures", "retry", key)
    with pytest.raises(CommandError, match="fingerprint"):
        said("failures", "retry")


def test_pieces_are_listed_shown_and_given_a_purpose() -> None:
    miner = factories.miner(2001)
    waiting = factories.piece(miner)
    factories.piece(miner, state="ACTIVE", sector_number=7, offset=0)

    assert len(said("pieces", "list", miner="f02001").splitlines()) == 2
    assert said("pieces", "list", state="READY").split()[1:] == [waiting.piece_cid, "READY", "any"]
    assert "purpose: snap-up" in said("pieces", "purpose", waiting.piece_cid, "snap-up")
    assert "state: READY" in said("pieces", "show", waiting.piece_cid)
    assert "ACTIVE any in f02001 / 7 at 0, 128 bytes" in said("pieces", "list", state="ACTIVE")
    with pytest.raises(CommandError, match="must be one of"):
        said("pieces", "purpose", waiting.piece_cid, "sold")
    with pytest.raises(CommandError, match="there is no piece"):
        said("pieces", "unseal", factories.piece_cid(250))


def test_a_purpose_goes_to_no_other_piece_of_the_same_commitment() -> None:
    alices, bobs = (
        factories.piece(factories.miner(of=name), piece_cid=factories.piece_cid(9))
        for name in ("alice", "bob")
    )

    with pytest.raises(CommandError, match=f"name one of the uploads .*{alices.uuid}"):
        said("pieces", "purpose", bobs.piece_cid, "snap-up")
    assert f"uuid: {bobs.uuid}" in said("pieces", "purpose", str(bobs.uuid), "snap-up")

    assert [Piece.objects.get(pk=piece.pk).purpose for piece in (alices, bobs)] == ["any", "snap-up"]


def test_waiting_pieces_are_sealed_now() -> None:
    miner = factories.miner(2001)
    waiting = factories.piece(miner, has_data=True)
    shown = said("pieces", "seal", miner="f02001", dry_run=True)
    assert shown == f"128 of 2048 bytes: {waiting.piece_cid}\n"
    assert not AuditEntry.objects.filter(action="miner.pieces-seal").exists()

    assert said("pieces", "seal", miner="f02001") == shown
    assert AuditEntry.objects.filter(action="miner.pieces-seal").exists()
    Piece.objects.update(state="PACKED", sector_number=7, offset=0)
    assert said("pieces", "seal", miner="f02001", dry_run=True) == "no piece is waiting for a new sector\n"
    with pytest.raises(CommandError, match="no piece"):
        said("pieces", "seal", miner="f02001")


def test_a_file_is_named_by_its_commitment_and_added(tmp_path: Path, settings: Any) -> None:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    factories.miner(2001)
    file = tmp_path / "data"
    file.write_bytes(b"data of a client")
    cid = str(small_commitment(file.read_bytes()).cid)

    told = said("pieces", "data-cid", str(file)).splitlines()
    sized = "bafkzcibcn4bb6jsazjpq6miaflluycxlejxo6mchtgsc6grgbf2a74ct2e5aopi"
    assert told == [
        f"piece_cid: {cid}",
        f"piece_cid_v2: {sized}",
        "padded_size: 128",
        "payload_size: 16",
    ]
    assert not Piece.objects.exists()
    assert f"piece_cid: {cid}" in said("pieces", "add", str(file), miner="f02001")
    assert Piece.objects.get().state == "READY"
    file.write_bytes(bytes(2033))
    with pytest.raises(CommandError, match="at most 2032 bytes"):
        said("pieces", "add", str(file), miner="f02001")
    with pytest.raises(CommandError, match="is not a file"):
        said("pieces", "data-cid", str(tmp_path))


def test_a_lost_copy_is_unsealed_by_a_host_of_the_sectors_store() -> None:
    miner = factories.miner(2001)
    factories.worker("sealer-9", stores=["disk-1"], kinds=["seal", "unseal"])
    sealed: dict[str, Any] = {"comm_d": bytes(32), "ticket": bytes(32)}
    factories.sector(miner, number=7, state="PROVING", active=True, store="disk-1", **sealed)
    piece = factories.piece(miner, state="ACTIVE", sector_number=7, offset=0, has_data=False)

    assert "is_stored: False" in said("pieces", "unseal", piece.piece_cid)
    assert Job.objects.filter(kind="unseal").count() == 1


def test_hosts_are_ordered_to_attach_detach_change_and_move() -> None:
    factories.miner(2001)
    worker = factories.worker("sealer-9")

    assert "sealer-9 attaches /a" in said("stores", "attach", "/a", host="sealer-9", new=True)
    assert worker.commands.get().args == {"path": "/a", "init": "yes"}
    with pytest.raises(CommandError, match="no host is called nobody"):
        said("stores", "attach", "/a", host="nobody")
    with pytest.raises(CommandError, match="absolute path"):
        said("stores", "attach", "a", host="sealer-9")
    for words in (["detach", "nowhere"], ["change", "nowhere", "weight=2"], ["move", "nowhere"]):
        with pytest.raises(CommandError, match="0 stores are called nowhere"):
            said("stores", *words, host="sealer-9")


def test_the_planner_answers_as_rest_does(client: Client) -> None:
    factories.miner(2001)
    words = ("hosts=2", "slots_PC1=3", "s_PC1=100")

    shown = said("planner", "f02001", *words)
    query = "&".join(("miner=f02001", *words))
    body = client.get(f"/api/v1/planner?{query}", headers=bearer(token("read"))).json()
    assert f"per_day: {body['per_day']}" in shown
    assert f"limit: {body['limit']}" in shown
    with pytest.raises(CommandError, match="no such number"):
        said("planner", "hots=2")


def test_luck_of_a_miner_is_written_for_each_span() -> None:
    miner = factories.miner(2001)
    for epoch, state in ((1, RoundState.INCLUDED), (2, RoundState.NO_WIN)):
        won = int(state == RoundState.INCLUDED)
        common = {"base_height": epoch - 1, "at": now(), "expected": 0.25, "win_count": won}
        Round.objects.create(miner=miner, epoch=epoch, state=state, **common)

    assert said("miners", "luck", "f02001").splitlines() == [
        f"luck: days {days}, wins 1, expected 0.5, share 2.0" for days in (1, 7, 30)
    ]
