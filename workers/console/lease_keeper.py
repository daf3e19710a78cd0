"""A worker's registration with the console, and its leases kept alive from a thread."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeGuard

import structlog

from poolsite.wire.hosts import PARKED_MAX, VERSION, Heartbeat, HeldJob, Register, Registered
from workers.console.host_commands import HostCommands
from workers.console.host_report import HostReport
from workers.console.refusals import ConsoleAway, ConsoleRefused, Replaced, TokenNotAccepted, request_waits

if TYPE_CHECKING:
    from poolsite.wire.host_settings import Setting
    from poolsite.wire.hosts import (
        HeartbeatAnswer,
        SealingLeftover,
        SectorOnHost,
        StoredNumbers,
        TicketTimes,
    )
    from poolsite.wire.job_reports import Progress
    from poolsite.wire.jobs import JobKind
    from poolsite.wire.stores import AttachedStore
    from workers.config import HostConfig
    from workers.console.client import Console
    from workers.store_watch import StoreWatch

log = structlog.get_logger(__name__)

CHECK_EVERY_S: Final = 0.25
"""How often the thread looks whether a heartbeat is due."""
PROGRESS_EVERY_S: Final = 2.0
"""Least time between two heartbeats that only carry progress."""
PARKED_EVERY_S: Final = 300.0
"""Pause between two heartbeats that tell which jobs are parked here."""
RETRY_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 3.0)
"""Pauses while the console does not answer; the last one repeats."""

RETIRED: Final = "worker_retired"
"""Code of the console's answer to a host that was taken out of service."""
TWINS_TIMES, TWINS_WITHIN_S = 3, 300.0
"""Two programs with one uid replace each other with each heartbeat; else to register again is rare."""


def retry_pause_s(attempt: int) -> float:
    """Return the pause after a failed attempt, from 0; of half of it by chance, so that hosts come spread."""
    pause_s = RETRY_PAUSES_S[min(attempt, len(RETRY_PAUSES_S) - 1)]
    return pause_s * random.uniform(0.5, 1.0)  # noqa: S311  # spreads requests, no secret


class TokenRefused(Exception):
    """The console does not take this worker's token; one sentence for the terminal."""


