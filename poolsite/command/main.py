"""`poolsite`, the pool's REST as a command: `poolsite sectors retry f01004-12`.

Each command is a row of the table in `acts.json`; nothing of Django is loaded.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import click
from click.shell_completion import get_completion_class

from poolsite.command.acts import ALIASES, JSON, ROOT, acts_read
from poolsite.command.login import login_forget, login_write, pool_found
from poolsite.command.output import rows_of, shown
from poolsite.compat.pool import Pool, Unanswered, clear_warn, url_read
from poolsite.compat.verb import Refused, secret_read

if TYPE_CHECKING:
    from poolsite.command.acts import Act, Field

OWN: Final = ("login", "logout", "completion")
PART_BYTES: Final = 2**20
KINDS: Final = {"integer": click.INT, "number": click.FLOAT, "boolean": click.BOOL}


class Json(click.ParamType[Any]):
    """A JSON document, or `@file` with one."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the document; refuse a wrong one with the option's name."""
        try:
            return json.loads(Path(value[1:]).read_bytes() if value.startswith("@") else value)
        except OSError as error:
            self.fail(f"{value[1:]} cannot be read: {error.strerror}", param, ctx)
        except ValueError as error:
            self.fail(f"is not JSON: {error}", param, ctx)


class JsonObject(Json):
    """A JSON object, whose names options change."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it; anything else is refused."""
        found = super().convert(value, param, ctx)
        if not isinstance(found, dict):
            self.fail("is no JSON object", param, ctx)
        return found


class Nouns(click.Group):
    """One group for each noun; only the one that is called is built."""

    @cached_property
    def acts(self) -> dict[str, list[Act]]:
        """Return the table's rows by noun."""
        nouns: dict[str, list[Act]] = {}
        for act in acts_read():
            nouns.setdefault(act.noun, []).append(act)
        return nouns

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the nouns and the commands of this program itself, such as `login`."""
        return [*sorted(self.acts), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the group of a noun, or a command of this program itself."""
        if cmd_name not in self.acts:
            return super().get_command(ctx, cmd_name)
        commands = {act.verb: command_of(act) for act in self.acts[cmd_name]}
        for alias, of in ALIASES.items():
            (noun, verb), (own_noun, own_verb) = alias.split(), of.split()
            if noun == cmd_name:
                act = next(act for act in self.acts[own_noun] if act.verb == own_verb)
                commands[verb] = command_of(act, name=verb)
        return click.Group(cmd_name, commands=commands, short_help=", ".join(commands))


