"""Refusals about sectors, jobs and workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.core.errors import BadValue, Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID


class SectorUnknown(NotFound):
    """No such sector, or not for this caller."""

    code = "sector_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no sector {uuid} here").format(uuid=uuid), field="sector")


class JobUnknown(NotFound):
    """No such job, or not for this caller."""

    code = "job_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no job {uuid} here").format(uuid=uuid), field="job")


class StoreUnknown(NotFound):
    """No such store, or not for this caller."""

    code = "store_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no store {uuid} here").format(uuid=uuid), field="uuid")


class CheckUnknown(NotFound):
    """No such check of a store."""

    code = "check_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no check {uuid} of this store").format(uuid=uuid), field="uuid")


class ScanUnknown(NotFound):
    """No such scan of a store."""

    code = "scan_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no scan {uuid} of this store").format(uuid=uuid), field="uuid")


class AdoptionUnknown(NotFound):
    """No such adoption, or not for this caller."""

    code = "adoption_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no adoption {uuid} of this miner").format(uuid=uuid), field="uuid")


class AdoptionRefused(Conflict):
    """Nothing can be adopted so."""

    code = "adoption_refused"


class StoreRefused(Conflict):
    """A store cannot be changed, attached or detached so."""

    code = "store_refused"


class HostTold(StoreRefused):
    """A host is told of as many findings as it may be at a time: it can be asked later."""


class WorkerUnknown(NotFound):
    """No such worker, or not for this caller."""

    code = "worker_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no worker {uuid} here").format(uuid=uuid), field="worker_id")


class LeaseLost(Conflict):
    """The report names an older lease: somebody else may hold the job now."""

    code = "fenced"

    def __init__(self, reason: str = "") -> None:
        words = (
            gettext("this lease is over: {reason}").format(reason=reason)
            if reason
            else gettext("this lease is over")
        )
        super().__init__(words, field="token")


class OutOfOrder(Conflict):
    """The report's number is not the next one."""

    code = "out_of_order"

    def __init__(self, *, expected: int) -> None:
        super().__init__(gettext("expected event number {expected}").format(expected=expected), field="seq")


class OtherReport(Conflict):
    """The number was used for another report."""

    code = "conflict"

    def __init__(self) -> None:
        super().__init__(gettext("this number was already used for a different event"), field="seq")


class StateDiffers(Conflict):
    """The worker believes the sector to be elsewhere."""

    code = "conflict"

    def __init__(self, *, state: str) -> None:
        super().__init__(gettext("the sector is {state}").format(state=state), field="state")


class WorkerReplaced(Conflict):
    """Another start of this worker has registered since."""

    code = "worker_replaced"

    def __init__(self) -> None:
        super().__init__(gettext("a newer instance of this worker has registered"), field="boot_id")


class WorkerRetired(Conflict):
    """The operator has taken the worker out of service."""

    code = "worker_retired"

    def __init__(self, name: str) -> None:
        super().__init__(gettext("worker {name} was retired").format(name=name), field="worker_id")


class UpgradeUnknown(Conflict):
    """The host runs a version that cannot read this command, nor the rest of an answer with it."""

    code = "upgrade_unknown"

    def __init__(self, name: str, version: str) -> None:
        super().__init__(
            gettext(
                "{name} runs {version}, which does not support this command: restart its service "
                "manually once, with the version of this console"
            ).format(name=name, version=version),
            field="op",
        )


class C1Missing(NotFound):
    """The console has no output of C1 for this job."""

    code = "c1_missing"

    def __init__(self) -> None:
        super().__init__(gettext("the console has no C1 output for this job"), field="job")


class BadReport(BadValue):
    """A report lacks something or names something that does not fit."""

    code = "bad_report"


class BadCount(BadValue):
    """More sectors at once than are allowed, or none."""

    code = "bad_count"


class KeyReused(Conflict):
    """The idempotency key was used for another request."""

    code = "key_reused"

    def __init__(self) -> None:
        super().__init__(
            gettext("this key was already used for a different request"), field="Idempotency-Key"
        )


class PledgeUnsettled(Conflict):
    """A restored database may have lost the pledge of this key; a person has to say whether it is one."""

    code = "pledge_unsettled"

    def __init__(self, miner: object, numbers: Sequence[int]) -> None:
        named = ", ".join(str(number) for number in numbers[:5]) + (", …" if len(numbers) > 5 else "")
        super().__init__(
            gettext(
                "sectors {named} of {miner} were created after the backup, and the record of which "
                "pledge created them is lost: if it was this pledge, do not repeat it; if not, the "
                "operator can allow it on the Recovery page"
            ).format(named=named, miner=miner),
            field="Idempotency-Key",
        )


