"""The Prometheus endpoint: WSGI, ASGI, a port of its own, storms and broken clients."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from bridge.metrics.endpoint import Endpoint, PortInUse
from bridge.metrics.exposition import OPENMETRICS, TEXT
from tests.servers.process import wait_until


def render(format_, names) -> bytes:
    return f"{'openmetrics' if format_.openmetrics else 'text'} {sorted(names)}".encode()


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(render)


def wsgi(endpoint, **environ):
    answer = {}

    def start_response(status, headers):
        answer.update(status=status, headers=dict(headers))

    answer["body"] = b"".join(endpoint.wsgi({"REQUEST_METHOD": "GET", **environ}, start_response))
    return answer


def asgi(endpoint, method="GET", query=b"", headers=()):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    scope = {"type": "http", "method": method, "query_string": query, "headers": headers}
    asyncio.run(endpoint.asgi(scope, receive, send))
    return sent


def test_wsgi_answers_a_scrape(endpoint):
    answer = wsgi(endpoint)
    assert (answer["status"], answer["body"]) == ("200 OK", b"text []")
    assert answer["headers"]["Content-Type"] == TEXT.content_type
    assert answer["headers"]["Content-Length"] == "7"


def test_wsgi_negotiates_compresses_and_filters(endpoint):
    answer = wsgi(
        endpoint,
        HTTP_ACCEPT="application/openmetrics-text",
        HTTP_ACCEPT_ENCODING="gzip",
        QUERY_STRING="name[]=a&name[]=b",
    )
    assert gzip.decompress(answer["body"]) == b"openmetrics ['a', 'b']"
    assert answer["headers"]["Content-Type"] == OPENMETRICS.content_type
    assert answer["headers"]["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [
        ("HEAD", "200 OK", b""),
        ("OPTIONS", "200 OK", b""),
        ("POST", "405 Method Not Allowed", b""),
    ],
)
def test_other_methods(endpoint, method, status, body):
    answer = wsgi(endpoint, REQUEST_METHOD=method)
    assert (answer["status"], answer["body"]) == (status, body)


def test_asgi_answers_the_same(endpoint):
    start, body = asgi(
        endpoint, query=b"name[]=a", headers=[(b"accept", b"application/openmetrics-text")]
    )
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"] == OPENMETRICS.content_type.encode()
    assert body["body"] == b"openmetrics ['a']"


def test_asgi_leaves_other_protocols_alone(endpoint):
    sent = []

    async def run():
        await endpoint.asgi({"type": "lifespan"}, None, sent.append)

    asyncio.run(run())
    assert sent == []


def test_asgi_does_not_hold_up_the_event_loop():
    def slow(format_, names):
        time.sleep(0.3)
        return b""

    async def run() -> int:
        ticks = 0
        task = asyncio.create_task(Endpoint(slow).asgi({"type": "http"}, None, _nothing))
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert asyncio.run(run()) > 5


async def _nothing(message):
    pass


@pytest.fixture
def server(endpoint):
    server = endpoint.serve("127.0.0.1", 0)
    yield server
    server.close()


def get(server, path="/metrics") -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
        return answer.read()


def test_a_port_of_its_own(server):
    assert get(server) == b"text []"


def test_a_taken_port_is_said_with_what_to_do(endpoint, server):
    with pytest.raises(PortInUse, match=r"port=0 .* or mount wsgi_app"):
        endpoint.serve("127.0.0.1", server.port)


def test_a_port_is_free_again_after_close(endpoint):
    first = endpoint.serve("127.0.0.1", 0)
    get(first)
    first.close()
    second = endpoint.serve("127.0.0.1", first.port)
    assert get(second) == b"text []"
    second.close()


def test_ipv6(endpoint):
    try:
        server = endpoint.serve("::1", 0)
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with urllib.request.urlopen(f"http://[::1]:{server.port}/", timeout=10) as answer:
        assert answer.read() == b"text []"
    server.close()


@pytest.mark.parametrize("sent", [b"", b"GET /met", b"rubbish\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_client_that_goes_away_disturbs_nobody(server, capfd, sent):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(sent)
    assert get(server) == b"text []"
    assert "Traceback" not in capfd.readouterr().err


def test_an_interrupted_large_scrape_disturbs_nobody(capfd):
    server = Endpoint(lambda format_, names: b"x" * 20_000_000).serve("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        client.recv(100)
    assert len(get(server)) == 20_000_000
    assert "Traceback" not in capfd.readouterr().err
    server.close()


def test_a_storm_of_scrapes_costs_two_renderings():
    rendered = []

    def slow(format_, names):
        if not rendered:  # the first is under way until all others wait
            wait_until(lambda: endpoint._render._waiting == 50)
        rendered.append(1)
        return b"x"

    endpoint = Endpoint(slow)
    server = endpoint.serve("127.0.0.1", 0)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(get(server))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.close()
    assert answers == [b"x"] * 50
    assert len(rendered) == 2


def test_a_scrape_never_shows_what_was_before_it():
    """A waiting scrape may share a rendering only if that began after it arrived."""
    value, begun = [0], threading.Event()

    def slow(format_, names):
        shown = value[0]
        begun.set()
        time.sleep(0.2)
        return b"%d" % shown

    endpoint = Endpoint(slow)
    first = threading.Thread(target=lambda: wsgi(endpoint))
    first.start()
    begun.wait()
    value[0] = 1
    assert wsgi(endpoint)["body"] == b"1"
    first.join()
