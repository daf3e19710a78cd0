"""Records of sectors in damocles-manager's words: written, and read into rows that only the chain made."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from apps.api.management.commands.sector_records import records_split
from apps.api.rpc.services.damocles.answers import piece_form
from apps.damocles.services.deals import deals_list
from apps.pieces.models import Piece
from apps.pieces.selectors import pieces_of_sector
from apps.sectors.models import Sector
from apps.sectors.selectors.sector_records import record_of
from apps.users.models import AuditEntry
from poolsite.filecoin.sha254 import sha254_zero
from tests import factories, people
from tests.unit.apps.sectors.sector_records import KEY, NEW, TICKET, forget, sealed

pytestmark = pytest.mark.django_db

PATH = "/api/v1/sector-records:import"


def imported(client: Client, record: Any, *, perm: str = "sign", of: str = "alice", query: str = "") -> Any:
    body = json.dumps({"records": [record]})
    headers = people.bearer(people.token(perm, of=of))
    return client.post(PATH + query, body, content_type="application/json", headers=headers)


def test_a_worker_is_told_the_pieces_of_the_record_with_a_number_for_each() -> None:
    sector = sealed()
    Piece.objects.filter(deal=44).update(deal=None)
    plain = Piece.objects.get(offset=512)
    written = record_of(sector)["Pieces"]
    told: Any = [piece_form(one, provider=2001) for one in deals_list(sector)]

    assert told[1]["DealInfo"].pop("AllocationID") == plain.pk
    assert written[1]["DealInfo"].pop("AllocationID") == 0
    assert told == written
    assert [one["DealInfo"]["PayloadSize"] for one in told] == [400, 100, *[0] * (len(told) - 2)]


@pytest.mark.parametrize("is_upgraded", [False, True])
def test_a_sector_comes_back_whole_from_its_record(client: Client, is_upgraded: bool) -> None:
    before = sealed(is_upgraded=is_upgraded)
    record = json.loads(json.dumps(record_of(before)))
    places = [
        (row.piece_cid, row.offset, row.payload_size) for row in pieces_of_sector(before.miner, before.number)
    ]
    assert (record["Upgraded"], record["Ticket"]["Epoch"]) == (is_upgraded, 5)
    assert [one["DealInfo"]["AllocationID"] for one in record["Pieces"]][:2] == [3, 0]
    assert [one["DealInfo"]["DealID"] for one in record["Pieces"]][:2] == [0, 44]
    forget(before)

    trial = imported(client, record, query="?dry_run=true").json()["results"][0]
    assert set(trial["filled"]) >= {"ticket", "seed", "comm_d", "pieces"}
    assert (Piece.objects.count(), Sector.objects.get().ticket) == (0, None), "it was only asked"
    [done] = imported(client, record).json()["results"]

    assert (done["filled"], done["refusal"]) == (trial["filled"], "")
    after = Sector.objects.get()
    for name in ("ticket", "seed", "comm_d", "comm_r", "key_comm_r"):
        assert bytes(getattr(after, name) or b"") == bytes(getattr(before, name) or b""), name
    assert after.pieces == before.pieces
    found = pieces_of_sector(after.miner, after.number)
    assert [(row.piece_cid, row.offset, row.payload_size) for row in found] == places
    assert [(row.client, row.allocation, row.deal) for row in found] == [(1001, 3, None), (None, None, 44)]
    assert AuditEntry.objects.filter(action="sector.record-import").count() == 1
    assert imported(client, record).json()["results"][0]["filled"] == [], "known already"


def test_several_records_leave_one_line_with_those_that_told_something(client: Client) -> None:
    first = sealed()
    records = [json.loads(json.dumps(record_of(first)))]
    forget(first)
    second = sealed(beside=first)
    records.insert(0, json.loads(json.dumps(record_of(second))))
    forget(second)
    body = json.dumps({"records": [{}, *records, records[0]]})
    headers = people.bearer(people.token("sign", of="alice"))

    answers = [
        client.post(PATH + query, body, content_type="application/json", headers=headers).json()["results"]
        for query in ("?dry_run=true", "")
    ]

    assert answers[0] == answers[1]
    assert [(one["number"], bool(one["filled"]), bool(one["refusal"])) for one in answers[0]] == [
        (0, False, True),
        (second.number, True, False),
        (first.number, True, False),
        (second.number, False, False),
    ]
    [line] = AuditEntry.objects.filter(action__startswith="sector.record-import")
    assert (line.action, line.target) == ("sector.record-import-all", str(first.miner))
    after = line.after or {}
    assert after["sectors"] == sorted([first.number, second.number])
    assert "ticket" in after["facts"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record["Pre"]["CommR"].update(record["Pre"]["CommD"]), "not a valid sector record"),
        (lambda record: record.update(SectorType=6), "proof type"),
        (lambda record: record["Pieces"].pop(0), "do not match its CommD"),
        (lambda record: record["Pieces"][0]["Piece"].update(Size=2**40), "not a valid sector record|sector"),
        (lambda record: record["ID"].update(Number=999), "no such sector"),
        (lambda record: record["Ticket"].update(Ticket="AAAA"), "32 bytes"),
        (lambda record: record.pop("Pre"), "not a valid sector record"),
        (lambda record: record.pop("ID"), "it has no ID"),
        (lambda record: record.update(ID=1), "a part of it has another form"),
    ],
)
def test_a_record_that_does_not_fit_changes_nothing(client: Client, change: Any, words: str) -> None:
    sector = sealed()
    record = json.loads(json.dumps(record_of(sector)))
    forget(sector)
    change(record)

    [done] = imported(client, record).json()["results"]

    said = done["refusal"]
    assert any(word in said for word in words.split("|")), said
    assert Sector.objects.get().ticket is None
    assert not Piece.objects.exists()


@pytest.mark.parametrize("wrong", ["x", ["x"], {"Pieces": [{"Piece": {}, "DealInfo": "x"}]}])
def test_what_is_no_record_is_refused_alone(tmp_path: Path, wrong: Any) -> None:
    sector, said = sealed(), StringIO()
    good = record_of(sector)
    bad = {**good, **wrong} if isinstance(wrong, dict) else wrong
    file = tmp_path / "records"
    file.write_text(f"{json.dumps(bad)}\n{json.dumps(good)}\n")

    call_command("sector_records", "import", str(file), stdout=said)

    refused, taken = said.getvalue().splitlines()
    assert "not a valid sector record" in refused
    assert taken == f"f02001 {sector.number}: nothing new"


def test_another_ticket_or_replica_is_refused(client: Client) -> None:
    sector = sealed()
    record = json.loads(json.dumps(record_of(sector)))
    Sector.objects.filter(pk=sector.pk).update(ticket=bytes(32))
    assert "a different ticket" in imported(client, record).json()["results"][0]["refusal"]
    Sector.objects.filter(pk=sector.pk).update(comm_r=NEW)
    assert "a different replica" in imported(client, record).json()["results"][0]["refusal"]


@pytest.mark.parametrize(
    ("of", "epoch", "forgets", "words"),
    [
        ("Ticket", 6, False, "the sector's ticket is of epoch 5"),
        ("Seed", 156, False, "the sector's seed is of epoch 155"),
        ("Ticket", 155, True, "its seed is not later than its ticket"),
        ("Seed", 301, True, "it was sealed later than the sector, which is active since epoch 300"),
        ("Seed", 5, True, "its seed is not later than its ticket"),
    ],
)
def test_epochs_of_another_replica_are_refused(
    client: Client, of: str, epoch: int, forgets: bool, words: str
) -> None:
    sector = sealed()
    Sector.objects.filter(pk=sector.pk).update(activation=300)
    record = json.loads(json.dumps(record_of(sector)))
    assert imported(client, record).json()["results"][0]["refusal"] == ""
    if forgets:
        forget(sector)
    record[of]["Epoch"] = epoch
    if of == "Ticket" and record["Pre"]:
        record["Pre"]["Ticket"] = record["Ticket"]

    assert imported(client, record).json()["results"][0]["refusal"] == words


def test_another_seed_is_refused(client: Client) -> None:
    sector = sealed()
    record = json.loads(json.dumps(record_of(sector)))
    Sector.objects.filter(pk=sector.pk).update(seed=bytes(32))

    assert "a different seed" in imported(client, record).json()["results"][0]["refusal"]


def test_only_those_who_sign_import_and_only_into_their_own(client: Client) -> None:
    sector = sealed()
    record = json.loads(json.dumps(record_of(sector)))

    assert imported(client, record, perm="write").status_code == 403
    assert "no such sector" in imported(client, record, of="bob").json()["results"][0]["refusal"]
    path = "/api/v1/miners/f02001/sector-records"
    assert client.get(path, headers=people.bearer(people.token("read", of="bob"))).status_code == 404
    mine = client.get(path, headers=people.bearer(people.token("read", of="alice"))).json()
    assert mine == {"results": [record], "next": None}


def test_the_command_writes_what_it_reads(tmp_path: Path) -> None:
    sector, said = sealed(), StringIO()
    call_command("sector_records", "export", "f02001", stdout=said)
    file = tmp_path / "records.json"
    file.write_text(said.getvalue())
    forget(sector)

    call_command("sector_records", "import", str(file), stdout=said)

    assert f"f02001 {sector.number}: ticket, seed, comm_d, pieces" in said.getvalue()
    assert bytes(Sector.objects.get().ticket or b"") == TICKET


def test_a_sector_of_zeros_has_no_pieces(client: Client) -> None:
    miner = factories.miner(2001, of="alice")
    zeros = sha254_zero(miner.sector_size)
    sector = factories.sector(miner, state="PROVING", comm_r=KEY, comm_d=zeros, ticket=TICKET, ticket_epoch=5)
    record = json.loads(json.dumps(record_of(sector)))
    assert record["Pieces"] is None
    forget(sector)

    assert imported(client, record).json()["results"][0]["filled"] == ["ticket", "comm_d"]


def lotus_form(record: Any, *, is_stored: bool) -> dict[str, Any]:
    """What `SectorsStatus` answers for the sector of a record, or lotus-miner's store has of it."""
    drawn = {
        name: {"Value": record[name][name], "Epoch": record[name]["Epoch"]} for name in ("Ticket", "Seed")
    }
    pieces = [
        {
            "Piece": piece["Piece"],
            "DealInfo": {
                "DealID": piece["DealInfo"]["DealID"],
                "PieceActivationManifest": {
                    "VerifiedAllocationKey": {"Client": 1001, "ID": piece["DealInfo"]["AllocationID"]}
                }
                if piece["DealInfo"]["AllocationID"]
                else None,
            }
            if piece["DealInfo"]["PayloadSize"]
            else None,
        }
        for piece in record["Pieces"]
    ]
    made = {name: record["Pre"][name] for name in ("CommR", "CommD")}
    common = {**made, "State": "Proving", "Pieces": pieces}
    if not is_stored:
        return {"SectorID": record["ID"]["Number"], "SealProof": record["SectorType"], **drawn, **common}
    flat = {f"{name}{key}": value for name, one in drawn.items() for key, value in one.items()}
    upgraded = record["UpgradedInfo"] if record["Upgraded"] else {"SealedCID": None, "UnsealedCID": None}
    update = {"UpdateSealed": upgraded["SealedCID"], "UpdateUnsealed": upgraded["UnsealedCID"]}
    return {
        "SectorNumber": record["ID"]["Number"],
        "SectorType": record["SectorType"],
        **flat,
        **common,
        **update,
    }


