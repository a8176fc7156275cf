"""A service and its caller find each other in Consul: `python -m samples.discovery`."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from pathlib import Path

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

from bridge.adapters.consul import ConfigStore, ConsulConnection, ConsulSettings, ServiceRegistry
from samples import servers, tree
from samples.discovery.shop import Shop

tracer = trace.get_tracer("samples.discovery")


def main() -> None:
    spans = tree.record("discovery")
    local, serf, wan, rpc = servers.free_ports(4)

    def command(program: str) -> list[str]:
        ports = [f"-http-port={local}", f"-serf-lan-port={serf}", f"-serf-wan-port={wan}"]
        closed = ["-dns-port=-1", "-grpc-port=-1"]
        usage = subprocess.run([program, "agent", "-help"], capture_output=True, check=False)
        if b"-grpc-tls-port" in usage.stdout + usage.stderr:  # from 1.14 on
            closed.append("-grpc-tls-port=-1")
        return [program, "agent", "-dev", "-bind=127.0.0.1", f"-server-port={rpc}", *ports, *closed]

    def ready(is_local: bool) -> bool:
        port = local if is_local else 8500
        return servers.answers(f"http://127.0.0.1:{port}/v1/status/leader", ":")

    print("Starting Consul...")
    with servers.server(Path(__file__).parent, "consul", command, ready) as is_local:
        settings = ConsulSettings(port=local if is_local else 8500)
        with ConsulConnection(settings) as connection:
            play(connection)
    print(
        "\nThe traces (what belongs to a request hangs below it; what runs in the background is a"
    )
    print("root of its own, with <- to the span that began it):\n")
    tree.show(spans)


def play(connection: ConsulConnection) -> None:
    store, registry = ConfigStore(connection), ServiceRegistry(connection)
    store.put("config/shop/greeting", "Hello")
    with tracer.start_as_current_span("start of shop"):
        shop = Shop(connection)
    try:
        until(lambda: registry.discover("shop"))
        call(registry)
        entry = store.get("config/shop/greeting")
        store.compare_and_set("config/shop/greeting", "Good evening", entry.index)
        until(lambda: shop.config.text("config/shop/greeting") == "Good evening")
        call(registry)
        shop.database_up = False
        print("The shop's database goes down; Consul takes it out of discovery...")
        until(lambda: not registry.discover("shop"))
        call(registry)
    finally:
        shop.close()


def call(registry: ServiceRegistry) -> None:
    """One request: find an instance, call it, with the context in its headers."""
    with tracer.start_as_current_span("checkout"):
        instances = registry.discover("shop")
        if not instances:
            print("  caller: no healthy shop")
            return
        shop, headers = instances[0], {}
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT):
            propagate.inject(headers)
            url = f"http://{shop.address}:{shop.port}/greet"
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                print(f"  caller: shop {shop.version} says {answer.read().decode()!r}")


def until(condition) -> None:
    """Waits; without spans, or the trace would be full of them."""
    with tree.quiet():
        while not condition():
            time.sleep(0.1)


if __name__ == "__main__":
    main()
