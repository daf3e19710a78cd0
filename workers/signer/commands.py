"""The signer's command line: `init`, `run` (the default), and the care of keys, policy and records."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import getpass
import json
import resource
import secrets
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any, Final

import structlog

from poolsite.filecoin.keys import (
    KEY_BLS,
    KEY_SECP256K1,
    KEY_TYPES,
    BadKey,
    key_export,
    key_generate,
    key_import,
)
from poolsite.private_files import private_folder, private_write
from poolsite.wire.policy import OLD_DEFAULTS
from workers.logs import logs_set_up
from workers.signer.accounts import accounts_read
from workers.signer.changes import policy_set, versions_now
from workers.signer.errors import SignerError, Unrecorded
from workers.signer.fair_share import Limits
from workers.signer.gateway import LIMITS, GatewayLink, gateway_url
from workers.signer.legacy_import import keys_read, keys_write
from workers.signer.policy import DEFAULT, policy_parse
from workers.signer.policy_commands import policy, policy_options
from workers.signer.records import RecordQuery
from workers.signer.server import WalletApp, listen_socket, serve
from workers.signer.signing import Signer
from workers.signer.slash_protection_commands import heights, heights_options
from workers.signer.strategy import Strategy
from workers.signer.strategy_commands import strategy, strategy_options
from workers.signer.tokens import secret_load, token_new

log = structlog.get_logger(__name__)

FIRST_KEYS: Final = (("owner", KEY_BLS), ("worker", KEY_BLS), ("control", KEY_SECP256K1))
"""Keys of a new pool: a miner's owner and worker, and the address that pays for proofs."""
VERBS: Final = (
    "init", "run", "new", "list", "export", "import", "delete", "restore", "password", "token", "policy",
    "records", "heights", "import-wallet", "export-wallet", "strategy", "st",
)  # fmt: skip

REFUSED: Final = 1
PERMANENT: Final = 78
"""Exit code (EX_CONFIG) of `init` for what only an operator can fix: a supervisor does not retry it."""
TEMPORARY_ERRORS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)

OPTIONS: Final = {
    "policy": policy_options,
    "heights": heights_options,
    "strategy": strategy_options,
    "st": strategy_options,
}
"""Of the verbs that have a module of their own."""


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
        parser.add_argument("--token-file", type=Path, help="file with the token for the gateway")
        parser.add_argument("--support-account", action="append", default=[], help="also serve this account")
        parser.add_argument("--set", default="", help="limit gateways to this set of policy rules")
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
    elif verb == "import":
        parser.add_argument(
            "file", nargs="?", default="-", help="key file of lotus or venus; - reads standard input"
        )
    elif verb in {"import-wallet", "export-wallet"}:
        parser.add_argument("file", type=Path, help="venus-wallet's keystore.sqlit")
        parser.add_argument(
            "--wallet-password-file", type=Path, help="file with its password; default: a prompt"
        )
    elif verb == "token":
        parser.add_argument("perm", choices=("read", "write", "sign", "admin"))
        parser.add_argument("--set", default="", help="limit it to this set of policy rules")
    elif verb in OPTIONS:
        OPTIONS[verb](parser)
    elif verb == "records":
        parser.add_argument("--limit", type=int, default=20)
        parser.add_argument("--errors", action="store_true")
        parser.add_argument("--verify", action="store_true", help="verify that no record was changed")
    return parser


def password_read(options: argparse.Namespace) -> str:
    """Find the password: the file that was named, the folder's own, or the person.  Never an argument."""
    path: Path = options.password_file or options.dir / "password"
    if path.exists():
        return path.read_text().strip()
    if options.password_file is not None:
        raise SignerError(f"password file {path} does not exist")
    try:
        return getpass.getpass("Password: ")
    except EOFError:
        raise SignerError(f"no password: put it into {path}, or pass --password-file") from None


def opened(options: argparse.Namespace) -> Signer:
    """Open and unlock the folder."""
    signer = Signer(existing(options.dir))
    signer.store.unlock(password_read(options))
    return signer


def existing(folder: Path) -> Path:
    """Return the folder.  Raises SignerError if there is no signer."""
    if not (folder / "keystore.json").exists():
        raise SignerError(
            f"there is no signer in {folder}: run `python -m workers signer init --dir {folder}`"
        )
    return folder


def init(options: argparse.Namespace) -> str:
    """Create folder, password, key store, first keys, policy and tokens; existing ones are kept."""
    folder: Path = options.dir
    private_folder(folder)
    password_path = folder / "password"
    if not password_path.exists() and not (folder / "keystore.json").exists():
        private_write(password_path, secrets.token_urlsafe(32) + "\n")
    if not (folder / "policy.toml").exists():
        policy_set(folder, DEFAULT, by="init")
    signer = Signer(folder)
    try:
        password = password_read(options)
        if signer.store.is_set:
            signer.store.unlock(password)
        else:
            signer.store.password_set(password)
        for label, key_type in FIRST_KEYS:
            if label not in {entry.label for entry in signer.store.entries()}:
                signer.store.add(key_generate(key_type), label=label)
        addresses = {entry.label: entry.address for entry in signer.store.entries() if entry.label}
    finally:
        signer.close()
    secret = secret_load(folder)
    if not (folder / "token").exists():
        private_write(folder / "token", token_new(secret, "admin") + "\n")
    text = json.dumps({label: addresses[label] for label, _ in FIRST_KEYS})
    if not (folder / "addresses.json").exists():
        private_write(folder / "addresses.json", text + "\n")
    return text


