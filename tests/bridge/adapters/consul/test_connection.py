import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.instrumentation.requests import RequestsInstrumentor

from bridge.adapters.consul import (
    ConfigStore,
    ConsulConnection,
    ConsulSettings,
    Put,
    Service,
    ServiceRegistry,
)
from bridge.adapters.errors import (
    Closed,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    LeaseLost,
    NotFound,
    ServerFailed,
    TlsRefused,
    Unauthenticated,
    Unavailable,
)
from bridge.adapters.worker import State
from tests.servers import consul
from tests.servers.faults import TcpProxy
from tests.servers.process import free_port, wait_until
from tests.servers.watchers import no_leftovers


@pytest.fixture
def proxy(agent):
    with TcpProxy(agent.port) as made:
        yield made


def test_making_a_connection_asks_nothing():
    with no_leftovers():
        ConsulConnection(ConsulSettings(port=free_port())).close()


def test_settings_and_connection_show_no_secret(canaries):
    token = canaries.make("token")
    connection = ConsulConnection(ConsulSettings(token=token))
    assert token not in f"{connection} {connection!r} {connection.settings!r}"


def test_our_token_wins_over_the_environment_s(monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "from-the-environment")
    assert ConsulConnection().client.token == "from-the-environment"
    assert ConsulConnection(ConsulSettings(token="ours")).client.token == "ours"


def test_the_address_may_come_from_the_environment(monkeypatch, agent):
    monkeypatch.setenv("CONSUL_HTTP_ADDR", f"127.0.0.1:{agent.port}")
    with ConsulConnection() as connection:
        assert ConfigStore(connection).get("none") is None


def test_proxy_variables_are_not_used(monkeypatch, connect, agent):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert ConfigStore(connect(agent.port)).get("none") is None


def test_a_call_without_a_method_of_ours_is_traced_by_its_path(connection, telemetry):
    connection.client.catalog.nodes()
    span = telemetry.span("GET /v1/catalog")
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["service.peer.name"] == "consul"


def test_nobody_listens(connect, telemetry):
    with pytest.raises(Unavailable, match="consul get: the server cannot be reached"):
        ConfigStore(connect(free_port())).get("config/a")
    span = telemetry.span("get config/")
    assert span.attributes["error.type"] == "Unavailable"
    assert span.status.description == Unavailable.text


def test_a_server_that_hangs(own_agent, connect):
    store = ConfigStore(connect(own_agent.port, timeout=0.3))
    own_agent.pause()
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        store.get("config/a")
    assert time.monotonic() - began < 1.5
    own_agent.resume()
    assert store.get("config/a") is None


def test_a_half_open_connection(proxy, connect):
    store = ConfigStore(connect(proxy.port, timeout=0.3))
    store.get("config/a")
    proxy.silence()
    with pytest.raises(DeadlineExceeded):
        store.get("config/a")
    proxy.heal()
    assert store.get("config/a") is None


def test_calls_share_one_connection(agent, connect):
    with TcpProxy(agent.port) as proxy:
        store = ConfigStore(connect(proxy.port))
        for _ in range(10):
            store.get("config/a")
        assert proxy.connections == 1


def test_a_reset_connection_is_made_anew(proxy, connect):
    store = ConfigStore(connect(proxy.port))
    store.get("config/a")
    proxy.reset()
    with contextlib.suppress(Unavailable):  # the call that finds out; no call is repeated unasked
        store.get("config/a")
    assert store.get("config/a") is None


def test_data_survives_a_crash_and_the_connection_too(connect):
    with consul.durable() as server:
        store = ConfigStore(connect(server.port))
        store.put("config/a", "1")
        server.restart()
        # a plain read may come before the server has read its own log
        assert store.get("config/a", consistency="consistent").text == "1"


def test_after_close_every_call_says_so(connect, agent):
    connection = connect(agent.port)
    connection.close()
    with pytest.raises(Closed):
        ConfigStore(connection).get("config/a")


def test_close_ends_a_call_under_way(proxy, connect):
    connection = connect(proxy.port, timeout=30.0)
    store = ConfigStore(connection)
    store.get("config/a")
    proxy.silence()
    errors = []

    def call():
        with pytest.raises(Closed) as caught:
            store.get("config/a")
        errors.append(caught.value)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    connection.close()
    thread.join(5)
    assert time.monotonic() - began < 1
    assert errors


def test_a_redirect_is_not_followed_with_our_token(agent, connect):
    class Redirect(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{agent.port}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(ServerFailed):
        ConfigStore(connect(server.server_port)).get("config/a")
    server.shutdown()
    server.server_close()


def test_a_session_s_calls_are_named_without_its_id(connection, telemetry):
    session = connection.client.session.create(ttl=10)
    connection.client.kv.put("locks/a", "x", acquire=session)
    connection.client.session.renew(session)
    connection.client.session.destroy(session)
    with pytest.raises(NotFound):
        connection.client.session.renew(session)
    with pytest.raises(LeaseLost):
        connection.client.kv.put("locks/b", "x", acquire=session)
    names = [span.name for span in telemetry.spans()]
    assert names == ["session create", "acquire locks/", "session destroy", "acquire locks/"]


def test_the_transport_s_own_spans_show_only_on_demand(connect, agent, telemetry):
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=telemetry.tracer_provider)
    try:
        ConfigStore(connect(agent.port)).get("config/a")
        assert [span.name for span in telemetry.spans()] == ["get config/"]
        ConfigStore(connect(agent.port, transport_spans=True)).get("config/a")
        transport = telemetry.span("GET")
        assert transport.parent.span_id == telemetry.spans("get config/")[-1].context.span_id
    finally:
        instrumentor.uninstrument()


