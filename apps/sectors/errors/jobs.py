"""Refusals about jobs: whose lease it is, and what a report may say."""

from __future__ import annotations

from apps.core.errors import BadValue, Conflict, NotFound, NotReachable
from apps.core.marked_texts import gettext


class JobUnknown(NotFound):
    """No such job, or not for this caller."""

    code = "job_unknown"

    def __init__(self, uuid: object) -> None:
        super().__init__(gettext("there is no job {uuid} here").format(uuid=uuid), field="job")


class LeaseLost(Conflict):
    """The report names an older lease: somebody else may hold the job now."""

    code = "fenced"

    def __init__(self, reason: str = "") -> None:
        text = (
            gettext("this lease is over: {reason}").format(reason=reason)
            if reason
            else gettext("this lease is over")
        )
        super().__init__(text, field="token")


class LeaseLapsed(NotReachable):
    """The lease ran out, so nobody knows whose report it is: the host's next heartbeat takes it again."""

    code = "lease_lapsed"

    def __init__(self) -> None:
        super().__init__(gettext("this lease ran out: report again after the next heartbeat"), field="token")


class NoRoomYet(NotReachable):
    """The console's disk or the tenant's quota is full: what a host made is wanted once there is room."""

    code = "disk_full"


class NoProverYet(NotReachable):
    """No online prover reads the store that a report names; the host keeps what it made and reports again."""

    code = "no_prover"


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


class C1Missing(NotFound):
    """The console has no output of C1 for this job."""

    code = "c1_missing"

    def __init__(self) -> None:
        super().__init__(gettext("the console has no C1 output for this job"), field="job")


class BadReport(BadValue):
    """A report lacks something or names something that does not fit."""

    code = "bad_report"
