import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bridge.adapters.consul import (
    ConsulConnection,
    Health,
    HttpCheck,
    Service,
    ServiceRegistry,
    TcpCheck,
    TtlCheck,
)
from bridge.adapters.errors import Unavailable
from bridge.adapters.worker import State
from tests.servers.faults import TcpProxy
from tests.servers.process import free_port, wait_until
from tests.servers.watchers import no_leftovers


@pytest.fixture
def app():
    """A service with a health page that the test can turn bad."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.seen.append(dict(self.headers))
            self.send_response(server.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.seen = 200, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}/health"
    yield server
    server.shutdown()
    server.server_close()


def states_of(registry, name):
    return [instance.health for instance in registry.discover(name, healthy=False)]


def test_an_unknown_service_has_no_instances(registry, name, telemetry):
    assert registry.discover(name) == []
    span = telemetry.span(f"discover {name}")
    assert span.status.is_unset
    assert span.attributes["consul.instances.count"] == 0


def test_register_discover_and_deregister(registry, name, telemetry):
    service = Service(
        name,
        8080,
        address="10.0.0.7",
        tags=["blue"],
        meta={"team": "shop"},
        version="1.2.3",
        environment="staging",
    )
    with registry.register(service):
        (found,) = registry.discover(name)
        assert (found.address, found.port, found.tags) == ("10.0.0.7", 8080, ("blue",))
        assert (found.version, found.environment, found.meta["team"]) == (
            "1.2.3",
            "staging",
            "shop",
        )
        assert found.health is Health.PASSING
    assert registry.discover(name, healthy=False) == []
    assert {"register", "discover", "deregister"} <= {s.name.split()[0] for s in telemetry.spans()}
    assert telemetry.span(f"register {name}").attributes["service.peer.name"] == "consul"
    assert telemetry.span("deregister").attributes["consul.service.id"] == f"{name}-10.0.0.7-8080"


def test_without_an_address_callers_get_the_node_s(registry, name):
    with registry.register(Service(name, 8080)):
        assert registry.discover(name)[0].address == "127.0.0.1"


def test_a_restarted_process_takes_its_own_place(registry, name):
    with registry.register(Service(name, 8080)), registry.register(Service(name, 8080)):
        assert len(registry.discover(name)) == 1


def test_tags_narrow_the_search(registry, name):
    blue = Service(name, 1, id=name + "-1", tags=["blue", "eu"])
    green = Service(name, 2, id=name + "-2", tags=["green", "eu"])
    with registry.register(blue), registry.register(green):
        assert len(registry.discover(name, tags=["eu"])) == 2
        assert [i.port for i in registry.discover(name, tags=["eu", "green"])] == [2]


@pytest.mark.parametrize("consistency", ["default", "consistent", "stale"])
def test_consistency_reaches_the_server(own_agent, connect, name, consistency):
    registry = ServiceRegistry(connect(own_agent.port))
    registry.discover(name, consistency=consistency)
    ServiceRegistry(connect(own_agent.port, consistency=consistency)).discover(name)
    asked = own_agent.log().count(f"/v1/health/service/{name}?passing=1&{consistency}=1")
    assert asked == (0 if consistency == "default" else 2)


def test_an_http_check_passes_in_a_second_and_fails_with_the_app(registry, name, app):
    # an agent's shortest interval is 1 s; the first look comes at a random moment in it
    check = HttpCheck(app.url, interval=1.0, timeout=1.0, headers={"X-Probe": "consul"})
    with registry.register(Service(name, app.server_port, check=check)):
        wait_until(lambda: registry.discover(name), 3)
        assert app.seen[0]["User-Agent"] == "Consul Health Check"
        assert app.seen[0]["X-Probe"] == "consul"
        app.status = 429
        wait_until(lambda: states_of(registry, name) == [Health.WARNING])
        app.status = 500
        wait_until(lambda: states_of(registry, name) == [Health.CRITICAL])
        app.status = 200
        wait_until(lambda: states_of(registry, name) == [Health.PASSING])


def test_a_tcp_check_follows_the_port(registry, name, app):
    with TcpProxy(app.server_port) as proxy:
        check = TcpCheck("127.0.0.1", proxy.port, interval=0.1, timeout=1.0)
        with registry.register(Service(name, proxy.port, check=check)):
            wait_until(lambda: registry.discover(name))
            proxy.refuse()
            wait_until(lambda: states_of(registry, name) == [Health.CRITICAL])


def test_a_ttl_check_lives_by_our_heartbeats(registry, name, telemetry):
    with registry.register(Service(name, 1, check=TtlCheck(ttl=0.6))):
        wait_until(lambda: registry.discover(name))
        time.sleep(1.5)
        assert states_of(registry, name) == [Health.PASSING]
    assert telemetry.metric("adapter.heartbeats")[(("adapter.system", "consul"),)] >= 6
    heartbeats = [s for s in telemetry.spans() if "check" in s.name or "service get" in s.name]
    assert heartbeats == []


def test_a_ttl_check_expires_without_them(registry, connection, name):
    with registry.register(Service(name, 1, check=TtlCheck(ttl=0.5))) as registration:
        wait_until(lambda: registry.discover(name))
        registration._worker.stop()  # the process hangs
        wait_until(lambda: states_of(registry, name) == [Health.CRITICAL])


def test_a_ttl_check_reports_the_service_s_own_health(registry, name):
    health = [Health.PASSING]
    check = TtlCheck(ttl=0.3, health=lambda: health[0])
    with registry.register(Service(name, 1, check=check)):
        wait_until(lambda: states_of(registry, name) == [Health.PASSING])
        health[0] = Health.WARNING
        wait_until(lambda: states_of(registry, name) == [Health.WARNING])


def test_reporting_by_hand(registry, name):
    with registry.register(Service(name, 1, check=TtlCheck(ttl=30))) as registration:
        wait_until(lambda: states_of(registry, name) == [Health.PASSING])
        registration.report(Health.CRITICAL)
        assert states_of(registry, name) == [Health.CRITICAL]


def test_a_health_function_that_fails_is_seen_and_repeated(registry, name, telemetry):
    with registry.register(Service(name, 1, check=TtlCheck(1, lambda: 1 / 0))) as registration:
        wait_until(lambda: registration.state is State.LOST)
    assert any("ZeroDivisionError at" in line for line in telemetry.log.lines)


def test_a_deregistration_time_below_a_minute_is_refused(registry, name):
    check = TcpCheck("127.0.0.1", 1, deregister_after=30)
    with pytest.raises(ValueError, match="below 60 s"):
        registry.register(Service(name, 1, check=check))


def test_watch_tells_instances_as_they_come_and_go(registry, name):
    seen = []
    with registry.watch(name, seen.append):
        wait_until(lambda: seen == [[]])
        with registry.register(Service(name, 7)):
            wait_until(lambda: [i.port for i in seen[-1]] == [7])
        wait_until(lambda: seen[-1] == [])


def test_watch_tells_when_health_changes(registry, name):
    seen = []
    registration = registry.register(Service(name, 7, check=TtlCheck(30)))
    with registration, registry.watch(name, seen.append, healthy=False):
        wait_until(lambda: seen and [i.health for i in seen[-1]] == [Health.PASSING])
        registration.report(Health.WARNING)
        wait_until(lambda: [i.health for i in seen[-1]] == [Health.WARNING])


@pytest.mark.parametrize("check", [TtlCheck(0.6), None])
def test_a_restarted_agent_that_forgot_us_is_told_again(
    own_agent, connect, name, check, telemetry, monkeypatch
):
    monkeypatch.setattr("bridge.adapters.consul.registry.PRESENCE_INTERVAL", 0.2)
    registry = ServiceRegistry(connect(own_agent.port))
    changes = []
    with telemetry.tracer.start_as_current_span("startup") as startup:
        registration = registry.register(Service(name, 1, check=check), on_state=changes.append)
    wait_until(lambda: registry.discover(name))
    own_agent.restart()
    wait_until(lambda: registration.state is State.UP and registry.discover(name), 15)
    registration.close()
    assert [c.state for c in changes][-1] is State.STOPPED
    renewed = telemetry.span(f"consul registration {name} renewed")
    assert renewed.parent is None
    assert [link.context for link in renewed.links] == [startup.get_span_context()]
    again = telemetry.spans(f"register {name}")[-1]
    assert again.parent.span_id == renewed.context.span_id


def test_registering_without_an_agent_raises(connect, name):
    with pytest.raises(Unavailable):
        ServiceRegistry(connect(free_port())).register(Service(name, 1))


def test_a_service_may_start_before_the_agent(own_agent, connect, name):
    registry = ServiceRegistry(connect(own_agent.port))
    own_agent.kill()
    service = Service(name, 1, check=TtlCheck(1))
    with registry.register(service, required=False) as registration:
        wait_until(lambda: registration.state is State.LOST)
        own_agent.start()
        wait_until(lambda: registration.state is State.UP, 15)
        assert registry.discover(name)


def test_closing_without_an_agent_says_so_in_the_log(own_agent, connect, name, telemetry):
    registration = ServiceRegistry(connect(own_agent.port)).register(Service(name, 1))
    own_agent.kill()
    registration.close()
    assert any(f"{name} is still registered" in line for line in telemetry.log.lines)


def test_closing_the_connection_deregisters_and_leaves_nothing(agent, connect, registry, name):
    assert registry.discover(name) == []
    with no_leftovers():
        connection: ConsulConnection = connect(agent.port)
        ServiceRegistry(connection).register(Service(name, 1, check=TtlCheck(5)))
        connection.close()
    assert registry.discover(name, healthy=False) == []


def test_twenty_flaps_leave_one_heart_and_one_registration(agent, connect, registry, name):
    assert registry.discover(name) == []
    with no_leftovers(), TcpProxy(agent.port) as proxy:
        connection = connect(proxy.port)
        service = Service(name, 1, check=TtlCheck(0.3))
        registration = ServiceRegistry(connection).register(service)
        for _ in range(20):
            proxy.refuse()
            wait_until(lambda: registration.state is State.LOST)
            proxy.heal()
            wait_until(lambda: registration.state is State.UP)
        hearts = [t for t in threading.enumerate() if t.name == f"consul registration {name}"]
        assert len(hearts) == 1
        assert len(registry.discover(name)) == 1
        connection.close()
    assert registry.discover(name, healthy=False) == []
