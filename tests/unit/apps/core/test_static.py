from __future__ import annotations

import gzip

import pytest
from django.contrib.staticfiles import finders
from django.test import AsyncClient, Client

STYLE = "css/components.css"


def text_of(name: str) -> bytes:
    """A static file as it lies on the disk."""
    path = finders.find(name)
    assert isinstance(path, str)
    with open(path, "rb") as file:
        return file.read()


async def test_a_static_file_comes_whole_under_asgi_without_a_warning() -> None:
    answer = await AsyncClient().get(f"/static/{STYLE}")

    assert answer.status_code == 200
    assert not answer.streaming
    assert answer.content == text_of(STYLE)
    assert answer.headers["Content-Type"].startswith("text/css")


def test_a_file_that_the_browser_has_is_not_sent_again(client: Client) -> None:
    first = client.get(f"/static/{STYLE}")
    again = client.get(f"/static/{STYLE}", headers={"If-Modified-Since": first.headers["Last-Modified"]})

    assert (again.status_code, again.content) == (304, b"")


def test_a_part_is_sent_where_a_part_is_asked_for(client: Client) -> None:
    answer = client.get(f"/static/{STYLE}", headers={"Range": "bytes=3-9"})

    assert (answer.status_code, answer.content) == (206, text_of(STYLE)[3:10])


def test_the_head_alone_has_no_body(client: Client) -> None:
    answer = client.head(f"/static/{STYLE}")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(text_of(STYLE)))


@pytest.mark.django_db
def test_pages_and_styles_are_compressed_for_whoever_reads_that(client: Client) -> None:
    gzipped = {"Accept-Encoding": "gzip, br"}

    for path in ("/login/", f"/static/{STYLE}"):
        plain, small = client.get(path), client.get(path, headers=gzipped)
        assert "Content-Encoding" not in plain.headers
        assert small.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in small.headers["Vary"]
        assert len(small.content) == int(small.headers["Content-Length"]) < len(plain.content) / 2
    assert gzip.decompress(small.content) == plain.content == text_of(STYLE)
    part = client.get(f"/static/{STYLE}", headers={**gzipped, "Range": "bytes=0-999"})
    assert (part.status_code, part.content) == (206, text_of(STYLE)[:1000])
    for path in ("/api/schema/", "/metrics"):
        assert "Content-Encoding" not in client.get(path, headers=gzipped).headers
