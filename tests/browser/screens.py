"""Pictures of every page of a running demo, each looked over while it is taken.

The made-up pool of `make up DEMO=1` is seen through its operator.json.  A page that complains in the
console, scrolls sideways or has a serious axe-core finding makes the command fail.
All pictures go to `screens` in the pool's folder; those that the documentation shows, to docs/screens.

Run: python -m tests.browser.screens [--var var] [--out var/screens]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from playwright.sync_api import Browser, expect, sync_playwright

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
    "trends-1440-light",
    "money-1440-light",
    "blocks-1440-light",
)
"""Pictures that the documentation shows; they are kept with it, of what one window shows alone."""
WINDOW: Final = "-window"
"""Ends the names of these: full pages of a large pool would be megabytes."""
SETTLED_MS: Final = 30_000
"""Longest wait for a page's requests: the pool may have just started, on a machine that does other work."""
NARROW: Final = 360
"""No page may be scrolled sideways at this width."""


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

    def ask(self, path: str) -> Any:
        """Read from the REST interface."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def rows_of(answer: Any) -> list[dict[str, Any]]:
    """The rows of a page of a list."""
    return list(answer["results"])


def objects_find(pool: Pool) -> dict[str, str]:
    """Return the addresses of one of each kind of thing, by the name of its picture."""
    miners = rows_of(pool.ask("miners"))
    if len(miners) < 2:
        raise SystemExit("this is no demo: start one by make up DEMO=1")
    miner = miners[0]["address"]
    sectors = rows_of(pool.ask(f"sectors?miner={miner}"))
    proven = next(row for row in sectors if row["active"])
    sealing = next((row for row in sectors if not row["active"]), proven)
    message = next(row for row in rows_of(pool.ask("messages")) if row["state"] == "LANDED")
    sender = rows_of(pool.ask("senders"))[0]["address"]
    host, store = (rows_of(pool.ask(kind))[0]["uuid"] for kind in ("workers", "stores"))
    return {
        "miner": f"/miners/{miner}/",
        "miner-money": f"/miners/{miner}/money/",
        "sector": f"/sectors/{proven['uuid']}/",
        "sector-sealing": f"/sectors/{sealing['uuid']}/",
        "sender": f"/senders/{sender}/",
        "policy": f"/wallets/{sender}/policy/",
        "message": f"/messages/{quote(message['id'])}/",
        "host": f"/hosts/{host}/",
        "store": f"/storage/{store}/",
        "trends": f"/trends/miner/{miner}/?span=90d",
        "trends-host": f"/trends/host/{host}/",
        "trends-sealing": "/trends/sealing/all/?span=90d",
    }


def pages_of(objects: dict[str, str]) -> dict[str, str]:
    """Every page by the name of its picture."""
    return {
        "today": "/",
        "sectors": "/sectors/",
        **objects,
        "miners": "/miners/",
        "miner-add": "/miners/add/",
        "search": "/search/?q=o",
        "proving": "/proving/",
        "blocks": "/blocks/",
        "sealing": "/sealing/",
        "planner": "/planner/",
        "pieces": "/pieces/",
        "deals": "/deals/",
        "clients": "/clients/",
        "allocations": "/allocations/",
        "claims": "/claims/",
        "approvals": "/approvals/",
        "automation": "/automation/",
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
        "message-failures": "/message-failures/",
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
        "node-add": "/chain/nodes/add/",
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
    page.run("0")  # brings what the page's policy said of the styles that a picture sets for its time
    page.complaints.clear()


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
    pages = pages_of(objects_find(pool))
    for width, scheme in MODES:
        mode = f"{width}-{scheme}"
        context = browser.new_context(
            viewport={"width": width, "height": 1000 if width > NARROW * 2 else 844},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = Visitor(context.new_page(), pool.url)
        login(page, pool, folder, mode)
        for name, path in pages.items():
            page.go(path, live=name != "missing")
            if f"{name}-{mode}" in SHOWN:
                page.page.screenshot(path=folder / f"{name}-{mode}{WINDOW}.png")
            found = look_over(page, f"{name}-{mode}")
            for line in found:
                say(line)
            wrong += found
            picture_take(page, folder / f"{name}-{mode}.png")
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
        say(f"There is no demo in {choices.var}: start one by make up DEMO=1.")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=SETTLED_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        wrong = pictures_take(browser, Pool.of(choices.var), folder)
        browser.close()
    for name in SHOWN:
        shutil.copy(folder / f"{name}{WINDOW}.png", SITE / "docs" / "screens" / f"{name}.png")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
