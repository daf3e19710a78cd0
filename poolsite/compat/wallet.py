"""venus-wallet: keys and tokens of the signer on this machine, by its own program; the pool has no key."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from poolsite.compat.pool import SITE, Pool, pool_of, url_read, var_folder
from poolsite.compat.verb import Refused, Verb, elsewhere, secret_file_read
from poolsite.wire.jsonrpc.messages import CODE_NOT_AGREED

OWN_TENANT: Final = "pool"
"""Tenant of the signer in the pool's own folder."""
LISTEN: Final = "127.0.0.1:5678"
"""Where venus-wallet listens, and the signer with COMPAT_PORTS."""


def signer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which signer is meant."""
    parser.add_argument(
        "--repo", default="", metavar="DIR", help="the signer's folder; default: POOLSITE_VAR/signer"
    )
    parser.add_argument("--password-file", default="", help="file with its password; default: DIR/password")


def folder_of(options: argparse.Namespace) -> Path:
    """Return the signer's folder."""
    return Path(options.repo).absolute() if options.repo else var_folder().absolute() / "signer"


def signer_run(options: argparse.Namespace, *words: str, is_shown: bool = True) -> str:
    """Run the signer's own command, which asks for passwords itself.  Raises Refused with its reason."""
    command = [sys.executable, "-m", "workers", "signer", words[0], "--dir", str(folder_of(options))]
    if options.password_file:
        command += ["--password-file", str(Path(options.password_file).absolute())]
    done = subprocess.run(  # noqa: S603  # our own program
        [*command, *words[1:]], cwd=SITE, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:  # it has said why
        raise Refused("")
    return done.stdout.strip() if is_shown else ""


def password_set(options: argparse.Namespace) -> str:
    """Change the password: it is asked for twice, or read from a pipe once."""
    return signer_run(options, "password")


def key_new(options: argparse.Namespace) -> str:
    """Create a key; the signer offers it to the pool within a second."""
    return signer_run(options, "new", options.type)


def new_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `new`."""
    signer_options(parser)
    parser.add_argument("type", nargs="?", default="secp256k1", choices=("bls", "secp256k1", "delegated"))


def keys_list(options: argparse.Namespace) -> str:
    """List the addresses."""
    lines = signer_run(options, "list").splitlines()
    return "\n".join(line.split()[0] for line in lines)


def listen_options(parser: argparse.ArgumentParser) -> None:
    """Add the address of a running signer."""
    signer_options(parser)
    parser.add_argument(
        "--listen",
        default="",
        metavar="HOST:PORT",
        help=f"where the running signer listens; default: SIGNER_LISTEN, else {LISTEN}",
    )


def listen_of(options: argparse.Namespace) -> tuple[str, str]:
    """Return host and port of the running signer.  Raises Refused."""
    text = options.listen or os.environ.get("SIGNER_LISTEN") or LISTEN
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise Refused(f"{text} is not HOST:PORT")
    return host.strip("[]"), port


def account_support(options: argparse.Namespace) -> str:
    """Add an account to those that the running signer serves, also after its next start.

    An account agrees to be served by another tenant's signer; to the pool's own, the operator who runs this.
    """
    host, port = listen_of(options)
    place = url_read(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    signer = Pool(place, secret_file_read(folder_of(options) / "token"), what="signer")
    try:
        signer.rpc("Filecoin.AddSupportAccount", options.account)
    except Refused as refusal:
        if refusal.code != CODE_NOT_AGREED:
            raise
        if options.repo:
            raise Refused(
                f"{refusal}: its admin or the operator approves on Gateway, then repeat it"
            ) from None
        body = {"signer": OWN_TENANT, "account": options.account, "approve": True}
        pool_of(options).post("/api/v1/signer-approvals", body)
        signer.rpc("Filecoin.AddSupportAccount", options.account)
    return ""


def support_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `support`."""
    listen_options(parser)
    parser.add_argument("account", help="name of a user of the pool")


def api_info(options: argparse.Namespace) -> str:
    """Return a new token of the signer's API in front of its multiaddress."""
    host, port = listen_of(options)
    kind: Any = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdecimal() else "dns4"
    return f"{signer_run(options, 'token', options.perm)}:/{kind}/{host}/tcp/{port}/http"


def api_info_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `auth api-info`."""
    listen_options(parser)
    parser.add_argument("--perm", required=True, choices=("read", "write", "sign", "admin"))


RUN: Final = (
    "the pool's signer runs with it (`make up`); on another machine `make signer CONSOLE=url TOKEN_FILE=path`"
)

VERBS: Final = (
    elsewhere("run", RUN),
    Verb("setpwd", "change the password of the keys", password_set, signer_options),
    Verb("set-password", "change the password of the keys", password_set, signer_options),
    Verb("new", "create a key", key_new, new_options),
    Verb("list", "list the addresses", keys_list, signer_options),
    Verb("support", "serve one more account", account_support, support_options),
    Verb("auth api-info", "print a token of the signer's API with its address", api_info, api_info_options),
)
