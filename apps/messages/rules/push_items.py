"""A message as its caller gives it, with its wishes and the gas values that it fixes."""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class SendSpec:
    """Wishes that come with a message; zero leaves the choice to the rules below."""

    max_fee: int = 0
    gas_over_estimation: float = 0.0
    gas_over_premium: float = 0.0
    expire_epoch: int = 0
    hold_base_fee: int = 0
    """Wait while the base fee is above this."""
    hold_until: int = 0
    """Epoch at which it goes whatever the base fee is."""


@dataclass(frozen=True, slots=True)
class Gas:
    """Gas values that the caller fixes; zero means estimate."""

    limit: int = 0
    fee_cap: int = 0
    premium: int = 0


@dataclass(frozen=True, slots=True)
class PushItem:
    """A message as its caller gives it, unchecked."""

    id: str
    to: Address | str
    from_: Address | str
    method: int
    value: int = 0
    params: bytes = b""
    kind: str = ""
    spec: SendSpec = SendSpec()
    gas: Gas = Gas()
    time_sensitive: bool = False
    urgent_epoch: int | None = None
