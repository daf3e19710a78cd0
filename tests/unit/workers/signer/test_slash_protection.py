"""No miner gets two blocks signed that exclude each other, whatever happens to the signer between them."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.address import id_address
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import key_address, key_sign
from poolsite.filecoin.signature import signature_verify
from tests.keys import fixed_key
from tests.unit.workers.signer.conftest import PASSWORD
from tests.unit.workers.signer.slash_protection import WORKER, again, block, sign
from workers.signer.commands import main
from workers.signer.errors import AlreadySigned, Unrecorded
from workers.signer.policy_backtest import backtest_run
from workers.signer.policy_parse import policy_parse
from workers.signer.records import RecordQuery
from workers.signer.signing import Signer
from workers.signer.slash_protection import header_cid, height_claim, heights_prepare

OTHER_KEY = key_address(fixed_key("secp256k1"))
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SIBLINGS = (cid_of_cbor(b"parent one"), cid_of_cbor(b"parent two"))


def refused(signer: Signer, header: BlockHeader, **asked: Any) -> str:
    with pytest.raises(AlreadySigned) as error:
        sign(signer, header, **asked)
    return str(error.value)


def test_second_block_at_a_height_is_refused_and_names_the_first(signer):
    sign(signer, block(100, b"one"))

    words = refused(signer, block(100, b"two"), caller="gateway b")

    first_cid, second_cid = header_cid(block(100, b"one")), header_cid(block(100, b"two"))
    assert words.startswith(f"double-fork fault: f01000 has a block at height 100: {first_cid}, signed 20")
    newest, first = signer.records.query(RecordQuery())
    assert (newest["error"], newest["caller"], newest["rule"]) == (words, "gateway b", "")
    assert (newest["cid"], first["cid"]) == (second_cid, first_cid)
    assert newest["words"] == first["words"] == "block: of f01000 at height 100"
    assert (first["error"], first["rule"]) == ("", "blocks")
    assert signer.records.chain_verify() is None


def test_the_same_block_gets_its_signature_again(signer):
    first = sign(signer, block(100))

    second = sign(signer, block(100), caller="gateway b")

    signature_verify(second, WORKER, block(100).signing_bytes)
    assert first == second


def test_a_signature_that_is_there_already_makes_no_other_block(signer):
    signature = sign(signer, block(100))

    assert sign(signer, block(100, block_sig=signature)) == signature
    assert sign(signer, block(100, block_sig=key_sign(fixed_key("bls", 2), b"x"))) == signature


def test_another_height_on_the_same_parents_is_refused(signer):
    sign(signer, block(100, parents=SIBLINGS))

    later = refused(signer, block(101, parents=SIBLINGS[::-1]))
    earlier = refused(signer, block(99, parents=SIBLINGS))

    first = f"f01000 has a block on these parents at height 100: {header_cid(block(100, parents=SIBLINGS))}"
    assert later.startswith(f"time-offset fault at height 101: {first}")
    assert "time-offset fault at height 99" in earlier
    assert sign(signer, block(101)), "on other parents it is a block like any"


def test_other_miners_have_heights_and_parents_of_their_own(signer):
    sign(signer, block(100, parents=SIBLINGS))

    assert sign(signer, block(100, b"two", miner=id_address(1001), parents=SIBLINGS))


def test_another_key_gets_no_second_block_either(signer):
    """After a change of the worker's key, a block of the old one and one of the new make a fault together."""
    sign(signer, block(100, b"one"))

    assert "height 100" in refused(signer, block(100, b"two"), address=OTHER_KEY)


def test_what_the_policy_refuses_takes_no_height(signer):
    allowed = (signer.folder / "policy.toml").read_text()
    (signer.folder / "policy.toml").write_text("version = 1\n")
    with pytest.raises(Exception, match="no rule allows"):
        sign(signer, block(100, b"one"))

    (signer.folder / "policy.toml").write_text(allowed + "\n")

    assert sign(signer, block(100, b"two"))


def test_a_locked_signer_takes_no_height(signer):
    signer.store.lock()
    with pytest.raises(Exception, match="wallet locked"):
        sign(signer, block(100, b"one"))

    signer.store.unlock(PASSWORD)

    assert sign(signer, block(100, b"two"))


def test_heights_hold_over_a_start_and_however_high_others_were(signer):
    sign(signer, block(100, b"one"))
    sign(signer, block(2**62, b"far"))
    signer.close()

    started = again(signer.folder)

    assert "height 100" in refused(started, block(100, b"two"))
    assert sign(started, block(100, b"one"))
    assert sign(started, block(101))
    started.close()


def test_a_block_is_on_the_disk_before_its_signature_leaves(signer):
    done: list[str] = []
    signer.records.link.set_trace_callback(done.append)

    sign(signer, block(100))

    inserts = ["INSERT INTO signed_block", "INSERT INTO record"]
    order = ["PRAGMA synchronous=FULL", "BEGIN IMMEDIATE", *inserts, "COMMIT"]
    seen = [next(at for at, line in enumerate(done) if line.startswith(wanted)) for wanted in order]
    assert seen == sorted(seen)


