"""Default policies as `init` wrote them before."""

from __future__ import annotations

from workers.signer.default_policy import DEFAULT

FREE = """version = 1

[[rule]]
name = "sealing and proving"
"""


PREMIUMS = """  Of a fee the premium goes to
# whoever makes the block, the rest is burnt: so it has limits of its own.
"""


HOUSEKEEPING = """[[rule]]
name = "address book and housekeeping"
methods = ["miner.ChangePeerID", "miner.ChangeMultiaddrs", "market.AddBalance"]
"""


def any_escrow_default() -> str:
    """What `init` wrote while AddBalance paid anybody, and proofs had no rule of their own."""
    text = DEFAULT[: DEFAULT.index("# A window")] + DEFAULT[DEFAULT.index("# Deposits") :]
    text = text.replace('    "miner.ChangePeerID", "miner.ChangeMultiaddrs",\n', "")
    start = text.index("# What AddBalance")
    return text[:start] + HOUSEKEEPING + text[text.index("value_max", start) :]


def free_premium_default() -> str:
    """What `init` wrote before premiums had limits of their own."""
    lines = any_escrow_default().replace(PREMIUMS, "\n").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("premium_"))


def compacting_default() -> str:
    """What `init` wrote while it let sector numbers be used up without sectors."""
    kept = '"miner.CompactPartitions",'
    text = free_premium_default().replace(kept, f'{kept} "miner.CompactSectorNumbers",')
    return text.replace(" CompactSectorNumbers,", "")


def any_miner_default() -> str:
    """What `init` wrote before it named the pool's miners."""
    text = compacting_default()
    text = text[: text.index("version = 1")] + FREE + text[text.index("methods = [") :]
    comment = '# to = ["f04", "f01234"]  # f04 and your miners: '
    comment += "deposits and pledges belong to the miner that is named"
    return text.replace('to = ["f04"]', comment)


def old_default() -> str:
    """What `init` wrote before days had ceilings."""
    lines = any_miner_default().splitlines(keepends=True)
    lines = [line for line in lines if not line.startswith(("# to =", "fee_per_day"))]
    text = "".join(
        line for line in lines if line not in ('value_per_day = "2000 FIL"\n', 'value_per_day = "5 FIL"\n')
    )
    return text.replace(
        'value_max = "1000 FIL"', 'value_max = "1000 FIL"  # deposits and pledges stay with the miner'
    )
