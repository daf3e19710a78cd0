"""The console's own processes, shown to the operator when one does not run or was restarted lately."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.dashboard.fragments import FragmentContext, fragment
from apps.dashboard.labels import StateLabel
from apps.dashboard.page_data import PageData

STATE_TEXTS: Final = {
    "running": StateLabel("ok", _("running")),
    "silent": StateLabel("warn", _("no heartbeat")),
    "down": StateLabel("bad", _("down")),
}


def processes_context(data: PageData) -> dict[str, Any]:
    """Return the console's processes for the operator, the worst first.

    They are hidden while all of them run and none was restarted lately.
    """
    if not data.viewer.is_operator:
        return {"processes": None}
    rows = [(process, STATE_TEXTS[process.state]) for process in data.processes]
    rows.sort(key=lambda row: (row[1].tone == "ok", row[0].name))
    working = sum(label.tone == "ok" for _, label in rows)
    if working == len(rows) and not any(process.exits_lately for process, _ in rows):
        return {"processes": [], "process_say": ""}
    return {
        "processes": rows,
        "process_say": gettext("{working} of {rows} running").format(working=working, rows=len(rows)),
    }


def processes_fragment(context: FragmentContext) -> Iterable[str]:
    if context.data.viewer.is_operator:
        yield fragment("dashboard/_processes.html", **processes_context(context.data))