@click.group(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--pool", metavar="URL", default="", help="The pool's address instead of the login's.")
@click.option("--pool-token-file", metavar="FILE", default="", help="A file with a token for that pool.")
@click.option("--json", "is_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def poolsite(context: click.Context, /, **options: Any) -> None:
    """Operate a pool from any machine over its REST; the audit log has every act under your name."""
    context.obj = argparse.Namespace(**options)


@poolsite.command()
@click.argument("url")
@click.option("--token-file", default="", help="A file with the token; without it you are asked.")
def login(url: str, token_file: str) -> None:
    """Save a pool's address and your token (page Tokens) for later commands."""
    address = url_read(url)
    clear_warn(address)
    pool = Pool(address, secret_read("", token_file, prompt="Token: "))
    who = pool.get(ROOT)
    name = f"{who['actor']}, level {who['level']}"
    click.echo(f"{pool.url} is kept in {login_write(pool)}: {name}")


@poolsite.command()
def logout() -> None:
    """Forget the login; the token stays valid until it is removed."""
    click.echo("The login is forgotten." if login_forget() else "There was no login.")


@poolsite.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script by which a shell completes nouns, verbs and options."""
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(poolsite, {}, "poolsite", "_POOLSITE_COMPLETE").source())


def command_of(act: Act, *, name: str = "") -> click.Command:
    """Return the command of one row, under another name where one is given."""
    parameters: list[click.Parameter] = [click.Argument([one]) for one in act.arguments]
    if act.takes_several:
        parameters[-1] = click.Argument([act.arguments[-1]], nargs=-1, required=True)
    parameters += [_option(field) for field in (*act.query, *act.body)]
    if act.sends == JSON:
        parameters.append(
            click.Option(
                ["--body"], type=JsonObject(), help="The whole input as JSON, or @file; options change it."
            )
        )
    elif act.sends:
        parameters.append(
            click.Option(["--file"], type=click.File("rb"), required=True, help="What is sent.")
        )
    if act.answers != JSON:
        parameters.append(
            click.Option(["--output"], type=click.File("wb"), default="-", help="Where the data go.")
        )
    if act.may_be_final:
        parameters.append(click.Option(["--yes"], is_flag=True, help="Do not ask."))
    if act.has_key:
        parameters.append(
            click.Option(
                ["--idempotency-key"], default="", help="Of a line that was sent before: it is done once."
            )
        )
    parameters.append(click.Option(["--json", "is_json"], is_flag=True, help="Print the answer as it came."))
    if act.has_query("cursor") or act.has_query("offset"):
        parameters.append(click.Option(["--all"], is_flag=True, help="Every page, not only the first."))
    return click.Command(
        name or act.verb,
        params=parameters,
        callback=_callback(act),
        help=f"{act.does}.\n\n{act.method} {act.path}",
    )


def _option(field: Field) -> click.Option:
    flag = field.name.replace("_", "-")
    names = [f"--{flag}", field.name]
    if field.kind == "boolean" and not field.is_many:
        return click.Option([f"--{flag}/--no-{flag}", field.name], default=None, help=field.help)
    kind: Any = Json() if field.kind == "json" else KINDS.get(field.kind)
    help_ = field.help
    if field.choices and field.kind == "text":
        kind = click.Choice(field.choices, case_sensitive=False)
    elif field.choices:
        help_ = f"{help_} One of {', '.join(field.choices)}.".strip()
    return click.Option(names, type=kind, multiple=field.is_many, help=help_)


def _callback(act: Act) -> Callable[..., None]:
    @click.pass_obj
    def call(options: argparse.Namespace, /, **values: Any) -> None:
        is_json = options.is_json or values["is_json"]
        pool = pool_found(options)
        requests = [Request(act, pool, one) for one in _each(act, values)]
        if act.is_final_with(requests[0].body or {}) and not values["yes"] and not values.get("dry_run"):
            confirm(requests, is_json=is_json)
        is_refused = False
        for request in requests:
            try:
                _write(request.send(), is_json=is_json)
            except Unanswered:
                raise
            except Refused as error:  # the others are done all the same
                if len(requests) == 1:
                    raise
                click.echo(f"poolsite: {request.argument}: {error}", err=True)
                is_refused = True
        if is_refused:
            sys.exit(1)

    return call


def _each(act: Act, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a request's values for each thing that was named, each with a key of its own."""
    if not act.takes_several:
        yield values
        return
    names = values[act.arguments[-1]]
    key = values.get("idempotency_key") or secrets.token_hex(16)
    for place, name in enumerate(names):
        own_key = key if len(names) == 1 else f"{key}-{place}"
        yield values | {act.arguments[-1]: name, "idempotency_key": own_key, "line_key": key}


def _write(answer: Any, *, is_json: bool) -> None:
    if answer is not None:
        click.echo(json.dumps(answer, ensure_ascii=False) if is_json else shown(answer))
    if isinstance(answer, dict) and "results" in answer and answer.get("next"):
        click.echo("There are more: --all", err=True)


def confirm(requests: Sequence[Request], *, is_json: bool) -> None:
    """Show the dry runs and ask for confirmation; without a terminal require `--yes`."""
    if is_json or not is_interactive():
        raise click.UsageError("this cannot be undone: add --yes")
    first = requests[0]
    if first.act.has_dry_run:  # without the key, which is that of the act itself
        for request in requests:
            click.echo(shown(request.call(request.query | {"dry_run": True}, key="")))
    words = [first.act.noun, first.act.verb, *(first.values[name] for name in first.act.arguments)]
    words += [request.argument for request in requests[1:]]
    click.confirm(f"{' '.join(words)} at {first.pool.url}: go on?", abort=True, err=True)


class Request:
    """A command's request: pool, path, query and body."""

    def __init__(self, act: Act, pool: Pool, values: dict[str, Any]) -> None:
        self.act, self.pool, self.values = act, pool, values
        path = act.path
        for name in act.arguments:
            path = path.replace(f"{{{name}}}", quote(values[name], safe=""))
        self.path = ROOT + path
        self.query = _given(act.query, values)
        self.body: Any = None
        if act.sends == JSON:
            self.body = {**(values["body"] or {}), **_given(act.body, values)}
            missing = [field.name for field in act.body if field.is_required and field.name not in self.body]
            if missing:
                raise click.UsageError(
                    f"missing: {', '.join('--' + one.replace('_', '-') for one in missing)}"
                )
        self.key = (values["idempotency_key"] or secrets.token_hex(16)) if act.has_key else ""
        self.line_key = values.get("line_key", self.key)
        """What the whole line is repeated with, where it names several things."""
        self.argument = values[act.arguments[-1]] if act.arguments else ""

    def send(self) -> Any:
        """Return the pool's answer; None if it was written as data or is empty."""
        if self.act.answers != JSON:
            return self.download()
        if not self.values.get("all"):
            return self.call(self.query, key=self.key)
        return [row for page in self.pages() for row in rows_of(page) or ()]

    def pages(self) -> Iterator[Any]:
        """Yield each page of a list."""
        query = {"limit": 1000, **self.query}
        while True:
            page = self.call(query, key=self.key)
            yield page
            if not (isinstance(page, dict) and page.get("next")):
                return
            if self.act.has_query("cursor"):
                query["cursor"] = page["next"]
            else:
                query["offset"] = query.get("offset", 0) + len(page["results"])

    def download(self) -> None:
        """Write the data as they arrive."""
        for part in self.pool.parts(self.path, params=self.query):
            self.values["output"].write(part)

    def call(self, query: dict[str, Any], *, key: str) -> Any:
        """Send it once.

        Raises Refused; Unanswered with the key by which the same line is safe, if no answer came.
        """
        sent: dict[str, Any] = {"params": query}
        if self.act.sends == JSON:
            sent["json"] = self.body
        elif self.act.sends:
            sent["content"] = iter(partial(self.values["file"].read, PART_BYTES), b"")
        headers = {"Idempotency-Key": key} if key else {}
        try:
            return self.pool.call(self.act.method, self.path, headers=headers, **sent)
        except Unanswered as error:
            if not key:
                raise
            raise Unanswered(
                f"{error}; it may have been done: add --idempotency-key {self.line_key} to the same line, "
                "which then is done once"
            ) from None


def is_interactive() -> bool:
    """Return whether a person can be asked."""
    return sys.stdin.isatty()


def _given(fields: tuple[Field, ...], values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that were given; the pool has defaults for the others."""
    return {
        field.name: list(values[field.name]) if field.is_many else values[field.name]
        for field in fields
        if values[field.name] not in (None, ())
    }


def main() -> None:
    """Run the command; a refusal is one sentence and ends with 1."""
    try:
        poolsite(prog_name="poolsite")
    except Refused as error:
        click.echo(f"poolsite: {error}", err=True)
        sys.exit(1)