@pytest.mark.parametrize(("is_stored", "is_upgraded"), [(False, False), (True, False), (True, True)])
def test_a_sector_comes_back_from_lotus_form(tmp_path: Path, is_stored: bool, is_upgraded: bool) -> None:
    before, said = sealed(is_upgraded=is_upgraded), StringIO()
    file = tmp_path / "sectors.json"
    file.write_text(json.dumps([lotus_form(record_of(before), is_stored=is_stored)], indent=2))
    forget(before)

    call_command("sector_records", "import", str(file), miner="f02001", stdout=said)

    assert said.getvalue().startswith(f"f02001 {before.number}: ticket, seed, comm_d"), said.getvalue()
    after = Sector.objects.get()
    for name in ("ticket", "seed", "comm_d", "comm_r", "key_comm_r"):
        assert bytes(getattr(after, name) or b"") == bytes(getattr(before, name) or b""), name
    found = pieces_of_sector(after.miner, after.number)
    assert [(row.client, row.allocation, row.deal) for row in found] == [(1001, 3, None), (None, None, 44)]


@pytest.mark.parametrize(
    ("lotus", "words"),
    [
        ({"SectorNumber": 5, "SealProof": 5, "SealedCID": {"/": "x"}}, "StateSectorGetInfo"),
        ({"SectorID": 5}, "does not name its miner"),
        ({"SectorID": 5, "SealProof": 5, "CommR": {"/": "x"}}, "does not name its miner"),
    ],
)
def test_another_form_is_refused_by_its_name(client: Client, lotus: Any, words: str) -> None:
    [done] = imported(client, lotus).json()["results"]

    assert words in done["refusal"]
    assert done["number"] == 5 or "SectorID" not in lotus


class Whole(str):
    """A text that is not copied in parts."""

    __slots__ = ()

    def __getitem__(self, _part: Any) -> str:
        raise AssertionError("a file of a hundred thousand records would be copied as often")


def test_a_file_is_split_without_copies_of_it() -> None:
    assert records_split(Whole('\n{"a": 1}\n[{"a": 2},\n 3] 4\n\n')) == [{"a": 1}, {"a": 2}, 3, 4]
    assert records_split(Whole(" \n")) == []
    with pytest.raises(ValueError, match="Expecting value"):
        records_split(Whole("{} x"))
