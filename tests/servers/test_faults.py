import socket
import threading
import time

import pytest

from tests.servers.faults import TcpProxy
from tests.servers.watchers import no_leftovers


@pytest.fixture
def echo():
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer):
        with peer:
            try:
                while data := peer.recv(100):
                    peer.sendall(data)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo):
    with TcpProxy(echo) as made:
        yield made


def connect(proxy, timeout=0.3):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout)


def say(peer):
    peer.sendall(b"hello")
    return peer.recv(100)


def test_forwards(proxy):
    with connect(proxy) as peer:
        assert say(peer) == b"hello"


def test_latency(proxy):
    proxy.latency = 0.05
    with connect(proxy) as peer:
        began = time.monotonic()
        assert say(peer) == b"hello"
        assert time.monotonic() - began >= 0.1


def test_reset_cuts_and_a_new_connection_works(proxy):
    with connect(proxy) as peer:
        say(peer)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            peer.recv(100)
    with connect(proxy) as peer:
        assert say(peer) == b"hello"


def test_silence_keeps_the_connection_and_passes_nothing_until_healed(proxy):
    with connect(proxy) as peer:
        say(peer)
        proxy.silence()
        with pytest.raises(TimeoutError):
            say(peer)
    proxy.heal()
    with connect(proxy) as peer:
        assert say(peer) == b"hello"


def test_refuse_and_heal_on_the_same_port(proxy):
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.heal()
    with connect(proxy) as peer:
        assert say(peer) == b"hello"


def test_close_leaves_nothing(echo):
    with no_leftovers(), TcpProxy(echo) as proxy, connect(proxy) as peer:
        say(peer)


def test_leftovers_are_found():
    kept = []
    with pytest.raises(AssertionError, match="sockets"), no_leftovers(0.1):
        kept.append(socket.socket())
    kept[0].close()
