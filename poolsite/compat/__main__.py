"""`python -m poolsite.compat PROGRAM …`, or a link named as the old program: one command of it.

A command that only starts a server says which program of the pool does that, and ends with 3.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Final

from poolsite.compat import auth, messager, miner, sealer, wallet
from poolsite.compat.pool import SITE, pool_options
from poolsite.compat.verb import Refused, Verb, elsewhere

DONE, REFUSED, USAGE, ELSEWHERE = 0, 1, 2, 3

PROGRAMS: Final[dict[str, tuple[Verb, ...]]] = {
    "venus-auth": auth.VERBS,
    "venus-wallet": wallet.VERBS,
    "venus-messager": messager.VERBS,
    "venus-sealer": sealer.VERBS,
    "venus-miner": miner.VERBS,
    "venus": (
        elsewhere(
            "daemon", "the pool uses a node that runs elsewhere, named by CHAIN_URLS, or its own small chain"
        ),
    ),
    "venus-gateway": (elsewhere("run", "the pool is the gateway: start it by `make up`"),),
    "lotus-miner": (
        elsewhere(
            "run",
            "roles and the allocator of sector numbers are `python manage.py runrole`, with its options, "
            "and lotus-miner itself works on the pool by FULLNODE_API_INFO",
        ),
    ),
}
SCRIPT: Final = (
    '#!/bin/sh\n# of poolsite.compat\nPYTHONPATH={site} exec {python} -m poolsite.compat {program} "$@"\n'
)
"""Runs in the caller's folder: paths are meant from there."""


def usage(program: str = "") -> str:
    """List the programs, or the commands of one."""
    if not program:
        rows = {name: ", ".join(verb.words or "(none)" for verb in verbs) for name, verbs in PROGRAMS.items()}
        rows["link"] = "write scripts with these names into a folder: link FOLDER"
        head = "usage: python -m poolsite.compat PROGRAM COMMAND ..."
    else:
        rows = {verb.words or "(none)": verb.does for verb in PROGRAMS[program]}
        head = f"usage: {program} [--pool URL] [--pool-token-file FILE] COMMAND ..."
    lines = "".join(f"  {name:<16}{does}\n" for name, does in rows.items())
    return f"{head}\n\n{lines}\nMore: {program or 'PROGRAM'} COMMAND --help\n"


def verb_find(program: str, words: list[str]) -> Verb | None:
    """Return the command that a line begins with; the longest, as one may begin another."""
    found = [verb for verb in PROGRAMS[program] if words[: len(verb.words.split())] == verb.words.split()]
    found = [verb for verb in found if verb.words or not words]
    return max(found, key=lambda verb: len(verb.words), default=None)


def before_verb(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options that stand before a command, and the rest."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    pool_options(parser)
    parser.add_argument("--repo", default="")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args(words)
    rest = options.rest
    del options.rest
    return options, rest


def run(program: str, words: list[str]) -> int:
    """Carry out one command line; a refusal is one sentence."""
    if words[:1] in (["--help"], ["-h"], ["help"]):
        sys.stdout.write(usage(program))
        return DONE
    options, rest = before_verb(words)
    verb = verb_find(program, rest)
    if verb is None:
        known = ", ".join(one.words for one in PROGRAMS[program] if one.words)
        typed = " ".join(rest[:2])
        sys.stderr.write(f"{program}: unknown command '{typed}': use one of {known}\n")
        return USAGE
    parser = argparse.ArgumentParser(
        prog=f"{program} {verb.words}".strip(), description=verb.does, allow_abbrev=False
    )
    rest = rest[len(verb.words.split()) :]
    try:
        if verb.is_elsewhere:
            parser.parse_known_args(rest)  # --help, and no other option counts
            verb.run(options)
        pool_options(parser, default=argparse.SUPPRESS)
        if verb.options is not None:
            verb.options(parser)
        if answer := verb.run(parser.parse_args(rest, namespace=options)):
            sys.stdout.write(f"{answer}\n")
    except Refused as refusal:
        if str(refusal):
            sys.stderr.write(f"{program}: {refusal}\n")
        return ELSEWHERE if verb.is_elsewhere else REFUSED
    return DONE


def link(folder: Path) -> int:
    """Write a script for each program; one that is another's is kept, and nothing is written."""
    scripts = {
        folder / name: SCRIPT.format(
            site=shlex.quote(str(SITE)), python=shlex.quote(sys.executable), program=name
        )
        for name in PROGRAMS
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in scripts:
            if path.exists() and b"poolsite.compat" not in path.read_bytes():
                raise Refused(f"{path} is another program: choose another folder")
        for path, text in scripts.items():
            path.write_text(text)
            path.chmod(0o755)
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from None
    return DONE


def main(argv: list[str]) -> int:
    """Run what a line says: the program's name comes first, unless a link is named so."""
    own = Path(argv[0]).name
    program, words = (own, argv[1:]) if own in PROGRAMS else ("".join(argv[1:2]), argv[2:])
    if program in PROGRAMS:
        return run(program, words)
    if program in ("", "-h", "--help", "help"):
        (sys.stdout if program else sys.stderr).write(usage())
        return DONE if program else USAGE
    if program == "link" and len(words) == 1 and not words[0].startswith("-"):
        try:
            return link(Path(words[0]))
        except Refused as refusal:
            sys.stderr.write(f"link: {refusal}\n")
            return REFUSED
    if program == "link":
        sys.stdout.write("usage: python -m poolsite.compat link FOLDER\n")
        return DONE if words[:1] in (["-h"], ["--help"]) else USAGE
    sys.stderr.write(f"poolsite.compat: unknown program '{program}': use one of {', '.join(PROGRAMS)}\n")
    return USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv))
