"""The bar below a list: how many of its rows are picked, and what can be done to all of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkBar:
    """What `core/_bulk_bar.html` shows; `static/js/bulk_selection.js` counts in it."""

    label: str
    one: str
    """What follows the number of picked rows if it is 1."""
    many: str
    select_all: str
    """Picks all rows of the filter, those of other pages too."""
    all_selected: str
    action: str
    """Where the form goes if nothing of `acts` is pressed."""
    acts: tuple[tuple[str, str], ...]
    """Label and address of what can be done; empty for who may only read, or where nothing waits."""
    filter: tuple[tuple[str, str], ...]
    """Name and value of what all rows fit."""
    is_csv: bool = False
    """Whether `action` is the list as CSV, with a button of its own."""
    is_hidden: bool = False
    """Whether the bar appears only once a row is picked."""