# --- ACL


def test_a_token_may_what_its_policy_says(guarded, connect):
    store = ConfigStore(connect(guarded.port, token=guarded.reader))
    assert store.get("config/none") is None
    with pytest.raises(Forbidden):
        store.put("config/a", "1")


def test_an_unknown_token(guarded, connect, canaries, telemetry):
    token = canaries.watch("token", "ffffffff-0000-4000-8000-123456789abc")
    with pytest.raises(Unauthenticated):
        ConfigStore(connect(guarded.port, token=token)).put("config/a", "1")
    span = telemetry.span("put config/")
    assert span.attributes["error.type"] == "403"
    assert span.status.description == Unauthenticated.text


def test_transactions_send_the_token(guarded, connect):
    ConfigStore(connect(guarded.port, token=consul.MANAGEMENT)).transaction([Put("config/t", "1")])
    with pytest.raises(Forbidden):
        ConfigStore(connect(guarded.port, token=guarded.reader)).transaction([Put("config/t", "2")])


def test_registering_without_the_right(guarded, connect, name):
    with pytest.raises(Forbidden):
        ServiceRegistry(connect(guarded.port, token=guarded.reader)).register(Service(name, 1))


def test_a_watch_without_the_right_says_so_and_goes_on_when_it_may(guarded, connect):
    seen = []
    connection = connect(guarded.port, token="ffffffff-0000-4000-8000-123456789abc")
    with ConfigStore(connection).watch("config/w", seen.append) as watch:
        wait_until(lambda: watch.state is State.LOST)
        assert isinstance(watch.error, (Unauthenticated, Forbidden))
        ConfigStore(connect(guarded.port, token=consul.MANAGEMENT)).put("config/w", "1")
        connection.use_token(guarded.reader)
        wait_until(lambda: [event.value for event in seen] == [b"1"], 15)


# --- TLS


def test_mtls(tls_agent, certificates, connect):
    store = ConfigStore(connect(tls_agent.https_port, **consul.client_files(certificates[0])))
    store.put("config/a", "1")
    assert store.get("config/a").text == "1"


def test_a_watch_over_mtls_stops_in_under_a_second(tls_agent, certificates, connect):
    connection = connect(tls_agent.https_port, **consul.client_files(certificates[0]), wait=30.0)
    watch = ConfigStore(connection).watch("config/none", print)
    wait_until(lambda: watch.state is State.UP)
    time.sleep(0.5)
    began = time.monotonic()
    watch.close()
    assert time.monotonic() - began < 1
    assert watch.state is State.STOPPED


def test_without_a_client_certificate(tls_agent, certificates, connect):
    ca = consul.client_files(certificates[0])["ca"]
    with pytest.raises(TlsRefused):
        ConfigStore(connect(tls_agent.https_port, ca=ca)).get("config/a")


def test_with_the_wrong_ca(tls_agent, certificates, connect):
    with pytest.raises(TlsRefused):
        ConfigStore(connect(tls_agent.https_port, **consul.client_files(certificates[1]))).get(
            "config/a"
        )


def test_plain_http_to_a_tls_port(tls_agent, connect):
    with pytest.raises(InvalidRequest):
        ConfigStore(connect(tls_agent.https_port)).get("config/a")


# --- three servers


@pytest.fixture
def servers():
    with consul.cluster(3) as running:
        yield running


def put_when_it_can(store, key, value):
    """Repeats a put over an election."""

    def accepted():
        try:
            store.put(key, value)
        except Unavailable:
            return False
        return True

    wait_until(accepted, 30)


def test_without_a_quorum_stale_reads_work_and_consistent_ones_do_not(servers, connect):
    put_when_it_can(ConfigStore(connect(servers[0].port)), "config/a", "1")
    connection = connect(servers[2].port, timeout=2.0)
    store, registry = ConfigStore(connection), ServiceRegistry(connection)
    wait_until(lambda: store.get("config/a", consistency="stale"))
    wait_until(lambda: registry.discover("consul", healthy=False, consistency="stale"))
    servers[0].kill()
    servers[1].kill()
    assert store.get("config/a", consistency="stale").text == "1"
    assert registry.discover("consul", healthy=False, consistency="stale")
    with pytest.raises(Unavailable):
        store.get("config/a", consistency="consistent")
    with pytest.raises(Unavailable):
        registry.discover("consul", consistency="consistent")


def test_a_lost_leader_is_a_short_outage(servers, connect):
    leader = consul.leader_of(servers)
    follower = next(server for server in servers if server is not leader)
    store = ConfigStore(connect(follower.port, timeout=2.0))
    seen = []
    with store.watch("config/a", lambda event: seen.append(event.value)):
        put_when_it_can(store, "config/a", "1")
        wait_until(lambda: seen[-1:] == [b"1"], 20)
        leader.kill()
        put_when_it_can(store, "config/a", "2")
        wait_until(lambda: seen[-1] == b"2", 20)
    assert set(seen) == {b"1", b"2"}
