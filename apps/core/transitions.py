"""Moving rows along their state tables: the only code that writes a `state` column.

But for `jobs.claim_statements` of sectors, whose two statements have the step from the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.sql import UpdateQuery

from apps.core.errors import LostRace, WrongState
from apps.core.reason_fields import CODED, reason_columns, with_codes


def advance(row: Any, event: str, /, **data: Any) -> None:
    """Move `row` one step along its table and store the data that came with the event.

    The step and the data are one UPDATE that holds only if the row is still in the state we read;
    so two reports of the same event cannot both win.  Publishing is the caller's business.

    Raises WrongState if the table has no such step, LostRace if another process moved the row.
    """
    try:
        state = row.TRANSITIONS[row.state][event]
    except KeyError:
        raise WrongState(row, event) from None
    expected = type(row).objects.filter(pk=row.pk, state=row.state)
    if not update_returning(row, expected, state=state, **data):
        raise LostRace(row, event)


def update_returning(row: Any, expected: QuerySet[Any], /, **values: Any) -> bool:
    """Update the one row that `expected` finds and copy its columns onto `row`; False if there is none.

    One statement, where an update and `refresh_from_db` are two.  Rows that it refers to stay read as long
    as it refers to them; what refers to it is read anew.
    """
    update: Any = expected.query.chain(UpdateQuery)
    update.add_update_values(with_codes(type(row), values))
    text, params = update.get_compiler(connection=connection).as_sql()
    table = connection.ops.quote_name(row._meta.db_table)
    with transaction.mark_for_rollback_on_error():
        for found in type(row)._base_manager.raw(f"{text} RETURNING {table}.*", params):
            _columns_copy(row, found)
            return True
    return False


def columns_set(row: Any, /, **values: Any) -> None:
    """Set on a row what `advance_many` has stored of it; call it when that is committed."""
    for name, value in values.items():
        setattr(row, name, value)


def _columns_copy(row: Any, found: Any) -> None:
    """Copy the columns of a newer read onto a row, except those it deferred."""
    deferred = row.get_deferred_fields()
    for field in row._meta.concrete_fields:
        if field.attname in deferred:
            continue
        value = getattr(found, field.attname)
        if field.is_relation and value != getattr(row, field.attname) and field.is_cached(row):
            field.delete_cached_value(row)
        setattr(row, field.attname, value)
    for relation in row._meta.related_objects:
        if relation.is_cached(row):
            relation.delete_cached_value(row)
    row._prefetched_objects_cache = {}


def advance_many(
    model: Any, event: str, rows: Mapping[Any, Mapping[str, Any]], /, *, returning: str, **data: Any
) -> dict[Any, Any]:
    """Move many rows one step along the table of their model with one UPDATE.

    `rows` maps primary keys to the data that comes with the event, all of one shape and as the columns hold
    it; `data` is the same for every row.  Only rows whose state knows the event move: returns their keys with
    the field `returning`, and a caller for whom a missing one matters rolls back.  Run it in a transaction.

    Raises ValueError for an event that leads to different states.
    """
    sources = [state for state, steps in model.TRANSITIONS.items() if event in steps]
    targets = {model.TRANSITIONS[state][event] for state in sources}
    if len(targets) != 1:
        raise ValueError(f"the event {event} leads to {sorted(targets)}: one state was expected")
    if not rows:
        return {}
    meta, quote = model._meta, connection.ops.quote_name
    first = next(iter(rows.values()))
    coded_names = [name for name in with_codes(model, first) if name not in first]
    if coded_names:
        rows = {key: _coded(model, columns) for key, columns in rows.items()}
    data = with_codes(model, {"state": targets.pop(), **data})
    same = {meta.get_field(name): value for name, value in data.items()}
    each = [meta.pk, *(meta.get_field(name) for name in (*first, *coded_names))]
    value_rows = [[key, *columns.values()] for key, columns in rows.items()]
    # No injection: only the model's own column names and types go into the text.
    sets = ", ".join(f"{quote(field.column)} = %s" for field in same)
    sets += "".join(f", {quote(field.column)} = new.{quote(field.column)}" for field in each[1:])
    # Without the length: a cast to varchar(n) cuts silently, where an assignment raises an error.
    arrays = ", ".join(f"%s::{field.db_type(connection).partition('(')[0]}[]" for field in each)
    names = ", ".join(quote(field.column) for field in each)
    table, pk, state = quote(meta.db_table), quote(meta.pk.column), quote("state")
    statement = (
        f"UPDATE {table} AS old SET {sets} FROM unnest({arrays}) AS new({names})"  # noqa: S608
        f" WHERE old.{pk} = new.{pk} AND old.{state} = ANY(%s)"
        f" RETURNING old.{pk}, old.{quote(meta.get_field(returning).column)}"
    )
    values = [
        *(field.get_db_prep_save(value, connection) for field, value in same.items()),
        *map(list, zip(*value_rows, strict=True)),
        sources,
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return dict(cursor.fetchall())


def _coded(model: Any, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row's columns and the codes of its reasons, as the database takes them."""
    found = with_codes(model, columns)
    for name in reason_columns(model).keys() & columns.keys():
        for column in (name, name + CODED):
            found[column] = model._meta.get_field(column).get_db_prep_save(found[column], connection)
    return found
