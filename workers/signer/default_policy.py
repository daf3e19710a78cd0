"""The policy that a new signer begins with."""

from __future__ import annotations

from typing import Final

DEFAULT: Final = """\
# What this signer may sign.  Everything that no rule allows is refused; every decision is recorded.
# The file is read again when it changes.  Methods are written `actor.Method`, plain transfers `Send`;
# `*` stands for any text.  Amounts are like "1.5 FIL"; days and hours are UTC.  Of a fee the premium goes to
# whoever makes the block, the rest is burnt: so it has limits of its own.
version = 1

# A window waits for nothing that sealing spent: proofs have no sum of fees.  They carry no value; what can be
# stolen of their fees, the premium, has a sum that no proofs reach.  What is above is left to the next rule.
[[rule]]
name = "proofs and declarations"
methods = ["miner.SubmitWindowedPoSt", "miner.DeclareFaults", "miner.DeclareFaultsRecovered"]
value_max = "0 FIL"
fee_max = "5 FIL"
premium_max = "0.1 FIL"
premium_per_day = "5 FIL"

# Deposits and pledges belong to the miner that a message names, so it must be one of yours.  f04 makes
# miners; `python -m workers signer policy --miner f01234` names one, or the change that the console proposes.
[[rule]]
name = "sealing and proving"
methods = [
    "power.CreateMiner",
    "miner.PreCommitSectorBatch2", "miner.ProveCommitSectors3", "miner.ProveCommitAggregate",
    "miner.ProveReplicaUpdates3", "miner.ProveCommitSectorsNI",
    "miner.SubmitWindowedPoSt", "miner.DeclareFaults", "miner.DeclareFaultsRecovered",
    "miner.CompactPartitions",
    "miner.ExtendSectorExpiration", "miner.ExtendSectorExpiration2",
    "miner.ChangePeerID", "miner.ChangeMultiaddrs",
]
to = ["f04"]
value_max = "1000 FIL"
value_per_day = "2000 FIL"
fee_max = "5 FIL"
fee_per_day = "200 FIL"
premium_max = "1 FIL"
premium_per_day = "5 FIL"

[[rule]]
name = "blocks"
types = ["block", "drawrandomparam"]

# What AddBalance brings belongs to the client or miner that it names: the sender, or one in `to`.
[[rule]]
name = "own escrow"
methods = ["market.AddBalance"]
to = ["f05"]
value_max = "1 FIL"
value_per_day = "5 FIL"
fee_max = "1 FIL"
fee_per_day = "5 FIL"
premium_max = "0.1 FIL"
premium_per_day = "1 FIL"

# Transfers leave the pool: keep the ceilings low, or name the receivers in `to`.
[[rule]]
name = "small transfers"
methods = ["Send"]
value_max = "1 FIL"
value_per_day = "20 FIL"
fee_max = "0.1 FIL"
fee_per_day = "2 FIL"
premium_max = "0.02 FIL"
premium_per_day = "0.2 FIL"

# Not allowed unless you add a rule: WithdrawBalance, ChangeOwnerAddress, ChangeWorkerAddress,
# ChangeBeneficiary, TerminateSectors, CompactSectorNumbers, everything of multisig, and `unknown` bytes.
"""
