"""When a host that holds a proof job is no longer waited for alone: shares of the time that is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from apps.core import clock
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.rules.stall_detection import stall_detect
from apps.sectors.models import Job, Worker
from apps.sectors.states import JobState
from poolsite.filecoin.policy import DEMO, MAINNET, Network

OPEN = 1000
CLAIMED, LAST = OPEN - 10, OPEN + 57
"""On mainnet: the challenge is 20 epochs old and confirmed by 10; nothing is begun in the last 3."""
SECTORS = 2349


@dataclass
class At:
    """A head of that height."""

    height: int


def doubted(height: int, *, network: Network = MAINNET, last: int = LAST, **job: Any) -> tuple[str, bool]:
    """What is thought of a job at a height: words without names and numbers, and whether it stands still."""
    facts = {
        "claimed_height": CLAIMED,
        "moved_height": CLAIMED,
        "progress_total": SECTORS,
        "progress_unit": "sectors",
        **job,
    }
    row = Job(state=JobState.LEASED, worker=Worker(name="p"), **facts)
    look = ProvingContext(
        client=cast("Any", None), network=network, head=cast("Any", At(height)), now=clock.now()
    )
    stall = stall_detect(row, context=look, last=last)
    return ("", False) if stall is None else (stall.text.split(" since")[0], stall.is_stalled)


STILL, SILENT = "no progress on p", "no progress reported by p"
SLOW, LONG = "p is too slow to finish in time; proving", "p has been proving"


@pytest.mark.parametrize(
    ("height", "job", "words"),
    [
        (CLAIMED + 16, {}, ""),
        (CLAIMED + 17, {}, STILL),
        (CLAIMED + 16, {"progress_unit": ""}, ""),
        (CLAIMED + 33, {"progress_unit": "", "progress_total": 1}, ""),
        (CLAIMED + 34, {"progress_unit": "", "progress_total": 1}, SILENT),
        (CLAIMED + 34, {"progress_done": SECTORS, "moved_height": CLAIMED + 4}, ""),
        (CLAIMED + 36, {"progress_done": SECTORS, "moved_height": CLAIMED + 4}, SILENT),
        (CLAIMED + 20, {"progress_done": 900, "moved_height": CLAIMED + 20}, ""),
        (CLAIMED + 20, {"progress_done": 500, "moved_height": CLAIMED + 20}, SLOW),
        (CLAIMED + 10, {"progress_done": 5, "moved_height": CLAIMED + 10}, ""),
        (CLAIMED + 40, {"progress_done": 2000, "moved_height": CLAIMED + 40}, ""),
        (CLAIMED + 45, {"progress_done": 2000, "moved_height": CLAIMED + 45}, LONG),
    ],
    ids=[
        "8 minutes of silence",
        "eight and a half",
        "one that counts nothing is given longer",
        "a proof of 16 minutes on a graphics card that tells nothing",
        "17 minutes of silence",
        "all read, 15 minutes of computing",
        "all read, 16 minutes of computing",
        "slow, and in time",
        "slow, and too late",
        "slow at the beginning",
        "slow, 20 minutes after the claim",
        "whatever it tells, 22 minutes after the claim",
    ],
)
def test_on_mainnet(height: int, job: dict[str, Any], words: str) -> None:
    assert doubted(height, **job)[0] == words


@pytest.mark.parametrize(("height", "words"), [(992, ""), (993, STILL)])
def test_on_the_devnet_it_takes_seconds(height: int, words: str) -> None:
    assert doubted(height, network=DEMO, last=1000) == (words, False)


def test_short_silence_cancels_nothing_in_the_first_half() -> None:
    assert [doubted(height, network=DEMO, last=1000)[1] for height in (994, 995)] == [False, True]
    assert doubted(CLAIMED + 17) == (STILL, True), "of mainnet's 8 minutes there is no stall"


def test_a_host_that_does_well_is_doubted_sooner_when_it_stops_later() -> None:
    stops = {done: CLAIMED + done for done in (1, 30)}

    first = {
        done: next(h for h in range(at, LAST + 1) if doubted(h, moved_height=at, progress_done=2100)[0])
        for done, at in stops.items()
    }

    assert [first[done] - at for done, at in stops.items()] == [17, 10]


def test_progress_that_is_claimed_does_not_help_for_long() -> None:
    told = [
        doubted(height, moved_height=height, progress_done=height - CLAIMED, progress_total=10**9)[0]
        for height in range(CLAIMED, CLAIMED + 18)
    ]

    assert told[-1] == SLOW


@pytest.mark.parametrize(
    "job", [{"state": JobState.READY}, {"claimed_height": None}, {"lease_until": clock.now()}]
)
def test_a_job_that_nobody_holds_is_not_judged(job: dict[str, Any]) -> None:
    row = Job(**{"state": JobState.LEASED, "claimed_height": 1, "moved_height": 1, **job})
    look = ProvingContext(
        client=cast("Any", None), network=MAINNET, head=cast("Any", At(LAST)), now=clock.now()
    )

    assert stall_detect(row, context=look, last=LAST) is None
