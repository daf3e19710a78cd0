"""Pages to which several checks lead."""

from __future__ import annotations

from collections.abc import Sequence

from apps.checks.findings.results import Link
from apps.miners.models import Miner
from apps.sectors.models import Store, Worker


def miner_link(miners: Sequence[Miner]) -> Link:
    """Return the page of one miner, or of all if there are several."""
    is_single = len(miners) == 1 and miners[0].address
    return Link("miner", (miners[0].address,)) if is_single else Link("miners")


def hosts_link(first: Sequence[Worker], query: str = "state=trouble") -> Link:
    """Return the page of one host, or the list narrowed by `query` if there are several; `first` of them."""
    return Link("host", (str(first[0].uuid),)) if len(first) == 1 else Link("hosts", query=query)


def stores_link(stores: Sequence[Store]) -> Link:
    """Return the page of one store, or the list of those that need somebody if there are several."""
    is_single = len(stores) == 1
    return Link("store", (str(stores[0].uuid),)) if is_single else Link("stores", query="state=trouble")
