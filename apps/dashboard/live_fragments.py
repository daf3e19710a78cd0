"""Which fragments of which page a change touches: the table behind live updates.

A row is rendered when it changed, any other fragment as a whole.  Pages get only
what they may show: permission is in the selectors, which take the viewer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.core.live import CHECKS
from apps.dashboard.fragments import (
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
from apps.dashboard.fragments.bell import bell
from apps.dashboard.fragments.context import (
    FragmentContext,
    FragmentRenderer,
    FragmentsByKind,
    RowRenderer,
    fragment,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.users.principals import Principal


def chain_status(context: FragmentContext) -> Iterable[str]:
    """The chain's line in the bar."""
    yield fragment("_chain_status.html", chain_status=context.data.chain_status)


EVERYWHERE: Final[FragmentsByKind] = {
    "head": (chain_status, bell),
    "node_state": (chain_status, bell),
    CHECKS: (bell,),
}
"""In the frame of every page."""
FRAGMENTS: Final[dict[str, FragmentsByKind]] = {
    "today": today.FRAGMENTS,
    "status": status.FRAGMENTS,
    "alerts": alerts.FRAGMENTS,
    "miner": miners.FRAGMENTS,
    "miners": dict.fromkeys(("head", "miner", "deadline"), (miners.list_verdict,)),
    "sectors": sectors.FRAGMENTS,
    "sector": sector.FRAGMENTS,
    "messages": messages.FRAGMENTS,
    "message": message.FRAGMENTS,
    "senders": senders.LIST_FRAGMENTS,
    "sender": senders.FRAGMENTS,
    "gas": gas.FRAGMENTS,
    "wallets": wallets.FRAGMENTS,
    "hosts": {"worker": (hosts.list_verdict,), "head": (hosts.list_verdict,)},
    "chain": chain.FRAGMENTS,
    "fault-injection": fault_injection.FRAGMENTS,
    "gateway": gateway.FRAGMENTS,
    "recovery": recovery.FRAGMENTS,
}
"""By page, by kind of change."""
VERDICTS: Final[dict[str, FragmentRenderer]] = {
    "today": today.vital_signs,
    "status": status.checks_fragment,
    "miners": miners.list_verdict,
    "sectors": sectors.list_verdict,
    "messages": messages.list_verdict,
    "senders": senders.list_verdict,
    "gas": gas.live_fragment,
    "wallets": wallets.list_verdict,
    "hosts": hosts.list_verdict,
    "chain": chain.verdict,
    "gateway": gateway.verdict,
    "alerts": alerts.alerts_fragment,
}
"""What shows the findings of checks on each page, rendered anew when they differ."""
for _page, _shown in VERDICTS.items():
    FRAGMENTS[_page] = {**FRAGMENTS[_page], CHECKS: (_shown,)}
ROWS: Final[dict[str, dict[str, RowRenderer]]] = {
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


def fragments_render(changes: set[tuple[str, str]], *, viewer: Principal, page: str) -> str:
    """Render what these changed rows alter on this page: all table rows first, then everything else.

    The order matters: the browser's parser drops table parts that follow other content.
    """
    name, _, key = page.partition(":")
    kinds: dict[str, list[str]] = {}
    for kind, pk in sorted(changes):
        kinds.setdefault(kind, []).append(pk)
    context = FragmentContext(viewer=viewer, key=key, changed=kinds)
    rows = [
        html
        for kind, keys in kinds.items()
        if (render := ROWS.get(name, {}).get(kind))
        for html in render(context, keys)
    ]
    renderers: dict[FragmentRenderer, None] = {}
    for kind in kinds:
        for renderer in (*EVERYWHERE.get(kind, ()), *FRAGMENTS.get(name, {}).get(kind, ())):
            renderers[renderer] = None
    parts = [*rows, *(html for renderer in renderers for html in renderer(context))]
    return "".join(sorted(parts, key=lambda html: not html.lstrip().startswith("<tbody")))
