"""The short way to urllib3 does what requests does; a server of our own tells what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from bridge.adapters.http import DirectSession
from tests.servers.process import free_port
from tests.servers.watchers import no_leftovers


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Echo

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.asked.append(
            (self.command, self.path, dict(self.headers), self.rfile.read(length))
        )
        if self.path == "/hangs":
            self.server.gate.wait(5)
        self.send_response(307 if self.path == "/moved" else 200)
        self.send_header("Location", "/here")
        self.send_header("Set-Cookie", "session=1")
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write("grün!".encode())

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_: object) -> None: ...


class Echo(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.gate = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    yield server
    server.gate.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["short", "usual"])
def session(request: pytest.FixtureRequest) -> Iterator[DirectSession]:
    """What holds for the short way holds for requests' own."""
    with DirectSession(usual=request.param == "usual") as made:
        yield made


def test_an_answer_has_status_headers_and_text(echo, session):
    answer = session.request("get", f"{echo.url}/a?b=1")
    answer.encoding = "utf-8"
    assert (answer.status_code, answer.text, answer.content) == (200, "grün!", "grün!".encode())
    assert answer.headers["content-length"] == "6"
    assert echo.asked[0][:2] == ("GET", "/a?b=1")


def test_bodies_are_text_bytes_or_json(echo, session):
    session.request("put", f"{echo.url}/a", data="grün")
    session.request("put", f"{echo.url}/a", data=b"\xff")
    session.request("post", f"{echo.url}/a", json={"a": 1})
    session.request("put", f"{echo.url}/a", data="")
    assert [body for *_, body in echo.asked] == ["grün".encode(), b"\xff", b'{"a": 1}', b""]
    assert echo.asked[2][2]["Content-Type"] == "application/json"
    assert echo.asked[3][2]["Content-Length"] == "0"


def test_a_path_may_hold_what_a_url_may_not(echo, session):
    session.request("get", f"{echo.url}/a b/ü?c=d e")
    assert echo.asked[0][1] == "/a%20b/%C3%BC?c=d%20e"


def test_parameters_and_streams_go_the_usual_way(echo, session):
    session.request("get", f"{echo.url}/a", params={"version": 2})
    with session.request("get", f"{echo.url}/b", stream=True) as answer:
        assert answer.raw.read() == "grün!".encode()
    assert [path for _, path, *_ in echo.asked] == ["/a?version=2", "/b"]


def test_a_redirect_is_followed_unless_forbidden(echo, session):
    assert session.request("get", f"{echo.url}/moved").url == f"{echo.url}/here"
    assert session.request("get", f"{echo.url}/moved", allow_redirects=False).status_code == 307


def test_no_cookie_is_kept_on_the_short_way(echo):
    with DirectSession() as session:
        session.request("get", f"{echo.url}/a")
        session.request("get", f"{echo.url}/a")
    assert "Cookie" not in echo.asked[1][2]


def test_one_connection_serves_many_requests_and_close_ends_it(echo):
    with no_leftovers(), DirectSession() as session:
        for _ in range(3):
            session.request("get", f"{echo.url}/a")
        (pool,) = session._pools.values()
        assert pool.num_connections == 1


def test_nobody_listens(session):
    with pytest.raises(requests.ConnectionError):
        session.request("get", f"http://127.0.0.1:{free_port()}/")


def test_nobody_answers_in_time(echo, session):
    with pytest.raises(requests.Timeout):
        session.request("get", f"{echo.url}/hangs", timeout=(1.0, 0.1))


def test_a_header_that_breaks_the_line_is_refused(echo, session):
    with pytest.raises(requests.exceptions.InvalidHeader):
        session.request("get", f"{echo.url}/a", headers={"X-Token": "a\r\nb: c"})
    assert echo.asked == []
