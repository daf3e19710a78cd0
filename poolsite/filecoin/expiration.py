"""How long a sector may live: the rules for its expiration at commitment and at extension.

Source: builtin-actors actors/miner/src/lib.rs validate_expiration, extend_sector_committment; go-state-types
builtin/v18/miner/policy.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poolsite.filecoin.policy import Network


class BadExpiration(ValueError):
    """An expiration that the miner actor refuses (exit 16) with this text."""


def expiration_check(expiration: int, *, activation: int, now: int, network: Network) -> None:
    """Raise BadExpiration with the actor's text if a sector may not expire then.

    `activation` is the latest epoch at which the sector can become active: for a pre-commit, now plus
    MaxProveCommitDuration.
    """
    if expiration <= activation:
        raise BadExpiration(f"sector expiration {expiration} must be after activation {activation}")
    least = network.min_sector_expiration
    if expiration - activation < least:
        raise BadExpiration(
            f"invalid expiration {expiration}, total sector lifetime ({expiration - activation}) "
            f"must exceed {least} after activation {activation}"
        )
    farthest = network.max_sector_expiration_extension
    if expiration > now + farthest:
        raise BadExpiration(
            f"invalid expiration {expiration}, cannot be more than {farthest} past current epoch {now}"
        )
    if expiration - activation > network.max_sector_lifetime:
        raise BadExpiration(
            f"invalid expiration {expiration}, total sector lifetime ({expiration - activation}) "
            f"cannot exceed {network.max_sector_lifetime} after activation {activation}"
        )


def extension_check(
    expiration: int, *, sector: int, old_expiration: int, activation: int, now: int, network: Network
) -> None:
    """Raise BadExpiration with the actor's text if a live sector may not be extended so.

    A sector that has expired already cannot be extended; the actor answers that with exit 18.
    """
    if expiration < old_expiration:
        raise BadExpiration(f"cannot reduce sector {sector} expiration to {expiration} from {old_expiration}")
    expiration_check(expiration, activation=activation, now=now, network=network)