class LeaseKeeper(HostCommands):
    """Registers, heartbeats, and knows which leases were lost."""

    def __init__(
        self, config: HostConfig, console: Console, *, kinds: tuple[JobKind, ...], slots: dict[str, int]
    ) -> None:
        super().__init__(slots)
        self.config = config
        self.console = console
        self.kinds = kinds
        self.report = HostReport(config.folder)
        """What the host says of its machine and its proofs."""
        self.log_tail: Callable[[], tuple[str, ...]] = tuple
        self.uid = config.uid
        """Read once: where the disk is gone a new one would be made in its place."""
        self.boot_id = secrets.token_hex(8)
        self.stores: tuple[str, ...] = ()
        """Names of the stores, where nobody watches them."""
        self.sectors: Callable[[], tuple[SectorOnHost, ...]] = tuple
        self.stored: Callable[[], tuple[StoredNumbers, ...]] = tuple
        """What is on the disk: told with each registration."""
        self.leftovers: Callable[[], tuple[SealingLeftover, ...] | None] = _none
        """What lies in the sealing folders without a job."""
        self._leftovers_reported: tuple[SealingLeftover, ...] | None = None
        self.parked: Callable[[], tuple[str, ...]] = tuple
        """Jobs that have a record here and are not held."""
        self._parked_due = 0.0
        self._over: set[str] = set()
        self._unknown_jobs: frozenset[str] = frozenset()
        self.registered: Registered | None = None
        self.takes_containers = True
        """Whether the pool's network takes containers of vanilla proofs."""
        self.epoch_s = 0
        """Seconds of its epochs; 0: not told."""
        self.tickets: TicketTimes | None = None
        """How long tickets last; None: not told."""
        self.is_chain_known = False
        """Whether the console has told that."""
        self.refusal = ""
        """Why the console did not take this start; empty while it may."""
        self._held: dict[str, Progress] = {}
        self._lease_s: dict[str, int] = {}
        self._lost: set[str] = set()
        self._is_stopped = threading.Event()
        self._beaten_at = 0.0
        self._settings_reported: tuple[Setting, ...] = ()
        self._wants_log = False
        self._error_reported = ""
        self._replaced_at: list[float] = []
        self._twin_error = ""

    def watch_stores(self, watch: StoreWatch) -> None:
        """Report these stores to the console, and changes at once."""

        def changed() -> None:
            with self._lock:
                self._has_news = True

        self.watch, watch.on_change = watch, changed

    @property
    def worker_id(self) -> str:
        """The console's name for this worker; empty until registered."""
        return "" if self.registered is None else self.registered.worker_id

    @property
    def sector_bytes(self) -> int:
        """Return the sector size of the pool's miners; 0: not told."""
        return 0 if self.registered is None else self.registered.sector_bytes

    @property
    def poll_s(self) -> float:
        """Pause between claims while there is nothing to do."""
        return 1.0 if self.registered is None else self.registered.poll_ms / 1000

    @property
    def work_wait_s(self) -> int:
        """Return for how long the console may hold a question for work; 0: not told."""
        return 0 if self.registered is None else self.registered.work_wait_s

    def register(self) -> None:
        """Introduce this start to the console.  Raises ConsoleAway, ConsoleRefused."""
        settings = self._settings_now()
        answer = self.console.register(
            Register(
                uid=self.uid,
                boot_id=self.boot_id,
                name=self.config.name,
                host=self.config.host,
                version=VERSION,
                kinds=self.kinds,
                slots=self.slots,
                stores=self.stores if self.watch is None else self.watch.names,
                attached=self._attached(),
                hardware=self.report.hardware(),
                sectors=self.sectors(),
                stored=self.stored(),
                settings=settings,
                configured=self.settings.configured if self.settings is not None else {},
            )
        )
        self.registered = answer
        self._settings_reported, self._leftovers_reported, self._parked_due = settings, None, 0.0
        self.commands_run(answer.commands)
        log.info("registered", worker=answer.worker_id, boot=self.boot_id)

    def register_until_known(self) -> None:
        """Introduce this start however long the console is away; a bad token is not asked about twice."""
        attempt = 0
        while not self._is_stopped.is_set():
            try:
                self.register()
            except (ConsoleAway, ConsoleRefused) as error:
                if self.registered is None:
                    self.refusal = self._refusal_text(error)
                if self.refusal:
                    return
                request_waits("not_registered", error)
            except OSError as error:  # a disk that cannot be read now: without this thread all leases end
                log.warning("not_registered", reason=str(error)[:200])
            else:
                return
            self._is_stopped.wait(retry_pause_s(attempt))
            attempt += 1

    def _refusal_text(self, error: ConsoleAway | ConsoleRefused) -> str:
        """Return why no later try of this start can succeed; empty if one may."""
        if is_token_wrong(error):
            return str(TokenNotAccepted(self.config.console, error.reason))
        if isinstance(error, ConsoleRefused) and error.code == RETIRED:
            return (
                f"{self.config.folder} is that of a host that the console {self.config.console} has retired:"
                " to join again, use an empty one (--dir FOLDER, DIR=FOLDER for make) and another join token"
            )
        return ""

    def register_again(self, error: Replaced) -> None:
        """Introduce this start to a console that knows another one, or none; tell of one that goes on."""
        now = time.monotonic()
        self._replaced_at = [*self._replaced_recently(now), now]
        if error.code == "worker_replaced" and len(self._replaced_at) >= TWINS_TIMES:
            self._twin_error = (
                f"another program registers as this host ({self.uid}), as one with a copy of its folder does:"
                " stop one of the two, and give it an empty folder and a join token of its own"
            )
            if self.last_error != self._twin_error:
                log.error("host_runs_twice", reason=self._twin_error)
            self.last_error = self._twin_error
        else:
            log.warning("registering_again", reason=str(error))
        self.register_until_known()

    def _replaced_recently(self, now: float) -> list[float]:
        return [moment for moment in self._replaced_at if now - moment < TWINS_WITHIN_S]

    def require_accepted(self) -> None:
        """Go on unless the console has refused this start.  Raises TokenRefused."""
        if self.refusal:
            raise TokenRefused(self.refusal)

    def _attached(self) -> tuple[AttachedStore, ...] | None:
        return None if self.watch is None else self.watch.attached()

    def _settings_now(self) -> tuple[Setting, ...]:
        return self.settings.described() if self.settings is not None else ()

    def track(self, job_id: str, progress: Progress, *, lease_s: int) -> None:
        """Keep this job's lease alive from now on; again with news of its progress.

        A lease that was lost stays so, whatever its work still tells: only another claim is another lease.
        """
        with self._lock:
            before = self._held.get(job_id)
            self._has_news |= before != progress
            self._held[job_id] = progress
            self._lease_s[job_id] = lease_s
            if before is None or before.token != progress.token:
                self._lost.discard(job_id)

    def release(self, job_id: str) -> None:
        """Keep the lease alive no longer."""
        with self._lock:
            self._held.pop(job_id, None)
            self._lease_s.pop(job_id, None)
            self._lost.discard(job_id)

    def is_lost(self, job_id: str) -> bool:
        """Return whether the console has said that this lease is over."""
        with self._lock:
            return job_id in self._lost

    def over_take(self) -> set[str]:
        """Return, once, the parked jobs of which the console has said that they ended elsewhere."""
        with self._lock:
            over, self._over = self._over, set()
        return over

    def unknown_jobs(self) -> frozenset[str]:
        """Return the parked jobs that the console never had, as it said last."""
        with self._lock:
            unknown = self._unknown_jobs
        return unknown & frozenset(self.parked())  # reads a disk that may hang: without the lock

    def start(self) -> None:
        """Begin to keep the leases; the thread is never kept waiting by a kernel."""
        threading.Thread(target=self._keep, name="leases", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._is_stopped.set()

    def _keep(self) -> None:
        while not self._is_stopped.wait(CHECK_EVERY_S):
            if self.registered is None or not self._is_due():
                continue
            try:
                self.heartbeat()
            except Replaced as error:
                self._lose_all()
                self.register_again(error)
            except (ConsoleAway, ConsoleRefused) as error:
                request_waits("heartbeat_failed", error)
            except Exception:
                # A disk that cannot be read, an odd answer: without this thread all leases end.
                log.exception("heartbeat_failed")

    def _is_due(self) -> bool:
        passed = time.monotonic() - self._beaten_at
        with self._lock:
            shortest = min(self._lease_s.values(), default=None)
            has_news = self._has_news or self.report.has_news
        every = float(self.registered.heartbeat_s) if self.registered is not None else 20.0
        if shortest is not None:
            every = min(every, shortest / 3)
        return passed >= every or (has_news and passed >= PROGRESS_EVERY_S)

    def heartbeat(self) -> HeartbeatAnswer:
        """Send one heartbeat and take its answer.  Raises ConsoleAway, ConsoleRefused."""
        with self._lock:
            held = tuple(HeldJob(id=job_id, progress=progress) for job_id, progress in self._held.items())
            done = tuple(self._done_commands)
            errors = {
                command: self._command_errors[command] for command in done if command in self._command_errors
            }
            self._has_news = self.report.has_news = False
        self._beaten_at = time.monotonic()
        if self.last_error == self._twin_error and not self._replaced_recently(self._beaten_at):
            self.last_error = ""
        settings, error = self._settings_now(), self.last_error[:500]
        leftovers = self.leftovers()
        reports_parked = self._beaten_at >= self._parked_due
        checked, scanned = ((), ()) if self.watch is None else self.watch.orders.found(done)
        needs_log = self._wants_log or (error != self._error_reported and bool(error))
        answer = self.console.heartbeat(
            self.worker_id,
            Heartbeat(
                boot_id=self.boot_id,
                held=held,
                hardware=self.report.hardware(),
                is_draining=self.is_draining,
                is_paused=self.is_paused,
                done_commands=done,
                command_errors=errors,
                checked=checked,
                scanned=scanned,
                attached=self._attached(),
                last_error=error,
                settings=settings if settings != self._settings_reported else (),
                log=self.log_tail() if needs_log else (),
                leftovers=leftovers if leftovers != self._leftovers_reported else None,
                parked=self.parked()[:PARKED_MAX] if reports_parked else (),
            ),
        )
        if reports_parked:
            self._parked_due = self._beaten_at + PARKED_EVERY_S
        self.takes_containers, self.is_chain_known = answer.takes_containers, True
        self.epoch_s, self.tickets = answer.epoch_s, answer.tickets
        if answer.is_retired:
            self.refusal = f"the console {self.config.console} has retired this host: no work is left for it"
        self._settings_reported, self._error_reported, self._leftovers_reported = settings, error, leftovers
        if self.watch is not None:
            self.watch.orders.forget(done)
            self.watch.orders.ordered({command.id for command in answer.commands})
        with self._lock:
            if reports_parked:
                self._unknown_jobs = frozenset(answer.unknown_jobs)
            self._done_commands = [command for command in self._done_commands if command not in done]
            for command_id in errors:
                self._command_errors.pop(command_id, None)
            self._leases_note(answer, sent={one.id: one.progress.token for one in held})
        self.commands_run(answer.commands)
        return answer

    def _leases_note(self, answer: HeartbeatAnswer, *, sent: Mapping[str, int]) -> None:
        """Note which jobs are over or lost; `sent` are the tokens that it told.  Hold the lock."""
        self._over.update(answer.over)
        self._has_news |= answer.wants_log and not self._wants_log
        self._wants_log = answer.wants_log
        for lost in answer.lost:
            # Claimed again while the heartbeat was under way: that lease is a newer one.
            now_held = self._held.get(lost.id)
            if now_held is not None and now_held.token == sent.get(lost.id):
                self._lost.add(lost.id)

    def _lose_all(self) -> None:
        with self._lock:
            self._lost.update(self._held)

    def upgrade_reported(self) -> bool:
        """Return whether the console knows that this start ends: asked again, the next would end as well."""
        try:
            self.heartbeat()
        except (ConsoleAway, ConsoleRefused) as error:
            request_waits("upgrade_waits", error)
            return False
        return not self._done_commands


def is_token_wrong(error: ConsoleAway | ConsoleRefused) -> TypeGuard[TokenNotAccepted | ConsoleRefused]:
    """Return whether the console says that the token is none, or not for this program."""
    return isinstance(error, TokenNotAccepted) or (isinstance(error, ConsoleRefused) and error.status == 403)


def _none() -> None:
    """Return that a program without sealing folders has nothing to tell of them."""
