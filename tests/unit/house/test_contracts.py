"""Import contracts that name modules one by one name all of them."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_devnet_takes_nothing_of_the_wire_but_json_rpc() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(one for one in linter["contracts"] if one["name"].startswith("The devnet"))
    modules = {path.stem for path in (ROOT / "poolsite/wire").iterdir() if not path.name.startswith("__")}

    forbidden = {name.removeprefix("poolsite.wire.") for name in contract["forbidden_modules"]}

    assert forbidden == modules - {"jsonrpc"} | {"apps", "workers"}