class NotPaused(Conflict):
    """The sector is not paused, so there is nothing to go on from."""

    code = "not_paused"


class CommitOnItsWay(Conflict):
    """The sector is not aborted: its commit may still land, and its files are needed then."""

    code = "commit_on_its_way"


class NumbersExhausted(Conflict):
    """The miner has no free sector number left."""

    code = "numbers_exhausted"


class NumbersElsewhere(Conflict):
    """Another program gives the miner's sector numbers out."""

    code = "numbers_elsewhere"


class NumbersTaken(Conflict):
    """Some of the numbers that were asked for cannot be given any more."""

    code = "numbers_taken"


class ReservationUnknown(NotFound):
    """The miner has no such reservation of numbers."""

    code = "reservation_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(
            gettext("there is no reservation {uuid} here").format(uuid=uuid), field="reservation"
        )


class ProofFormMissing(Conflict):
    """The network takes proofs that this pool does not make."""

    code = "proof_form_missing"

    def __init__(self, network: str, form: str, *, missing: Sequence[str] = ()) -> None:
        words = (
            gettext(
                "the network {network} requires {form} proofs, and no {programs} here makes them: "
                "nothing is pledged, so no deposit is locked."
            ).format(network=network, form=form, programs=gettext(" and no ").join(missing))
            if missing
            else gettext(
                "the network {network} requires {form} proofs: nothing is pledged, so no deposit is locked."
            ).format(network=network, form=form)
        )
        remedy = gettext("Start them with --snark groth16 and the circuits' parameters (docs/snark.md)")
        super().__init__(f"{words} {remedy}", field="miner")


class BadSettings(BadValue):
    """A host cannot obey such settings."""

    code = "bad_settings"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, field="values")


class NotUnsealed(Conflict):
    """There are no unsealed bytes to be had, or none to be removed."""

    code = "not_unsealed"


class UnsealFailed(Conflict):
    """A host tried to unseal it and failed."""

    code = "unseal_failed"


class ChangeRefused(Conflict):
    """A sector cannot be terminated or extended so."""

    code = "change_refused"

    def __init__(self, reason: str, *, refused: Mapping[UUID, str] | None = None) -> None:
        self.refused = refused or {}
        """Each sector's own reason, where none of those that were named can be changed."""
        super().__init__(reason, field="sectors")


class ChangeSent(Conflict):
    """A change whose message was sent already cannot be cancelled."""

    code = "change_sent"


class ChangeUnknown(NotFound):
    """There is no such change of a sector, or not for this caller."""

    code = "change_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no change {uuid} here").format(uuid=uuid), field="change")


class FailureUnknown(NotFound):
    """No paused sector has this fingerprint."""

    code = "failure_unknown"

    def __init__(self, key: str) -> None:
        super().__init__(
            gettext("no failed sector has the fingerprint {key}").format(key=key[:40]), field="fingerprint"
        )


class RunUnknown(NotFound):
    """Nothing of this kind is under way for the sector."""

    code = "run_unknown"

    def __init__(self, kind: str) -> None:
        super().__init__(gettext("no {kind} in progress for this sector").format(kind=kind), field="sector")


class RunUnderWay(Conflict):
    """Data go into the sector, or it is made again, already."""

    code = "run_under_way"


class NotCommittedCapacity(Conflict):
    """Data can only go into a sector of zeros that the chain has as active."""

    code = "not_committed_capacity"


class LifeTooShort(Conflict):
    """The sector ends before what is to go into it may."""

    code = "life_too_short"


class NothingWaits(Conflict):
    """Nothing is there that could be sent."""

    code = "nothing_waits"


class NoPieces(Conflict):
    """No piece waits that fits, or the named ones do not."""

    code = "no_pieces"


class NoHost(Conflict):
    """No sealing host has the store, or none is there."""

    code = "no_host"


class PiecesGone(Conflict):
    """The raw bytes of the sector's pieces are not kept, and only its replica had them."""

    code = "pieces_gone"


class NotRebuildable(Conflict):
    """The pool does not know of what the replica was made."""

    code = "not_rebuildable"


class RestoreRefused(Conflict):
    """A sector stays given up."""

    code = "restore_refused"


class FilesKept(Conflict):
    """Files of these sectors are not removed."""

    code = "files_kept"


class SectorGone(NotFound):
    """A damocles-worker names a sector that was aborted or terminated here: it may wipe its files."""

    code = "sector_gone"


class NotDamocles(Conflict):
    """A damocles-worker names a sector that another host seals, or one that is not known to its token."""

    code = "not_damocles"


class NotThatFar(Conflict):
    """A damocles-worker asks for what comes later."""

    code = "not_that_far"
