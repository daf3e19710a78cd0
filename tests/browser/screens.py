"""Pictures of every page of a running pool, each looked over while it is taken.

A pool that was started by `make up` is driven through its operator.json: without a sector one is
pledged, and the pictures wait until it is proven and another one is under way.  A page that
complains in the console, scrolls sideways or has a serious axe-core finding makes the command fail.
All pictures go to `screens` in the pool's folder; the dozen that the documentation shows, to docs/screens.

Run: python -m tests.browser.screens [--var var] [--out var/screens]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright

from tests.browser.axe import findings
from tests.browser.chrome import FLAGS, chrome_find
from tests.browser.visitor import Visitor

SITE: Final = Path(__file__).resolve().parent.parent.parent
MODES: Final = ((1440, "light"), (1440, "dark"), (390, "light"), (390, "dark"))
SHOWN: Final = (
    "today-1440-light",
    "today-390-dark",
    "miner-1440-light",
    "sectors-1440-light",
    "sector-1440-light",
    "messages-1440-light",
    "message-1440-light",
    "gas-1440-light",
    "wallets-1440-light",
    "policy-1440-light",
    "hosts-1440-light",
    "chain-1440-light",
)
"""Pictures that the documentation shows; they are kept with it."""
NARROW: Final = 360
"""No page may be scrolled sideways at this width."""
ACTIVE_WITHIN_S: Final = 1200.0
"""A proving period of the demo network is 6.4 minutes; a busy machine seals slowly."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A running pool as its operator.json describes it."""

    url: str
    username: str
    password: str
    token: str

    @classmethod
    def of(cls, var: Path) -> Pool:
        """Read what `make up` wrote."""
        entry = json.loads((var / "operator.json").read_text())
        password = entry.get("password") or os.environ.get("POOLSITE_PASSWORD", "")
        return cls(entry["url"], entry["username"], password, entry["admin_token"])

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the REST interface."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def rows_of(answer: Any) -> list[dict[str, Any]]:
    """The rows of a page of a list."""
    return list(answer["results"])


def pool_prepare(pool: Pool) -> dict[str, str]:
    """Wait for a miner and an active sector, pledging one if there is none; gives the objects' addresses."""
    until = time.monotonic() + ACTIVE_WITHIN_S
    miner = sector = ""
    while time.monotonic() < until:
        miners = [row["address"] for row in rows_of(pool.ask("miners")) if row.get("address")]
        miner = miners[0] if miners else ""
        sectors = rows_of(pool.ask(f"sectors?miner={miner}")) if miner else []
        active = [row for row in sectors if row["active"]]
        if active:
            sector = active[0]["uuid"]
            break
        if miner and not sectors:
            say(f"pledging a sector of {miner}")
            pool.ask(f"miners/{miner}/sectors", {"count": 1})
        time.sleep(3)
    if not sector:
        raise SystemExit("no sector became active in time")
    fresh = pool.ask(f"miners/{miner}/sectors", {"count": 1})
    newest = rows_of(pool.ask(f"sectors?miner={miner}"))[0]["uuid"] if fresh else sector
    messages = rows_of(pool.ask("messages"))
    senders = [row["address"] for row in rows_of(pool.ask("senders"))]
    return {
        "miner": f"/miners/{miner}/",
        "sector": f"/sectors/{sector}/",
        "sector-sealing": f"/sectors/{newest}/",
        **(
            {"sender": f"/senders/{senders[0]}/", "policy": f"/wallets/{senders[0]}/policy/"}
            if senders
            else {}
        ),
        **({"message": f"/messages/{quote(messages[0]['id'])}/"} if messages else {}),
    }


