"""Whether a block may join the chain: every check of a full node, with its refusal.

Source: lotus chain/consensus/filcns/filecoin.go ValidateBlock, chain/consensus/common.go.  One rule is the
devnet's own: its time stands still while it does not run, so a block's timestamp may be later than parent
plus delay times rounds, but not earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from poolsite.devnet.header_checks import (
    BadBlock,
    check_parent_results,
    check_senders,
    check_shape,
    check_signature,
    check_ticket,
    refusal_text,
    sender_key,
)
from poolsite.filecoin.block import messages_root
from poolsite.filecoin.election import (
    BadElection,
    election_randomness,
    vrf_verify,
    win_count,
    winning_post_randomness,
)
from poolsite.filecoin.proof_verifier import ProofVerifier
from poolsite.filecoin.signature import BadSignature

if TYPE_CHECKING:
    from poolsite.devnet.baseinfo import BaseInfo, BaseInfos
    from poolsite.devnet.chain import Chain
    from poolsite.devnet.consensus import Rules
    from poolsite.devnet.executed_tipset import Link
    from poolsite.devnet.signatures import Signatures
    from poolsite.filecoin.block import BlockHeader, BlockMsg
    from poolsite.filecoin.message import SignedMessage

CLOCK_DRIFT_S: Final = 1
"""How far ahead of our clock a block may be."""

PAIRING_CHECKS: Final = 3
"""How many of the checks, from the first, are little else than a BLS pairing."""
_PAIRINGS: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="devnet-pairings")
# (Module state: threads for every node of the process.)


class Validator:
    """Checks blocks whose parents are executed."""

    def __init__(self, chain: Chain, base_infos: BaseInfos, rules: Rules, *, signatures: Signatures) -> None:
        self.chain = chain
        self.signatures = signatures
        self.base_infos = base_infos
        self.rules = rules

    def check(
        self,
        block: BlockMsg,
        parent: Link,
        *,
        messages: tuple[Sequence[SignedMessage], Sequence[SignedMessage]],
        now: float,
    ) -> None:
        """Check a block on its parents.  Raises BadBlock."""
        header = block.header
        check_shape(header)
        self._check_time(header, parent, now=now)
        if header.parent_weight != parent.weight:
            raise BadBlock(
                f"parent weight different: {header.parent_weight} (header) != {parent.weight} (computed)"
            )
        info = self.base_infos.get(
            header.miner.actor_id, header.height, parent.tipset, entries=header.beacon_entries
        )
        checks = self._checks(block, parent, info=info, messages=messages)
        # The pairings of the first checks release the interpreter: they run beside the others.
        concurrent = [_PAIRINGS.submit(refusal_text, check) for check in checks[:PAIRING_CHECKS]]
        texts = [refusal_text(check) for check in checks[PAIRING_CHECKS:]]
        errors = [text for text in (*(one.result() for one in concurrent), *texts) if text is not None]
        if errors:
            noun = "error" if len(errors) == 1 else "errors"
            lines = "".join(f"\t* {text}\n" for text in errors)
            raise BadBlock(f"{len(errors)} {noun} occurred:\n{lines}\n")

    def _checks(
        self,
        block: BlockMsg,
        parent: Link,
        *,
        info: BaseInfo | None,
        messages: tuple[Sequence[SignedMessage], Sequence[SignedMessage]],
    ) -> list[Callable[[], None]]:
        header = block.header
        return [
            lambda: self._check_winner(header, info),
            lambda: check_ticket(header, parent, info),
            lambda: check_signature(header, info),
            lambda: self._check_beacon(header, parent),
            lambda: self._check_post(header, info),
            lambda: check_parent_results(header, parent),
            lambda: self._check_messages(block, parent, messages=messages),
        ]

    def _check_time(self, header: BlockHeader, parent: Link, *, now: float) -> None:
        if header.height <= parent.height:
            raise BadBlock(f"block height not greater than parent height: {header.height} != {parent.height}")
        rounds = header.height - parent.height
        least = parent.tipset.min_timestamp + self.rules.network.epoch_s * rounds
        if header.timestamp < least:
            raise BadBlock(f"block has wrong timestamp: {header.timestamp} != {least}")
        if header.timestamp > now + CLOCK_DRIFT_S:
            raise BadBlock(
                f"block was from the future (now={int(now)}, blk={header.timestamp}): temporal error"
            )

    def _check_winner(self, header: BlockHeader, info: BaseInfo | None) -> None:
        proof = header.election_proof
        if proof is None or proof.win_count < 1:
            raise BadBlock("block is not claiming to be a winner")
        if info is None or not info.is_eligible:
            raise BadBlock("block's miner is ineligible to mine")
        randomness = election_randomness(info.beacon.data, header.height, header.miner)
        try:
            vrf_verify(info.worker, randomness, proof.vrf_proof)
        except BadElection as error:
            raise BadBlock(f"validating block election proof failed: {error}") from None
        computed = win_count(proof.vrf_proof, info.power.quality, info.total.quality)
        if computed != proof.win_count:
            raise BadBlock(
                f"miner claims wrong number of wins: miner: {proof.win_count}, computed: {computed}"
            )

    def _check_beacon(self, header: BlockHeader, parent: Link) -> None:
        wanted = range(parent.height + 1, header.height + 1)
        rounds = [entry.round for entry in header.beacon_entries]
        if rounds != list(wanted):
            raise BadBlock(
                f"failed to validate blocks random beacon values: expected beacon entries for rounds "
                f"{wanted[0]} to {wanted[-1]}, got {rounds}"
            )
        for entry in header.beacon_entries:
            if not self.base_infos.beacon.is_valid(entry):
                raise BadBlock(
                    "failed to validate blocks random beacon values: "
                    f"beacon entry {entry.round} was invalid: bad signature"
                )

    def _check_post(self, header: BlockHeader, info: BaseInfo | None) -> None:
        if info is None:
            raise BadBlock("invalid election post: no sectors to prove")
        if len(header.win_post_proof) != 1:
            raise BadBlock("invalid election post: No winning post proof given")
        proof = header.win_post_proof[0]
        randomness = winning_post_randomness(info.beacon.data, header.height, header.miner)
        is_valid = self.rules.proofs.is_proven(
            ProofVerifier.winning_post,
            proof.proof_bytes,
            post_proof=proof.post_proof,
            randomness=randomness,
            miner_id=header.miner.actor_id,
            sectors=[(sector.number, sector.sealed_cid.digest) for sector in info.sectors],
        )
        if not is_valid:
            raise BadBlock("invalid election post: winning post was invalid")

    def _check_messages(
        self,
        block: BlockMsg,
        parent: Link,
        *,
        messages: tuple[Sequence[SignedMessage], Sequence[SignedMessage]],
    ) -> None:
        header = block.header
        root = messages_root(block.bls_messages, block.secpk_messages)
        if root != header.messages:
            raise BadBlock(
                "block had invalid messages: messages didnt match message root in header "
                f"({root} != {header.messages})"
            )
        bls, secpk = messages
        state = self.chain.state_after(parent.key)
        senders = [sender_key(state, signed.message.from_) for signed in bls]
        try:
            if header.bls_aggregate is None:
                raise BadBlock("block had nil bls aggregate signature")
            self.signatures.verify_aggregate(header.bls_aggregate, bls, senders)
        except BadSignature as error:
            raise BadBlock(f"block had invalid bls aggregate signature: {error}") from None
        for signed in secpk:
            key = sender_key(state, signed.message.from_)
            try:
                self.signatures.verify(signed, key)
            except BadSignature as error:
                raise BadBlock(
                    f"block had invalid secpk message: secpk message {signed.cid} has invalid "
                    f"signature: {error}"
                ) from None
        check_senders(state, [*bls, *secpk])
