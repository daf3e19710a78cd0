"""The JSON form between console and workers: round trips, and refusals by field and reason."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.wire.codec import (
    WIRE_VERSION,
    BadWire,
    Document,
    Int,
    Text,
    document_decode,
    document_encode,
    document_send,
)
from poolsite.wire.commands import Command, Operation
from poolsite.wire.hardware import Hardware
from poolsite.wire.hosts import Heartbeat, HeartbeatAnswer, HeldJob, Register
from poolsite.wire.job_inputs import Piece, ProvenSector, SealInputs, WindowPostInputs
from poolsite.wire.job_reports import Complete, Event, Fail, Level, Progress, StageOutputs
from poolsite.wire.jobs import Assignment, Claim, JobKind

words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=40)
numbers = st.integers(0, 2**63 - 1)
digests = st.binary(min_size=32, max_size=32)
pieces = st.builds(Piece, size=st.sampled_from([128, 2048, 2**35]), comm_p=digests)
seal_inputs = st.builds(
    SealInputs,
    miner_id=numbers,
    number=numbers,
    seal_proof=st.integers(0, 19),
    sector_size=numbers,
    state=words,
    stage=words,
    pieces=st.lists(pieces, max_size=2).map(tuple),
    ticket=st.none() | digests,
    ticket_epoch=st.none() | numbers,
    comm_r=st.none() | digests,
)
post_inputs = st.builds(
    WindowPostInputs,
    miner_id=numbers,
    post_proof=st.integers(0, 14),
    randomness=digests,
    sectors=st.lists(
        st.builds(ProvenSector, number=numbers, comm_r=digests, seal_proof=st.just(5)), min_size=1, max_size=3
    ).map(tuple),
    deadline=st.integers(0, 47),
    close_epoch=numbers,
)
documents = st.one_of(
    st.builds(
        Assignment,
        id=words,
        kind=st.just(JobKind.SEAL),
        token=numbers,
        seq=numbers,
        lease_s=numbers,
        seal=seal_inputs,
    ),
    st.builds(
        Assignment,
        id=words,
        kind=st.just(JobKind.WINDOW_POST),
        token=numbers,
        seq=numbers,
        lease_s=numbers,
        window_post=post_inputs,
    ),
    st.builds(
        Claim,
        worker_id=words,
        boot_id=words,
        kinds=st.lists(st.sampled_from(JobKind), max_size=2).map(tuple),
        stages=st.dictionaries(words, st.integers(0, 9), max_size=3),
        max=st.integers(1, 100),
    ),
    st.builds(
        Event,
        token=numbers,
        seq=numbers,
        state=words,
        event=words,
        outputs=st.builds(StageOutputs, comm_d=st.none() | digests, proof=st.none() | st.binary(max_size=50)),
    ),
    st.builds(
        Complete, token=numbers, proof=st.binary(max_size=50), faults=st.lists(numbers, max_size=3).map(tuple)
    ),
    st.builds(Fail, token=numbers, level=st.sampled_from(Level), stage=words, error=words),
    st.builds(
        Heartbeat,
        boot_id=words,
        held=st.lists(
            st.builds(
                HeldJob,
                id=words,
                progress=st.builds(Progress, token=numbers, stage=words, done=st.just(1), total=st.just(2)),
            ),
            max_size=2,
        ).map(tuple),
        hardware=st.builds(Hardware, cpus=st.integers(0, 512)),
    ),
    st.builds(
        HeartbeatAnswer,
        commands=st.lists(
            st.builds(
                Command,
                id=words,
                op=st.sampled_from(Operation),
                args=st.dictionaries(words, words, max_size=2),
            ),
            max_size=2,
        ).map(tuple),
    ),
)


@given(documents)
def test_what_is_written_is_read_again(document: Any) -> None:
    text = json.dumps(document_encode(document))

    assert document_decode(type(document), json.loads(text)) == document


@given(documents, st.data())
def test_a_damaged_document_is_refused_or_read_but_never_breaks(document: Any, data: st.DataObject) -> None:
    body = document_encode(document)
    key = data.draw(st.sampled_from(sorted(body)))
    body[key] = data.draw(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        )
    )

    with contextlib.suppress(BadWire):
        document_decode(type(document), body)


def body(**change: Any) -> dict[str, Any]:
    """A good registration with some fields changed; None takes the field away."""
    good = document_encode(
        Register(
            uid="u", boot_id="b", name="n", host="h", version="1", kinds=(JobKind.SEAL,), slots={"PC1": 1}
        )
    )
    good.update(change)
    return {key: value for key, value in good.items() if value is not None}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"v": None}, "v", f"must be {WIRE_VERSION}"),
        ({"v": 2}, "v", f"must be {WIRE_VERSION}"),
        ({"v": True}, "v", f"must be {WIRE_VERSION}"),
        ({"uid": None}, "uid", "missing"),
        ({"uid": ""}, "uid", "must have 1 to 100 characters"),
        ({"uid": 7}, "uid", "must be text"),
        ({"uid": "a\x00"}, "uid", "must not contain a zero byte"),
        ({"uid": "a\ud800"}, "uid", "must not contain an incomplete character"),
        ({"colour": "red"}, "colour", "unknown field"),
        ({"kinds": []}, "kinds", "must not be empty"),
        ({"kinds": "seal"}, "kinds", "must be an array"),
        (
            {"kinds": ["bake"]},
            "kinds.0",
            "must be one of seal, unseal, snap_up, rebuild, window_post, sector_check, aggregate",
        ),
        ({"slots": {"PC1": "1"}}, "slots.PC1", "must be a whole number"),
        ({"slots": {"PC1": True}}, "slots.PC1", "must be a whole number"),
        ({"slots": {"PC1": -1}}, "slots", "must be from 0 to 10000"),
        ({"hardware": []}, "hardware", "must be an object"),
        ({"hardware": {"cpus": 2**80}}, "hardware.cpus", "out of range"),
        ({"hardware": {"gadgets": 1}}, "hardware.gadgets", "unknown field"),
    ],
)
def test_a_bad_field_is_named_with_the_reason(change: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(BadWire) as caught:
        document_decode(Register, body(**change))

    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_a_worker_takes_no_notice_of_what_a_newer_console_tells_more() -> None:
    answer = HeartbeatAnswer(commands=(Command(id="1", op=Operation.PAUSE),))
    told: dict[str, Any] = document_encode(answer)
    newer = told | {"colour": "red", "shapes": {"a.b": [1]}}
    newer["commands"] = [told["commands"][0] | {"mood": 1}]

    assert document_decode(HeartbeatAnswer, newer, ignores_unknown=True) == answer
    with pytest.raises(BadWire, match="unknown field"):
        document_decode(HeartbeatAnswer, newer)

    sing = told | {"commands": [told["commands"][0] | {"op": "sing"}]}
    assert document_decode(HeartbeatAnswer, sing).commands[0].op == "sing"


class OldSector(Document, frozen=True, kw_only=True):
    """A document before its newest field was added."""

    number: Int


class NewSector(OldSector, frozen=True, kw_only=True):
    """The same with that field."""

    folders: tuple[Piece, ...] = ()
    sizes: dict[Text, Int] = {}


class OldList(Document, frozen=True, kw_only=True):
    sectors: tuple[OldSector, ...]


class NewList(Document, frozen=True, kw_only=True):
    sectors: tuple[NewSector, ...]
    note: Text = ""


def test_an_older_side_reads_what_uses_no_newer_field() -> None:
    plain = NewList(sectors=(NewSector(number=0), NewSector(number=1)))
    assert document_decode(OldList, document_send(plain)) == OldList(
        sectors=(OldSector(number=0), OldSector(number=1))
    )

    used = NewList(sectors=(NewSector(number=0), NewSector(number=1, sizes={"a": 0})))
    assert document_decode(NewList, document_send(used)) == used
    with pytest.raises(BadWire, match=r"sectors\.1\.sizes: unknown field"):
        document_decode(OldList, document_send(used))


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_a_document_must_be_an_object(document: object) -> None:
    with pytest.raises(BadWire, match="must be an object"):
        document_decode(Register, document)


@pytest.mark.parametrize("text", ["%%%", "AAA", 5, "AAAA"])
def test_bytes_must_be_base64_of_the_right_length(text: object) -> None:
    with pytest.raises(BadWire) as caught:
        document_decode(Piece, {"v": 1, "size": 2048, "comm_p": text})

    assert caught.value.field == "comm_p"


def test_an_assignment_carries_the_inputs_of_its_kind() -> None:
    with pytest.raises(BadWire, match="window_post: missing"):
        Assignment(id="j", kind=JobKind.WINDOW_POST, token=1, seq=0, lease_s=90)


@pytest.mark.parametrize("name", ["", ".", "0.a", "a.b", "0", "`"])
def test_an_unknown_member_of_any_name_is_refused(name):
    document = {"v": 1, "token": 1, "bad": [{name: None, "0": 1}]}

    for ignores_unknown in (False, True):
        with pytest.raises(BadWire):
            document_decode(Complete, document, ignores_unknown=ignores_unknown)


@pytest.mark.parametrize("wrong", [{"token": "\ud800"}, {"proof": "\ud800"}, {"\ud800": 1}])
def test_half_of_a_surrogate_pair_is_refused(wrong):
    with pytest.raises(BadWire, match="half of a surrogate pair"):
        document_decode(Complete, {"v": 1, "token": 1, "proof": "", **wrong})
