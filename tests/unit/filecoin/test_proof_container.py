from __future__ import annotations

import lzma
import random

import pytest

from poolsite.filecoin.cbor import encode
from poolsite.filecoin.container_checks import (
    porep_proof_check,
    update_proof_check,
    window_post_check,
    winning_post_check,
)
from poolsite.filecoin.merkle import MerkleProof, PathElement
from poolsite.filecoin.message import MAX_MESSAGE_LEN
from poolsite.filecoin.porep.parameters import ChallengeRule, seal_parameters
from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof
from poolsite.filecoin.porep.verification import BadPoRep
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.proving import post_prove
from poolsite.filecoin.post.verification import BadPoSt
from poolsite.filecoin.proof_container import (
    PREFIX,
    BadProofContainer,
    Container,
    ContainerKind,
    aggregate_container,
    aggregate_proofs,
    container_decode,
    container_encode,
    porep_container,
    porep_fits_message,
    update_container,
    update_fits_message,
    window_post_container,
    winning_post_container,
)
from poolsite.filecoin.sizes import KIB
from poolsite.filecoin.update.parameters import update_parameters
from poolsite.filecoin.update.vanilla import UpdateChallengeProof, VanillaUpdateProof
from poolsite.filecoin.update.verification import BadUpdate
from tests.naive.updates import update_prove
from tests.unit.filecoin.golden_proofs import MINER_ID, case_sealed, stream
from tests.unit.filecoin.proof_container import porep_of
from tests.unit.filecoin.update.golden_updates import case_updated

RANDOMNESS = stream("window", 32)[:31] + b"\xff"
"""Chain randomness, whose top bits the check must clear."""
SECTORS = {3: "2k_v1", 8: "2k_v1_1"}
WINNING, WINDOW = 0, 10


def post_proofs(post_proof, numbers):
    return [
        post_prove(
            case_sealed(SECTORS[number]).tree_r_last,
            case_sealed(SECTORS[number]).tree_c.root,
            parameters=post_parameters(post_proof),
            randomness=post_randomness(RANDOMNESS),
            sector_number=number,
        )
        for number in numbers
    ]


def post_known(post_proof, numbers):
    sectors = [(number, case_sealed(SECTORS[number]).comm_r) for number in numbers]
    return {"post_proof": post_proof, "randomness": RANDOMNESS, "miner_id": MINER_ID, "sectors": sectors}


def window_of():
    return window_post_container(WINDOW, post_proofs(WINDOW, SECTORS)), post_known(WINDOW, SECTORS)


def winning_of():
    (proof,) = post_proofs(WINNING, [3])
    return winning_post_container(WINNING, proof), post_known(WINNING, [3])


def update_of():
    sector = case_updated("2k_v1_1")
    known = {name: getattr(sector.inputs, name) for name in ("comm_r_old", "comm_r_new", "comm_d_new")}
    return update_container(0, [update_prove(sector, 0)]), known | {"update_proof": 0}


CHECKS = {
    "porep": (porep_of, porep_proof_check),
    "window": (window_of, window_post_check),
    "winning": (winning_of, winning_post_check),
    "update": (update_of, update_proof_check),
}
CHECK_LIST = pytest.mark.parametrize(("make", "check"), list(CHECKS.values()), ids=list(CHECKS))
REFUSALS = (BadProofContainer, BadPoRep, BadPoSt, BadUpdate)


@pytest.mark.parametrize("case", ["2k_v1", "2k_v1_1", "2k_synth", "2k_ni"])
def test_the_porep_of_every_generation_is_accepted(case):
    proof, known = porep_of(case)

    porep_proof_check(proof, **known)


@CHECK_LIST
def test_a_right_container_is_accepted_and_starts_with_the_prefix(make, check):
    proof, known = make()

    check(proof, **known)
    assert proof.startswith(b"devnet-proof/1")
    assert container_encode(container_decode(proof)) == proof