def test_on_a_full_disk_no_block_is_signed_and_afterwards_one_is(signer):
    [pages] = signer.records.link.execute("PRAGMA page_count").fetchone()
    signer.records.link.execute(f"PRAGMA max_page_count={pages}")
    height = 100

    def sign_on() -> None:
        nonlocal height
        while True:
            sign(signer, block(height, b"one"))
            height += 1

    with pytest.raises(Unrecorded, match="database or disk is full"):
        sign_on()

    signer.records.link.execute("PRAGMA max_page_count=1000000")

    assert sign(signer, block(height, b"two"))
    assert "fault" in refused(signer, block(height, b"one"))
    assert signer.records.chain_verify() is None


def test_heights_cannot_be_changed(signer):
    sign(signer, block(100))
    signer.records.mark(id_address(1000), closed=50, by="ann", now=NOW)

    for table in ("signed_block", "height_mark"):
        for statement in (f"UPDATE {table} SET miner = ''", f"DELETE FROM {table}"):
            with pytest.raises(sqlite3.DatabaseError, match="append-only"):
                signer.records.link.execute(statement)


HEADERS = st.builds(
    lambda miner, height, parents, what: block(
        height, what, miner=id_address(miner), parents=tuple(SIBLINGS[one] for one in parents)
    ),
    st.integers(1000, 1001),
    st.integers(1, 3),
    st.lists(st.integers(0, 1), min_size=1, max_size=2, unique=True),
    st.sampled_from((b"", b"x")),
)


def is_fault(one: BlockHeader, other: BlockHeader) -> bool:
    """As ref-fvm has it for two headers, with parents in any order, as lotus had it."""
    if one == other or one.miner != other.miner:
        return False
    return one.height == other.height or set(one.parents) == set(other.parents)


@given(st.lists(HEADERS, max_size=12))
def test_signed_blocks_never_make_a_fault_and_others_are_signed(asked):
    link = sqlite3.connect(":memory:", isolation_level=None)
    link.execute("CREATE TABLE record (seq INTEGER, type TEXT, error TEXT, raw BLOB, at TEXT)")
    heights_prepare(link)
    signed: list[BlockHeader] = []

    for header in asked:
        if any(is_fault(header, one) for one in signed):
            with pytest.raises(AlreadySigned):
                height_claim(link, header, at="2026")
        else:
            height_claim(link, header, at="2026")
            signed.append(header)
    link.close()


