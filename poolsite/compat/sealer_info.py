"""`venus-sealer info`: chain, power, balances and sectors of a miner, as the old program printed them."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from poolsite.compat.pool import Pool, pool_of
from poolsite.compat.verb import Refused
from poolsite.filecoin.amounts import fil_format

UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
SYNC_OK: Final = 1.5
SYNC_SLOW: Final = 5
"""Epochs behind the clock up to which a chain counts as synced, and as slow.  Source: lotus cli/info.go."""
NANO: Final = 10**9


def miner_options(parser: argparse.ArgumentParser) -> None:
    """Add the miner that a command is for."""
    parser.add_argument(
        "--miner", "--actor", default="", metavar="ADDRESS", help="default: the only miner of the token"
    )


def info_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `info`."""
    miner_options(parser)
    parser.add_argument("--hide-sectors-info", action="store_true", help="count no sectors")


def miner_of(pool: Pool, address: str) -> dict[str, Any]:
    """Return a miner by its address, or the only one.  Raises Refused."""
    if address:
        return dict(pool.get(f"/api/v1/miners/{address}"))
    miners = pool.all_of("/api/v1/miners", state="ACTIVE")
    if len(miners) != 1:
        known = ", ".join(row["address"] for row in miners)
        raise Refused(
            f"name one of the miners with --miner: {known}" if known else "the pool has no miner yet"
        )
    return dict(miners[0])


def info(options: argparse.Namespace) -> str:
    """Show a miner."""
    pool = pool_of(options)
    miner = miner_of(pool, options.miner)
    if not miner["address"]:
        raise Refused(f"the miner {miner['name']} is not on the chain yet: {miner['state']}")
    lines = [*chain_lines(pool), *power_lines(pool, miner), *balance_lines(pool, miner)]
    if not options.hide_sectors_info:
        lines += sector_lines(pool, miner)
    return "\n".join(lines)


def chain_lines(pool: Pool) -> Iterator[str]:
    """Return how far the chain is, and its base fee."""
    head = pool.get("/api/v1/chain/head")
    epochs = head["epoch"] - head["height"]
    behind = f"{time.time() - head['timestamp']:.0f}s behind"
    sync = (
        "sync ok"
        if epochs <= SYNC_OK
        else f"sync slow ({behind})"
        if epochs < SYNC_SLOW
        else f"sync behind! ({behind})"
    )
    yield f"Chain: [{sync}] [basefee {int(head['base_fee']) / NANO:.3f} nFIL]"


def power_lines(pool: Pool, miner: dict[str, Any]) -> Iterator[str]:
    """Return a miner's size and power, of the network's."""
    size = miner["sector_size"]
    yield f"Miner: {miner['address']} ({size_text(size)} sectors)"
    power = pool.rpc("Filecoin.StateMinerPower", miner["address"], None)
    for name, word in (("RawBytePower", "Power"), ("QualityAdjPower", "\tQA")):
        own, total = int(power["MinerPower"][name]), int(power["TotalPower"][name])
        share = 100 * own / total if total else 0
        yield f"{word}: {size_text(own)} / {size_text(total)} ({share:.4f}%)"
    yield f"\tRaw: {size_text(int(miner['raw_power']))}"
    live, faulty = miner["live_sectors"], miner["faulty_sectors"]
    yield f"\tCommitted: {size_text(live * size)}"
    bad = f" ({size_text(faulty * size)} Faulty)" if faulty else ""
    yield f"\tProving: {size_text((live - faulty) * size)}{bad}"
    if not miner["has_min_power"]:
        yield "Below minimum power threshold, no blocks will be won"


def balance_lines(pool: Pool, miner: dict[str, Any]) -> Iterator[str]:
    """Return what a miner, its escrow and its keys have."""
    yield f"Miner Balance: {fil_format(int(miner['balance']))}"
    for word, name in (
        ("PreCommit", "deposits"),
        ("Pledge", "pledge"),
        ("Vesting", "locked"),
        ("Available", "available"),
    ):
        yield f"\t{word}: {fil_format(int(miner[name]))}"
    escrow = pool.rpc("Filecoin.StateMarketBalance", miner["address"], None)
    held, locked = int(escrow["Escrow"]), int(escrow["Locked"])
    yield f"Market Balance: {fil_format(held)}"
    yield f"\tLocked: {fil_format(locked)}"
    yield f"\tAvailable: {fil_format(held - locked)}"
    spendable = max(int(miner["available"]), 0) + held - locked
    for word, address in (("Worker", miner["worker"]), *(("Control", one) for one in miner["control"])):
        balance = int(pool.rpc("Filecoin.WalletBalance", address))
        spendable += balance
        yield f"{word} Balance: {fil_format(balance)}"
    yield f"Total Spendable: {fil_format(spendable)}"


def sector_lines(pool: Pool, miner: dict[str, Any]) -> Iterator[str]:
    """Return how many sectors are in each state."""
    states = Counter(row["state"] for row in pool.all_of("/api/v1/sectors", miner=miner["address"]))
    yield "Sectors:"
    yield f"\tTotal: {sum(states.values())}"
    yield from (f"\t{state}: {count}" for state, count in sorted(states.items()))


def size_text(count: int) -> str:
    """Return bytes in the largest unit of which there is one."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.4g} {UNITS[unit]}"