@pytest.mark.parametrize(
    "changed",
    [
        {"seal_proof": 0},
        {"seal_proof": 99},
        {"comm_r": bytes(32)},
        {"comm_d": bytes(32)},
        {"comm_d": bytes(31)},
        {"miner_id": 1001},
        {"sector_number": 2},
        {"ticket": bytes(32)},
        {"ticket": b""},
        {"seed": bytes(32)},
    ],
    ids=str,
)
def test_a_porep_for_other_facts_is_refused(changed):
    proof, known = porep_of()

    with pytest.raises((BadPoRep, BadProofContainer)):
        porep_proof_check(proof, **known | changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"post_proof": 5},
        {"post_proof": 0},
        {"post_proof": 99},
        {"randomness": bytes(32)},
        {"randomness": b""},
        {"miner_id": -1},
        {"sectors": []},
        {"sectors": [(3, bytes(32)), (8, bytes(32))]},
        {"sectors": [(3, bytes(32)), (3, bytes([1] * 32))]},
    ],
    ids=str,
)
def test_a_window_post_for_other_facts_is_refused(changed):
    proof, known = window_of()

    with pytest.raises((BadPoSt, BadProofContainer)):
        window_post_check(proof, **known | changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"update_proof": 1},
        {"update_proof": 9},
        {"comm_r_old": bytes(32)},
        {"comm_r_new": bytes(31)},
        {"comm_d_new": bytes(32)},
    ],
    ids=str,
)
def test_an_update_for_other_facts_is_refused(changed):
    proof, known = update_of()

    with pytest.raises((BadUpdate, BadProofContainer)):
        update_proof_check(proof, **known | changed)


def test_a_window_post_over_more_or_fewer_sectors_is_refused():
    proof, known = window_of()

    with pytest.raises(BadPoSt, match="2 sector proofs instead of 1"):
        window_post_check(proof, **known | {"sectors": known["sectors"][:1]})
    with pytest.raises(BadPoSt, match="2 sector proofs instead of 3"):
        window_post_check(proof, **known | {"sectors": [*known["sectors"], (9, bytes(32))]})


def test_a_good_sector_that_stands_in_for_a_faulty_one_counts_once():
    proof, known = window_of()
    third, eighth = known["sectors"]

    window_post_check(proof, **known | {"sectors": [eighth, third, eighth]})


def test_two_proofs_of_one_winning_sector_are_refused():
    (first,) = post_proofs(WINNING, [3])
    (group,) = container_decode(winning_of()[0]).groups

    with pytest.raises(BadPoSt):
        winning_post_check(
            container_encode(Container(ContainerKind.WINNING_POST, WINNING, (group * 2,))),
            **post_known(WINNING, [3]),
        )
    assert first.sector_number == 3


def test_a_container_of_another_kind_is_refused():
    with pytest.raises(BadProofContainer, match="WINDOW_POST proof instead of WINNING_POST"):
        winning_post_check(window_of()[0], **post_known(WINNING, [3]))


def test_a_post_of_two_groups_is_refused():
    (group,) = container_decode(window_of()[0]).groups
    proof = container_encode(Container(ContainerKind.WINDOW_POST, WINDOW, (group, group)))

    with pytest.raises(BadProofContainer, match="2 groups"):
        window_post_check(proof, **post_known(WINDOW, SECTORS))


MALFORMED = {
    "empty": b"",
    "a Groth16 proof's length": bytes(192),
    "prefix only": PREFIX,
    "another version": b"devnet-proof/2" + encode([1, 5, []]),
    "no array": PREFIX + encode({"kind": 1}),
    "two fields": PREFIX + encode([1, 5]),
    "four fields": PREFIX + encode([1, 5, [], 0]),
    "kind 0": PREFIX + encode([0, 5, []]),
    "kind as text": PREFIX + encode(["1", 5, []]),
    "kind as boolean": PREFIX + encode([True, 5, []]),
    "kind as list": PREFIX + encode([[], 5, []]),
    "negative proof": PREFIX + encode([1, -1, []]),
    "proof as text": PREFIX + encode([1, "5", []]),
    "groups as bytes": PREFIX + encode([1, 5, b""]),
    "group as bytes": PREFIX + encode([1, 5, [b""]]),
    "item as text": PREFIX + encode([1, 5, [["x"]]]),
    "item empty": PREFIX + encode([1, 5, [[b""]]]),
    "trailing byte": PREFIX + encode([1, 5, []]) + b"\0",
    "not the shortest head": PREFIX + b"\x98\x03\x01\x05\x80",
    "deep nesting": PREFIX + b"\x81" * 100_000,
}


@pytest.mark.parametrize("proof", list(MALFORMED.values()), ids=list(MALFORMED))
def test_malformed_bytes_are_refused(proof):
    _, known = porep_of()

    with pytest.raises(BadProofContainer):
        porep_proof_check(proof, **known)


@CHECK_LIST
def test_every_truncated_prefix_is_refused(make, check):
    proof, known = make()
    lengths = {*range(200), *range(200, len(proof), 41), len(proof) - 1}

    for length in lengths:
        with pytest.raises(BadProofContainer):
            check(proof[:length], **known)


@CHECK_LIST
def test_random_flips_of_bits_and_bytes_are_refused(make, check):
    proof, known = make()
    rng = random.Random(7)
    places = [*range(60), *(rng.randrange(len(proof)) for _ in range(200))]

    for at in places:
        damaged = bytearray(proof)
        damaged[at] ^= rng.choice((1 << rng.randrange(8), 0xFF))
        with pytest.raises(REFUSALS):
            check(bytes(damaged), **known)