def new(options: argparse.Namespace) -> str:
    """Create a key."""
    return opened(options).store.add(key_generate(options.type), label=options.label)


def list_keys(options: argparse.Namespace) -> str:
    """List the keys; needs no password."""
    entries = Signer(existing(options.dir)).store.entries()
    return "\n".join(f"{entry.address} {entry.type} {entry.label}".rstrip() for entry in entries)


def export(options: argparse.Namespace) -> str:
    """Return a key in the form of `lotus wallet export`."""
    return key_export(opened(options).store.key(options.address))


def import_key(options: argparse.Namespace) -> str:
    """Import a key file."""
    text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text()
    return f"imported key {opened(options).store.add(key_import(text))} successfully!"


def wallet_password(options: argparse.Namespace) -> str:
    """Find the old wallet's password."""
    if options.wallet_password_file is not None:
        return str(options.wallet_password_file.read_text()).strip()
    return getpass.getpass("Password of the wallet's file: ")


def import_wallet(options: argparse.Namespace) -> str:
    """Import every key of a venus-wallet key store."""
    signer = opened(options)
    keys = keys_read(options.file, wallet_password(options))
    return "\n".join(f"imported key {signer.store.add(info)} successfully!" for info in keys)


def export_wallet(options: argparse.Namespace) -> str:
    """Write a key store that venus-wallet can open."""
    store = opened(options).store
    keys = [store.key(entry.address) for entry in store.entries()]
    return f"{keys_write(options.file, keys, wallet_password(options))} keys written to {options.file}"


def delete(options: argparse.Namespace) -> str:
    """Delete a key; it can be restored for a while."""
    opened(options).store.delete(options.address)
    return "success"


def restore(options: argparse.Namespace) -> str:
    """Restore a deleted key."""
    opened(options).store.restore(options.address)
    return "success"


def password(options: argparse.Namespace) -> str:
    """Change the password, and the folder's password file if it has one."""
    signer = opened(options)
    old = password_read(options)
    fresh = getpass.getpass("New password: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    path: Path = options.dir / "password"
    signer.store.password_change(old, fresh)
    if path.exists():
        private_write(path, fresh + "\n")
    return "Password set successfully"


def token(options: argparse.Namespace) -> str:
    """Create a token for the wallet JSON-RPC."""
    folder = existing(options.dir)
    if options.set and options.set not in policy_parse((folder / "policy.toml").read_text()).sets:
        raise SignerError(f"the policy has no set '{options.set}'")
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
}


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    logs_set_up("signer")
    signer = Signer(existing(options.dir))
    try:
        if signer.policy.current().digest in OLD_DEFAULTS:
            log.warning(
                "policy_is_an_old_default", advice="it allows too much: compare it with `policy --default`"
            )
        versions_now(options.dir)
        if not options.locked:
            signer.store.unlock(password_read(options))
        asyncio.run(run_until_stopped(signer, options))
    finally:
        signer.close()
    return 0


async def run_until_stopped(signer: Signer, options: argparse.Namespace) -> None:
    """Run the links and the server; the first that fails ends all."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold every opened key
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    links = links_for(signer, options)
    if not links and not options.listen:
        raise SignerError("nothing to do: pass --console or --listen")
    listener = listen_socket(options.listen) if options.listen else None
    jobs = [asyncio.create_task(link.run()) for link in links]
    if listener is not None:
        app = WalletApp(signer, secret=secret_load(options.dir), hubs=links)
        jobs.append(asyncio.create_task(serve(app, listener)))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({*jobs, stopping}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    failed = [job for job in jobs if job.done()]
    for job in (*jobs, stopping):
        job.cancel()
    for job in jobs:
        with contextlib.suppress(asyncio.CancelledError):
            if job not in failed:
                await job
    for job in failed:
        job.result()


def links_for(signer: Signer, options: argparse.Namespace) -> list[GatewayLink]:
    """Return one link per gateway."""
    if options.console and options.token_file is None:
        raise SignerError("gateway token not set: pass --token-file")
    if options.gateway_requests < 1 or options.gateway_per_s <= 0:
        raise SignerError("--gateway-requests and --gateway-per-s must be above zero")
    limits = Limits(options.gateway_requests, options.gateway_per_s)
    return [
        GatewayLink(
            signer,
            url=gateway_url(url),
            token=lambda: options.token_file.read_text().strip(),
            supported=sorted({*options.support_account, *accounts_read(options.dir)}),
            rule_set=options.set,
            limits=limits,
        )
        for url in options.console
    ]
