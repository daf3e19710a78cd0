"""Downloads are made while they are sent."""

from __future__ import annotations

from asgiref.sync import async_to_sync

from apps.dashboard.csv_export import CHUNK, csv_answer

ROWS = 10 * CHUNK


def test_asgi_sends_the_first_part_before_the_last_row_is_read():
    read = []

    def rows():
        for number in range(ROWS):
            read.append(number)
            yield (number, "=1+1")

    async def collect():
        parts, read_by_then = [], []
        async for part in csv_answer("x.csv", ("number", "text"), rows()):
            parts.append(part)
            read_by_then.append(len(read))
        return b"".join(parts), read_by_then

    whole, read_by_then = async_to_sync(collect)()

    assert read_by_then[0] < CHUNK + 1
    assert len(read_by_then) == ROWS // CHUNK + 1
    assert whole == csv_answer("x.csv", ("number", "text"), rows()).getvalue()
    assert whole.count(b"\n") == ROWS + 1


def test_file_that_was_cut_says_so_in_its_last_line(monkeypatch):
    monkeypatch.setattr("apps.dashboard.csv_export.CSV_MAX", 2)

    files = [csv_answer("x.csv", ("number",), ((number,) for number in range(rows))) for rows in (2, 3)]
    whole, cut = (file.getvalue().decode().splitlines() for file in files)

    assert whole == ["number", "0", "1"]
    assert cut == [*whole, '"CUT after 2 rows, there are more: narrow the filter"']