@CHECK_LIST
def test_spliced_and_repeated_parts_are_refused(make, check):
    proof, known = make()
    rng = random.Random(8)

    for _ in range(60):
        start, end = sorted(rng.randrange(len(PREFIX), len(proof)) for _ in range(2))
        for damaged in (proof[:start] + proof[end + 1 :], proof[:end] + proof[start:]):
            with pytest.raises(REFUSALS):
                check(damaged, **known)


def test_an_aggregate_gives_back_its_parts_in_order():
    parts = (b"first", b"", b"third")
    whole = aggregate_container(5, parts)

    assert aggregate_proofs(whole, seal_proof=5) == parts
    with pytest.raises(BadProofContainer, match="registered proof 5 instead of 15"):
        aggregate_proofs(whole, seal_proof=15)
    for end in range(len(whole)):
        with pytest.raises(BadProofContainer):
            aggregate_proofs(whole[:end], seal_proof=5)


@pytest.mark.parametrize(
    "item",
    [
        b"plain bytes",
        lzma.compress(b"proof")[:-1],
        lzma.compress(b"proof") + b"x",
        lzma.compress(b"proof", preset=9),  # wants 64 MiB to unpack
    ],
)
def test_an_aggregated_proof_that_does_not_unpack_is_refused(item: bytes) -> None:
    whole = container_encode(Container(ContainerKind.AGGREGATE, 5, ((item,),)))

    with pytest.raises(BadProofContainer, match="aggregated proof"):
        aggregate_proofs(whole, seal_proof=5)


def test_an_aggregate_unpacks_to_no_more_than_one_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolsite.filecoin.proof_container.MAX_CONTAINER_BYTES", 1 << 16)
    half = bytes(1 << 15)

    assert len(aggregate_proofs(aggregate_container(5, (half, half)), seal_proof=5)) == 2
    with pytest.raises(BadProofContainer, match="truncated"):
        aggregate_proofs(aggregate_container(5, (half, half, b"one more")), seal_proof=5)


def path_of(bits, arity):
    """A path of a tree with so many nodes, whose hashes do not repeat."""
    step = arity.bit_length() - 1
    rows = (
        PathElement(tuple(random.randbytes(32) for _ in range(arity - 1)), 0) for _ in range(bits // step)
    )
    return MerkleProof(tuple(rows), (), (), random.randbytes(32), random.randbytes(32))


@pytest.mark.parametrize(("number", "fits"), [(0, True), (1, False)], ids=["2KiB", "8MiB"])
def test_an_update_fits_a_message_if_its_container_does(number, fits):
    update = update_parameters(number)
    opened = [
        UpdateChallengeProof(*(path_of(update.node_bits, arity) for arity in (8, 2, 8)))
        for _ in range(update.challenges)
    ]
    partition = VanillaUpdateProof(bytes(32), (bytes(32),) * update.apex_leaves, tuple(opened))

    size = len(update_container(number, [partition] * update.partitions))

    assert (size < MAX_MESSAGE_LEN) is update_fits_message(update.sector_bytes) is fits


@pytest.mark.parametrize(
    ("seal_proof", "fits"), [(5, True), (6, True), (15, True), (16, False)], ids=["2KiB", "8MiB", "NI", "8NI"]
)
def test_a_porep_fits_a_message_if_its_container_does(seal_proof, fits):
    parameters = seal_parameters(seal_proof)
    nodes = parameters.nodes

    def column():
        return ColumnProof(0, (bytes(32),) * parameters.layers, path_of(nodes.bit_length() - 1, 8))

    def opened():
        labels = LabelingProof((bytes(32),) * 37, 1, 0)
        tree_d, tree_r = (path_of(nodes.bit_length() - 1, arity) for arity in (2, 8))
        drg, exp = (tuple(column() for _ in range(count)) for count in (6, 8))
        return VanillaPoRepProof(tree_d, tree_r, column(), drg, exp, (labels,) * parameters.layers, labels)

    if parameters.sector_bytes == 2 * KIB and parameters.rule is ChallengeRule.NON_INTERACTIVE:
        proofs = [opened()] * parameters.challenges  # 64 nodes are opened over and over
        partitions = [proofs] * parameters.partitions
    else:
        partitions = [[opened() for _ in range(parameters.challenges)] for _ in range(parameters.partitions)]
    container = porep_container(seal_proof, partitions)
    is_alone = parameters.rule is ChallengeRule.NON_INTERACTIVE
    size = len(aggregate_container(seal_proof, [container]) if is_alone else container)

    assert (size < MAX_MESSAGE_LEN) is porep_fits_message(seal_proof) is fits
