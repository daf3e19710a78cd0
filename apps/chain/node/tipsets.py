"""The few facts of a tipset that the console keeps: what identifies it and what it says about the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.chain.errors import NodeRefused
from apps.core.marked_texts import gettext


@dataclass(frozen=True, slots=True)
class TipsetFacts:
    """One tipset, read out of a node's JSON."""

    height: int
    cids: tuple[str, ...]
    """Block CIDs in the node's order, which is the order of tickets."""
    parents: tuple[str, ...]
    timestamp: int
    """Seconds since 1970, of its first block."""
    base_fee: int
    """attoFIL per gas that its messages pay."""
    miners: tuple[str, ...] = ()
    parent_weight: int = 0
    """Of the chain below it; 0 where only its row was read."""

    @property
    def key(self) -> str:
        """The tipset's name in our tables: its block CIDs with a blank between."""
        return " ".join(self.cids)

    @property
    def parent_key(self) -> str:
        """The name of the tipset below."""
        return " ".join(self.parents)


def tipset_from_json(value: Any) -> TipsetFacts:
    """Read `{"Cids", "Blocks", "Height"}`.  Raises NodeRefused if the node sent something else."""
    try:
        first = value["Blocks"][0]
        height = int(value["Height"])
        # A genesis block names a parent as every other does, but there is no tipset of that name.
        parents = (first["Parents"] or ()) if height > 0 else ()
        return TipsetFacts(
            height=height,
            cids=tuple(link["/"] for link in value["Cids"]),
            parents=tuple(link["/"] for link in parents),
            timestamp=int(first["Timestamp"]),
            base_fee=int(first["ParentBaseFee"]),
            miners=tuple(block["Miner"] for block in value["Blocks"]),
            parent_weight=int(first["ParentWeight"]),
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise NodeRefused(
            0, gettext("the node's tipset could not be parsed: {error!r}").format(error=error)
        ) from None


def key_to_json(key: str | None) -> list[dict[str, str]]:
    """Return the JSON form of a tipset key; the empty list means the node's head."""
    return [{"/": cid} for cid in key.split()] if key else []
