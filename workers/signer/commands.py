"""The signer's command line: `init`, `run` (the default), and the care of keys, policy and records."""

from __future__ import annotations

import argparse
import errno
import sqlite3
import sys
from pathlib import Path
from typing import Any, Final

from poolsite.filecoin.keys import KEY_DELEGATED, KEY_SECP256K1, KEY_TYPES, BadKey
from workers.signer.errors import SignerError, Unrecorded
from workers.signer.gateway import LIMITS
from workers.signer.init_command import init
from workers.signer.key_commands import (
    delete,
    export,
    export_wallet,
    import_key,
    import_wallet,
    list_keys,
    new,
    password,
    restore,
)
from workers.signer.policy_commands import policy, policy_options
from workers.signer.policy_parse import policy_parse
from workers.signer.records import RecordQuery
from workers.signer.run_command import run
from workers.signer.sign_file import sign_file, sign_file_options
from workers.signer.signer_folder import existing
from workers.signer.signing import Signer
from workers.signer.slash_protection_commands import heights, heights_options
from workers.signer.strategy import Strategy
from workers.signer.strategy_commands import strategy, strategy_options
from workers.signer.tokens import secret_load, token_new, tokens_revoke

VERBS: Final = (
    "init", "run", "new", "list", "export", "import", "delete", "restore", "password", "token", "policy",
    "records", "heights", "import-wallet", "export-wallet", "strategy", "st", "sign-file",
)  # fmt: skip

REFUSED: Final = 1
PERMANENT: Final = 78
"""Exit code (EX_CONFIG) of `init` for what only an operator can fix: a supervisor does not retry it."""
TEMPORARY_ERRORS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)


def import_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `import`."""
    parser.add_argument(
        "file", nargs="?", default="-", help="key file of lotus or venus; - reads standard input"
    )
    parser.add_argument(
        "--type",
        choices=(KEY_SECP256K1, KEY_DELEGATED),
        default=KEY_DELEGATED,
        help="type of a key in plain hex, which does not say it (delegated)",
    )


OPTIONS: Final = {
    "import": import_options,
    "policy": policy_options,
    "heights": heights_options,
    "strategy": strategy_options,
    "st": strategy_options,
    "sign-file": sign_file_options,
}
"""Functions that add a verb's options, for verbs with many or with a module of their own."""


def main(argv: list[str]) -> int:
    """Run one verb; refusals are one sentence and exit code 1 (`init`: 78 if permanent), a wrong verb 2."""
    if argv and argv[0] in ("-h", "--help"):
        line_print(verbs_text())
        return 0
    if argv and argv[0] not in VERBS and not argv[0].startswith("-"):
        print(f"signer: unknown command '{argv[0]}': use one of {', '.join(VERBS)}", file=sys.stderr)  # noqa: T201  # as below
        return 2
    verb, rest = (argv[0], argv[1:]) if argv and argv[0] in VERBS else ("run", argv)
    options = parser_for(verb).parse_args(rest)
    try:
        if verb == "run":
            return run(options)
        line_print(HANDLERS[verb](options))
    except (SignerError, BadKey, OSError, sqlite3.DatabaseError) as error:
        print(refusal_text(error), file=sys.stderr)  # noqa: T201  # a command line's answer
        return PERMANENT if verb == "init" and not is_temporary(error) else REFUSED
    return 0