def pages_of(objects: dict[str, str]) -> dict[str, str]:
    """Every page by the name of its picture; what moves comes first."""
    return {
        "sector-sealing": objects["sector-sealing"],
        "today": "/",
        "sectors": "/sectors/",
        **{name: path for name, path in objects.items() if name != "sector-sealing"},
        "miners": "/miners/",
        "miner-add": "/miners/add/",
        "search": "/search/?q=o",
        "proving": "/proving/",
        "blocks": "/blocks/",
        "sealing": "/sealing/",
        "planner": "/planner/",
        "pieces": "/pieces/",
        "storage": "/storage/",
        "roles": "/roles/",
        "expirations": "/sectors/expirations/",
        "failures": "/sectors/failures/",
        "checks": "/status/checks/",
        "status": "/status/",
        "alerts": "/alerts/",
        "alerts-history": "/alerts/history/",
        "alert-channel-add": "/alerts/channels/add/",
        "messages": "/messages/",
        "senders": "/senders/",
        "gas": "/gas/",
        "money": "/money/",
        "charges": "/money/charges/",
        "gas-guard": "/gas/guards/add/",
        "gas-auto-bump": "/gas/auto-bump/",
        "gas-method": "/gas/methods/add/",
        "gas-rules": "/gas/rules/",
        "wallets": "/wallets/",
        "hosts": "/hosts/",
        "chain": "/chain/",
        "mempool": "/chain/mempool/",
        "node-add": "/chain/nodes/add/",
        "fault-injection": "/fault-injection/",
        "pledge": "/sectors/pledge/",
        "send": "/send/",
        "gateway": "/gateway/",
        "tenants": "/tenants/",
        "tenant-new": "/tenants/new/",
        "people": "/people/",
        "invite": "/people/invite/",
        "tokens": "/tokens/",
        "token-new": "/tokens/new/",
        "audit": "/audit/",
        "account": "/account/",
        "password": "/password/",
        "missing": "/nowhere/",
    }


def look_over(page: Visitor, name: str) -> list[str]:
    """What is wrong with the page as it stands."""
    wrong = [f"{name}: {line}" for line in page.complaints]
    page.complaints.clear()
    wrong += [f"{name}: {finding}" for finding in findings(page)]
    size = page.page.viewport_size or {"width": MODES[0][0], "height": 900}
    wrong += [f"{name}: {over} px too wide at {width}" for width, over in page.sideways((NARROW,)).items()]
    page.page.set_viewport_size(size)
    return wrong


def picture_take(page: Visitor, path: Path) -> None:
    """Take the whole page in a window of its height: what sticks to a window stands at the page's edge."""
    size = page.page.viewport_size or {"width": MODES[0][0], "height": 900}
    height = int(page.run("document.documentElement.scrollHeight"))
    page.page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
    page.page.screenshot(path=path)
    page.page.set_viewport_size(size)


def login(page: Visitor, pool: Pool, folder: Path, mode: str) -> None:
    """Take the login's picture, then go in."""
    page.go("/login/", live=False)
    page.page.screenshot(path=folder / f"login-{mode}.png")
    page.see("#name").fill(pool.username)
    page.see("#pw").fill(pool.password)
    page.see("button[data-kind=primary]").click()
    page.wait_live()


def pictures_take(browser: Browser, pool: Pool, folder: Path) -> list[str]:
    """Take all pictures; gives what is wrong with the pages."""
    wrong: list[str] = []
    pages = pages_of(pool_prepare(pool))
    for width, scheme in MODES:
        mode = f"{width}-{scheme}"
        context = browser.new_context(
            viewport={"width": width, "height": 900 if width > NARROW * 2 else 844},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = Visitor(context.new_page(), pool.url)
        login(page, pool, folder, mode)
        for name, path in pages.items():
            page.go(path, live=name != "missing")
            picture_take(page, folder / f"{name}-{mode}.png")
            wrong += look_over(page, f"{name}-{mode}")
        context.close()
        say(f"{len(pages) + 1} pictures at {mode}")
    return wrong


def main(argv: list[str]) -> int:
    """Take the pictures; 1 if a page has something wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--var", type=Path, default=Path(os.environ.get("POOLSITE_VAR", SITE / "var")))
    parser.add_argument("--out", type=Path)
    choices = parser.parse_args(argv)
    folder = choices.out or choices.var / "screens"
    program = chrome_find()
    if program is None:
        say("There is no Chrome here: python -m tests.browser.chrome installs one.")
        return 1
    if not (choices.var / "operator.json").exists():
        say(f"There is no pool in {choices.var}: start one with make up.")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        wrong = pictures_take(browser, Pool.of(choices.var), folder)
        browser.close()
    for name in SHOWN:
        shutil.copy(folder / f"{name}.png", SITE / "docs" / "screens")
    for line in wrong:
        say(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
