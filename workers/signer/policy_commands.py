"""The verb `policy`: the file checked, tried, taken, its versions, its miners, and who may change it."""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from workers.signer.changes import history_of, miners_allow, policy_set
from workers.signer.default_policy import DEFAULT
from workers.signer.editors import editor_add, editor_remove, editors_read
from workers.signer.miner_address import miner_parse
from workers.signer.policy_backtest import backtest_run
from workers.signer.policy_parse import policy_parse
from workers.signer.signing import Signer


def policy_options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--try", dest="candidate", type=Path, help="show what this file would have decided")
    parser.add_argument("--days", type=int, default=30, help="how far back --try looks")
    parser.add_argument("--take", type=Path, help="apply this file as the policy")
    parser.add_argument(
        "--miner", action="append", default=[], help="allow sealing and proving for this miner"
    )
    parser.add_argument(
        "--first",
        action="store_true",
        help="apply --miner only if the rule allows no miner now and no version ever named these",
    )
    parser.add_argument("--by", default="", help="who applies it, for the history")
    parser.add_argument("--default", action="store_true", help="print the default policy that `init` writes")
    parser.add_argument("--history", action="store_true", help="list and verify the versions")
    parser.add_argument(
        "--editor", default="", help="allow NAME to change it through a console; prints a code"
    )
    parser.add_argument("--no-editor", default="", help="revoke that from NAME")
    parser.add_argument("--editors", action="store_true", help="list who may change it through a console")


def policy(folder: Path, options: argparse.Namespace) -> str:
    """Carry out what the options say; without any, check the policy file.  Raises SignerError, OSError."""
    if options.default:
        return DEFAULT.rstrip("\n")
    if options.candidate is not None:
        return policy_try(folder, options)
    if options.editor:
        return editor_add(folder, options.editor)
    if options.no_editor:
        editor_remove(folder, options.no_editor)
        return "success"
    if options.editors:
        return "\n".join(editors_read(folder)) or "none: the policy cannot be changed through a console"
    if options.take is not None:
        by = options.by or getpass.getuser()
        rules = policy_set(folder, options.take.read_text(), by=by)
        return f"{len(rules.rules)} rules, version {rules.digest}"
    if options.miner:
        return policy_miners(folder, options)
    if options.history:
        versions = history_of(folder).versions()
        return "\n".join(f"{one.at[:19]} {one.digest} {one.by}" for one in versions) or "no versions yet"
    rules = policy_parse((folder / "policy.toml").read_text())
    return f"{len(rules.rules)} rules, version {rules.digest}"


def policy_miners(folder: Path, options: argparse.Namespace) -> str:
    """Name miners in the rule for sealing and proving.  Raises SignerError."""
    miners = [str(miner_parse(text)) for text in options.miner]
    by = options.by or getpass.getuser()
    if miners_allow(folder, miners, by=by, is_first=options.first):
        return f"sealing and proving is allowed for {', '.join(miners)}"
    return "nothing changed: they are already allowed, or no rule allows only sealing and proving"


def policy_try(folder: Path, options: argparse.Namespace) -> str:
    """Print what another policy would have decided lately."""
    candidate = policy_parse(options.candidate.read_text())
    signer = Signer(folder)
    since = datetime.now(UTC) - timedelta(days=options.days)
    backtest = backtest_run(signer.records, candidate, since=since)
    changes = [f"{one.at[:19]} {one.text}: {one.before} -> {one.after}" for one in backtest.changes]
    head = f"{backtest.requests} requests in {options.days} days, {len(changes)} decisions would change"
    return "\n".join([head, *changes])