def refusal_text(error: Exception) -> str:
    """Return the sentence of a refusal."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return str(error) or type(error).__name__


def is_temporary(error: Exception) -> bool:
    """Return whether waiting may fix a fault: a full or failing disk, no memory, a locked database."""
    if isinstance(error, OSError):
        return error.errno in TEMPORARY_ERRORS
    return isinstance(error, sqlite3.OperationalError | Unrecorded)


def verbs_text() -> str:
    """List the verbs with what they do."""
    doers = {"run": run, **HANDLERS}
    lines = [f"  {verb:<15}{(doers[verb].__doc__ or '').splitlines()[0]}" for verb in VERBS]
    more = "More: python -m workers signer COMMAND --help; without a command it runs."
    return "\n".join(["usage: python -m workers signer [COMMAND] ...", "", *lines, "", more])


def line_print(text: str) -> None:
    """Write an answer."""
    if text:
        print(text)  # noqa: T201  # a command line's answer


def parser_for(verb: str) -> argparse.ArgumentParser:
    """Return the options of a verb."""
    parser = argparse.ArgumentParser(prog=f"python -m workers signer {verb}")
    parser.add_argument("--dir", type=Path, default=Path("var/signer"), help="the signer's folder")
    parser.add_argument(
        "--password-file", type=Path, help="password file; default: DIR/password, else a prompt"
    )
    if verb == "run":
        parser.add_argument(
            "--console", action="append", default=[], help="https://pool.example, or ws://…/rpc/v1"
        )
        parser.add_argument(
            "--token-file",
            type=Path,
            action="append",
            default=[],
            help="file with the token for the gateway; of several gateways: one for all, or one for each",
        )
        parser.add_argument("--support-account", action="append", default=[], help="also serve this account")
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            help='limit gateways to this set of policy rules: one for all, or one for each ("": no limit)',
        )
        parser.add_argument(
            "--gateway-requests", type=int, default=LIMITS.requests, help="max. pending requests per gateway"
        )
        parser.add_argument(
            "--gateway-per-s", type=float, default=LIMITS.per_s, help="max. requests per second and gateway"
        )
        parser.add_argument("--listen", default="", help="host:port for the wallet JSON-RPC")
        parser.add_argument("--locked", action="store_true", help="start locked, until unlocked over the RPC")
    elif verb == "new":
        parser.add_argument("type", choices=KEY_TYPES, nargs="?", default=KEY_SECP256K1)
        parser.add_argument("--label", default="")
    elif verb in {"export", "delete", "restore"}:
        parser.add_argument("address")
    elif verb in {"import-wallet", "export-wallet"}:
        parser.add_argument("file", type=Path, help="venus-wallet's keystore.sqlit")
        parser.add_argument(
            "--wallet-password-file", type=Path, help="file with its password; default: a prompt"
        )
    elif verb == "token":
        parser.add_argument("perm", choices=("read", "write", "sign", "admin"))
        parser.add_argument("--set", default="", help="limit it to this set of policy rules")
        parser.add_argument(
            "--revoke-all", action="store_true", help="first revoke every token, and replace DIR/token"
        )
    elif verb in OPTIONS:
        OPTIONS[verb](parser)
    elif verb == "records":
        parser.add_argument("--limit", type=int, default=20)
        parser.add_argument("--errors", action="store_true")
        parser.add_argument("--verify", action="store_true", help="verify that no record was changed")
    return parser


def token(options: argparse.Namespace) -> str:
    """Create a token for the wallet JSON-RPC, or revoke all and create one."""
    folder = existing(options.dir)
    if options.set and options.set not in policy_parse((folder / "policy.toml").read_text()).sets:
        raise SignerError(f"the policy has no set '{options.set}'")
    if options.revoke_all:
        tokens_revoke(folder)
    return token_new(secret_load(folder), options.perm, rule_set=options.set)


def policies(options: argparse.Namespace) -> str:
    """Check the policy file, test or apply another one, allow miners, list versions and editors."""
    return policy(existing(options.dir), options)


def records(options: argparse.Namespace) -> str:
    """List records, or verify their hash chain."""
    signer = Signer(existing(options.dir))
    if options.verify:
        broken = signer.records.chain_verify()
        if broken is not None:
            raise SignerError(f"record {broken} was changed")
        return "no record was changed"
    rows = signer.records.query(RecordQuery(errors_only=options.errors, limit=options.limit))
    return "\n".join(
        f"{row['at'][:19]} {row['address'][:12]} {row['words']} {row['error'] or 'signed'}" for row in rows
    )


def block_heights(options: argparse.Namespace) -> str:
    """List the signed blocks of miners, close heights of a miner, or forget them for a new chain."""
    return heights(existing(options.dir), options)


def strategies(options: argparse.Namespace) -> str:
    """Run a strategy command of the old venus-wallet."""
    book = Strategy(existing(options.dir))
    return strategy(book, options.verb, options.words, start=options.start, end=options.end)


HANDLERS: Final[dict[str, Any]] = {
    "init": init,
    "new": new,
    "list": list_keys,
    "export": export,
    "import": import_key,
    "import-wallet": import_wallet,
    "export-wallet": export_wallet,
    "delete": delete,
    "restore": restore,
    "password": password,
    "token": token,
    "policy": policies,
    "records": records,
    "heights": block_heights,
    "strategy": strategies,
    "st": strategies,
    "sign-file": sign_file,
}
