"""Which fragments of which page a change touches: the table behind live updates.

A row fragment is rendered for the row that changed, a region fragment anew as a whole.  Pages get only
what they may show: permission is in the selectors, which take the viewer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.core.live import CHECKS
from apps.dashboard.regions import (
    alerts,
    chain,
    fault_injection,
    gas,
    gateway,
    hosts,
    message,
    messages,
    miners,
    recovery,
    sector,
    sectors,
    senders,
    status,
    today,
    wallets,
)
from apps.dashboard.regions.bell import bell
from apps.dashboard.regions.place import Place, RegionFragments, Regions, RowFragments, fragment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.users.principals import Principal


def pulse(place: Place) -> Iterable[str]:
    """The chain's line in the bar."""
    yield fragment("_pulse.html", pulse=place.scene.pulse)


EVERYWHERE: Final[Regions] = {"head": (pulse, bell), "node_state": (pulse, bell), CHECKS: (bell,)}
"""In the frame of every page."""
REGIONS: Final[dict[str, Regions]] = {
    "today": today.REGIONS,
    "status": status.REGIONS,
    "alerts": alerts.REGIONS,
    "miner": miners.REGIONS,
    "miners": dict.fromkeys(("head", "miner", "deadline"), (miners.list_verdict,)),
    "sectors": sectors.REGIONS,
    "sector": sector.REGIONS,
    "messages": messages.REGIONS,
    "message": message.REGIONS,
    "senders": senders.LIST_REGIONS,
    "sender": senders.REGIONS,
    "gas": gas.REGIONS,
    "wallets": wallets.REGIONS,
    "hosts": {"worker": (hosts.list_verdict,), "head": (hosts.list_verdict,)},
    "chain": chain.REGIONS,
    "fault-injection": fault_injection.REGIONS,
    "gateway": gateway.REGIONS,
    "recovery": recovery.REGIONS,
}
"""By page, by kind of change."""
VERDICTS: Final[dict[str, RegionFragments]] = {
    "today": today.vital_signs,
    "status": status.checks_region,
    "miners": miners.list_verdict,
    "sectors": sectors.list_verdict,
    "messages": messages.list_verdict,
    "senders": senders.list_verdict,
    "gas": gas.live_region,
    "wallets": wallets.list_verdict,
    "hosts": hosts.list_verdict,
    "chain": chain.verdict,
    "gateway": gateway.verdict,
    "alerts": alerts.alerts_region,
}
"""What shows the findings of checks on each page, rendered anew when they differ."""
for _page, _shown in VERDICTS.items():
    REGIONS[_page] = {**REGIONS[_page], CHECKS: (_shown,)}
ROWS: Final[dict[str, dict[str, RowFragments]]] = {
    "miners": {"miner": miners.rows, "deadline": miners.rows_of_deadlines},
    "sectors": {"sector": sectors.rows},
    "messages": {"message": messages.rows},
    "senders": {
        "sender": senders.rows,
        "message": senders.rows_of_messages,
        "messages": senders.all_rows,
        "head": senders.all_rows,
    },
    "wallets": {"wallet": wallets.rows},
    "chain": {"node": chain.rows},
    "hosts": {"worker": hosts.rows, "job": hosts.rows_of_jobs},
    "gateway": gateway.ROWS,
}


def frame_render(changes: set[tuple[str, str]], *, viewer: Principal, page: str) -> str:
    """Render what these changed rows alter on this page: all table rows first, then everything else.

    The order matters: the browser's parser drops table parts that follow other content.
    """
    name, _, key = page.partition(":")
    kinds: dict[str, list[str]] = {}
    for kind, pk in sorted(changes):
        kinds.setdefault(kind, []).append(pk)
    place = Place(viewer=viewer, key=key, changed=kinds)
    rows = [
        html
        for kind, keys in kinds.items()
        if (render := ROWS.get(name, {}).get(kind))
        for html in render(place, keys)
    ]
    regions: dict[RegionFragments, None] = {}
    for kind in kinds:
        for region in (*EVERYWHERE.get(kind, ()), *REGIONS.get(name, {}).get(kind, ())):
            regions[region] = None
    parts = [*rows, *(html for region in regions for html in region(place))]
    return "".join(sorted(parts, key=lambda html: not html.lstrip().startswith("<tbody")))
