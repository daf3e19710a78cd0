"""The one place that signs: understand, ask the policy, sign, record."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.filecoin.address import BadAddress, address_parse
from poolsite.filecoin.keys import key_sign
from workers.signer.errors import AlreadySigned, Denied, KeyMissing, SignerError, Unrecorded
from workers.signer.keystore import KeyStore
from workers.signer.origins import ids_find, origin_check
from workers.signer.payloads import meaning_of_unknown, payload_decode
from workers.signer.policy_file import PolicyFile
from workers.signer.records import BY_HAND, RecordQuery, Records, Verdict
from workers.signer.sign_request import MESSAGE, Amounts, SignRequest
from workers.signer.slash_protection import height_refusal

if TYPE_CHECKING:
    from poolsite.filecoin.signature import Signature
    from poolsite.wire.origins import IdsAsked, IdsFound, Origin
    from workers.signer.encryption import Cost

log = structlog.get_logger(__name__)

SIGN_BYTES_LEN: Final = 32
LISTED_MAX: Final = 10_000
"""Records of one listing; who asks for all of them gets the newest, and goes on with `Before`."""


class Signer:
    """A folder's keys, policy and records.  `sign` may be called from any thread; one signs at a time."""

    def __init__(self, folder: Path, *, cost: Cost | None = None) -> None:
        self.folder = folder
        self.store = KeyStore(folder, cost=cost)
        self.policy = PolicyFile(folder / "policy.toml")
        self.records = Records(folder / "records.sqlite")
        self.sign_bytes = secrets.token_bytes(SIGN_BYTES_LEN)
        """Our half of what proves a key to a gateway; new with each start."""
        self._turn = threading.Lock()

    def close(self) -> None:
        """Forget the keys, close the records."""
        with self._turn:
            self.store.lock()
            self.records.close()

    def sign(
        self, *, address: str, to_sign: bytes, meta_type: str, extra: bytes, caller: str, rule_set: str = ""
    ) -> Signature:
        """Sign something, as `sign_by_rule` does."""
        return self.sign_by_rule(
            address=address,
            to_sign=to_sign,
            meta_type=meta_type,
            extra=extra,
            caller=caller,
            rule_set=rule_set,
        )[0]

    def sign_by_rule(
        self,
        *,
        address: str,
        to_sign: bytes,
        meta_type: str,
        extra: bytes,
        caller: str,
        rule_set: str = "",
        origin: Origin | None = None,
    ) -> tuple[Signature, str]:
        """Sign something for `caller`, if it is understood and allowed; names the rule that allowed it.

        Raises KeyMissing, Locked, NotUnderstood, Denied, SignedBefore, Unrecorded.  Refusals of things
        that were understood are recorded like signatures; no signature leaves before its record is written.
        """
        try:
            parsed = address_parse(address)
        except BadAddress:
            raise KeyMissing from None
        with self._turn, recordable():
            if not self.store.has(address):
                raise KeyMissing
            try:
                request = payload_decode(
                    address=parsed,
                    to_sign=to_sign,
                    meta_type=meta_type,
                    extra=extra,
                    sign_bytes=self.sign_bytes,
                )
            except SignerError as error:
                unread = SignRequest(meta_type[:40], parsed, to_sign, raw=(to_sign + extra)[:4096])
                self.record(unread, Verdict("", "", str(error)), caller=caller, rule_set=rule_set)
                raise
            of_message = origin if request.type == MESSAGE else None
            return self.request_sign(request, caller=caller, rule_set=rule_set, origin=of_message)

    def request_sign(
        self, request: SignRequest, *, caller: str, rule_set: str = "", origin: Origin | None = None
    ) -> tuple[Signature, str]:
        """Decide by the policy, sign, record.

        A block's height is taken with the record; until then the signature is nowhere but here.
        """
        now = datetime.now(UTC)
        day, address = now.date().isoformat(), str(request.address)
        verdict = self.policy.current().decide(
            request,
            caller=caller,
            now=now,
            rule_set=rule_set,
            spent=lambda rule: self.records.spent(rule=rule, address=address, day=day, but=request),
        )
        if verdict.error:
            self.record(request, verdict, caller=caller, rule_set=rule_set, origin=origin)
            reading = request.readings[0] if request.readings else ""
            raise Denied(verdict.error, misfit=verdict.misfit, reading=reading)
        try:
            barrier_check(request, self.records)
            origin_check(self.records.link, request, origin)
            signature = key_sign(self.store.key(address), request.payload)
            self.record(request, verdict, caller=caller, rule_set=rule_set, origin=origin)
        except Denied as error:
            refused = replace(verdict, rule="", error=str(error))
            self.record(request, refused, caller=caller, rule_set=rule_set, origin=origin)
            raise
        return signature, verdict.rule

    def sign_by_hand(self, request: SignRequest, *, caller: str) -> Signature:
        """Sign what a person at this machine saw and agreed to: the policy is for programs, and is not asked.

        Raises KeyMissing, Locked, Denied, Unrecorded.
        """
        with self._turn, recordable():
            barrier_check(request, self.records)
            signature = key_sign(self.store.key(str(request.address)), request.payload)
            self.record(request, Verdict(BY_HAND, ""), caller=caller)
        return signature

    def nonce_signed(self, request: SignRequest) -> list[str]:
        """Return the CIDs of other messages that were signed with this key and nonce.  Raises Unrecorded."""
        with self._turn, recordable():
            return self.records.nonce_cids(request)

    def records_query(self, request: RecordQuery) -> list[sqlite3.Row]:
        """Read records, at most `LISTED_MAX`; over a connection of its own, so that signing goes on."""
        limit = min(request.limit or LISTED_MAX, LISTED_MAX)
        records = Records(self.folder / "records.sqlite")
        try:
            return records.query(replace(request, limit=limit))
        finally:
            records.close()

    def spent(self, *, rule: str, address: str, day: str, but: SignRequest) -> Amounts:
        """Return what a rule let this key spend on a day beside one request."""
        with self._turn:
            return self.records.spent(rule=rule, address=address, day=day, but=but)

    def ids_find(self, request: IdsAsked) -> IdsFound:
        """Return the ids under which messages were signed.  Raises Unrecorded."""
        with self._turn, recordable():
            return ids_find(self.records.link, pool=request.pool, cids=request.cids)

    def record(
        self,
        request: SignRequest,
        verdict: Verdict,
        *,
        caller: str,
        rule_set: str = "",
        origin: Origin | None = None,
    ) -> None:
        """Write a decision down, in the records and in the log; a refusal stays one where that fails."""
        now = datetime.now(UTC)
        try:
            self.records.write(request, verdict, caller=caller, now=now, rule_set=rule_set, origin=origin)
        except sqlite3.Error as error:
            if not verdict.error:
                raise
            log.warning("refusal_not_recorded", reason=str(error))
        log.info(
            "refused" if verdict.error else "signed",
            address=str(request.address),
            what=request.description[:200],
            cid=request.cid,
            caller=caller,
            rule=verdict.rule,
            reason=verdict.error,
        )


@contextlib.contextmanager
def recordable() -> Iterator[None]:
    """Make a refusal of records that cannot be read or written: nothing is signed without its record."""
    try:
        yield
    except sqlite3.Error as error:
        raise Unrecorded(f"the records cannot be read or written: {error}") from error


def barrier_check(request: SignRequest, records: Records) -> None:
    """Refuse what no policy can allow.  Raises Denied, AlreadySigned."""
    if text := meaning_of_unknown(request):
        raise Denied(f"these are the bytes of {text}: request it by its type")
    if request.header is not None and (refusal := height_refusal(records.link, request.header)):
        raise AlreadySigned(refusal)