def all_at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """What each gave, or the refusal that it raised."""
    gate = threading.Barrier(len(acts))
    found: list[Any] = [None] * len(acts)

    def one(number: int) -> None:
        gate.wait()
        try:
            found[number] = acts[number]()
        except AlreadySigned as error:
            found[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_many_blocks_asked_for_at_once_exactly_one_is_signed(signer):
    headers = [block(100, b"%d" % number) for number in range(8)]

    found = all_at_once([lambda header=header: sign(signer, header) for header in headers])  # type: ignore[misc]

    [won] = [number for number, one in enumerate(found) if not isinstance(one, AlreadySigned)]
    signature_verify(found[won], WORKER, headers[won].signing_bytes)
    assert all(header_cid(headers[won]) in str(one) for one in found if one is not found[won])


def test_two_processes_of_one_folder_sign_one_block_of_a_height_too(signer, monkeypatch):
    """Each looks before the other has written: what counts is the look inside the transaction."""
    other = again(signer.folder)
    for height in range(100, 110):
        gate = threading.Barrier(2)

        def sign_late(*given: Any, gate: threading.Barrier = gate) -> Any:
            gate.wait(10)
            return key_sign(*given)

        monkeypatch.setattr("workers.signer.signing.key_sign", sign_late)
        found = all_at_once(
            [
                lambda height=height: sign(signer, block(height, b"one")),  # type: ignore[misc]
                lambda height=height: sign(other, block(height, b"two")),  # type: ignore[misc]
            ]
        )
        assert sum(isinstance(one, AlreadySigned) for one in found) == 1, height
    other.close()

    errors = [row["error"] for row in signer.records.query(RecordQuery())]
    assert sum(not error for error in errors) == sum("double-fork" in error for error in errors) == 10


def test_a_signer_that_is_killed_refuses_all_that_it_may_have_given(signer):
    """SIGKILL at a moment of nobody's choice: each signature that was seen outside had its height taken."""
    folder, height, given = signer.folder, 0, 0
    signer.close()
    for pause_s in (0.0, 0.004, 0.011, 0.023):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                forked = again(folder)
                for number in range(height, height + 10_000):
                    sign(forked, block(number, b"one"))
                    os.write(writing, number.to_bytes(8, "big"))
            finally:
                os._exit(1)
        os.close(writing)
        seen = bytearray(os.read(reading, 8))
        threading.Event().wait(pause_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while more := os.read(reading, 4096):
            seen += more
        os.close(reading)

        heights = [int.from_bytes(seen[at : at + 8], "big") for at in range(0, len(seen), 8)]
        started = again(folder)
        for number in heights:
            assert f"at height {number}" in refused(started, block(number, b"two"))
        started.close()
        height, given = heights[-1] + 2, given + len(heights)

    assert given >= 4


def test_blocks_that_an_older_signer_signed_count(signer):
    sign(signer, block(100, b"one"))
    for table in ("signed_block", "height_mark"):
        signer.records.link.execute(f"DROP TABLE {table}")
    kept = (
        "at, day, type, address, caller, words, cid, target, value, value_nano, fee_nano, rule, policy, error"
    )
    copied = f"SELECT 'x', {kept}, ?, previous, hash FROM record"  # an older signer did not look
    second = to_cbor(block(100, b"two"))
    signer.records.link.execute(f"INSERT INTO record (id, {kept}, raw, previous, hash) {copied}", (second,))
    signer.close()

    started = again(signer.folder)

    assert header_cid(block(100, b"one")) in refused(started, block(100, b"three"))
    assert sign(started, block(100, b"one"))
    assert sign(started, block(101))
    started.close()


def command(signer: Signer, capsys: Any, *words: str) -> tuple[int, str]:
    code = main(["heights", "--dir", str(signer.folder), *words])
    told = capsys.readouterr()
    return code, (told.out + told.err).strip()


def test_signed_blocks_are_listed(signer, capsys):
    assert command(signer, capsys) == (0, "no blocks were signed")
    sign(signer, block(100))
    sign(signer, block(101))
    sign(signer, block(7, miner=id_address(1001)))

    code, all_of_them = command(signer, capsys)
    _, of_one = command(signer, capsys, "--miner", "t01000", "--limit", "1")

    assert code == 0
    assert [line.split()[:2] for line in all_of_them.splitlines()] == [
        ["f01000", "101"],
        ["f01000", "100"],
        ["f01001", "7"],
    ]
    assert of_one.startswith(f"f01000 101 {header_cid(block(101))} 20")


def test_closed_heights_are_refused_though_nothing_is_known_of_them(signer, capsys):
    """A folder out of a backup does not know what was signed since."""
    sign(signer, block(100))

    assert command(signer, capsys, "--miner", "f01000", "--close", "200", "--by", "ann") == (0, "success")

    assert "f01000 must not sign blocks up to height 200: closed by ann" in refused(signer, block(200))
    assert sign(signer, block(100)), "the same block again makes no fault"
    assert sign(signer, block(201))
    assert sign(signer, block(150, miner=id_address(1001)))
    command(signer, capsys, "--miner", "f01000", "--close", "-1", "--by", "ann")
    assert sign(signer, block(200))
    assert "height 201" in refused(signer, block(201, b"two"))


def test_a_new_chain_begins_where_somebody_says_so_and_the_records_say_who(signer, capsys):
    sign(signer, block(100, b"one"))
    sign(signer, block(100, b"one", miner=id_address(1001)))

    assert command(signer, capsys, "--miner", "f01000", "--forget", "--by", "ann") == (0, "success")

    newest = signer.records.query(RecordQuery())[0]
    assert newest["words"] == "block: f01000 signed blocks forgotten by ann"
    assert (newest["address"], newest["caller"], newest["rule"]) == (
        "f01000",
        "command line ann",
        "(by hand)",
    )
    assert sign(signer, block(100, b"two"))
    assert header_cid(block(100, b"two")) in refused(signer, block(100, b"one"))
    assert "f01001" in refused(signer, block(100, b"two", miner=id_address(1001)))
    assert signer.records.chain_verify() is None


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--forget",), "pass --miner, --by"),
        (("--forget", "--miner", "f01000"), "pass --miner, --by"),
        (("--close", "5", "--by", "ann"), "pass --miner, --by"),
        (("--close", "5", "--forget", "--miner", "f01000", "--by", "ann"), "pass --miner, --by and either"),
        (("--close", "-2", "--miner", "f01000", "--by", "ann"), "-2 is not a valid height"),
        (("--close", str(2**63), "--miner", "f01000", "--by", "ann"), "is not a valid height"),
        (("--miner", "nonsense"), "--miner: "),
    ],
)
def test_what_is_half_said_changes_nothing(signer, capsys, words, complaint):
    sign(signer, block(100))

    code, told = command(signer, capsys, *words)

    assert (code, complaint in told) == (1, True), told
    assert "height 100" in refused(signer, block(100, b"two"))


def test_no_other_policy_is_said_to_allow_a_second_block(signer):
    """A rehearsal asks about what was refused, too: that refusal was not the policy's."""
    sign(signer, block(100, b"one"))
    refused(signer, block(100, b"two"))
    policy = policy_parse('version = 1\n[[rule]]\nname = "mine"\ntypes = ["block"]\n')

    found = backtest_run(signer.records, policy, since=datetime.now(UTC) - timedelta(days=1))

    assert found.requests == 2
    assert [(one.before, one.after) for one in found.changes] == [("signed by 'blocks'", "signed by 'mine'")]
