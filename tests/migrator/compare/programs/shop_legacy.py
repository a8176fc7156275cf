"""A program on jaeger-client: threads, kinds, an exception, a log without event, a reference."""

import threading

from jaeger_client import Config
from opentracing import Reference, ReferenceType

config = {
    "sampler": {"type": "const", "param": 1},
    "local_agent": {"reporting_host": "jaeger.production.invalid", "reporting_port": 6831},
    "tags": {"region": "north"},
}
tracer = Config(config, service_name="shop").initialize_tracer()


def pack(parent, number):
    with tracer.start_active_span("pack", child_of=parent) as scope:
        scope.span.set_tag("item", number)
        scope.span.log_kv({"event": "packed", "weight": number * 1.5})


with tracer.start_active_span("order") as order:
    order.span.set_tag("order.id", 7).set_tag("customer", "Ada")
    packers = [threading.Thread(target=pack, args=(order.span, n)) for n in range(4)]
    for packer in packers:
        packer.start()
    for packer in packers:
        packer.join()
    with tracer.start_active_span("pay", tags={"span.kind": "client"}) as pay:
        pay.span.set_tag("http.status_code", 200)
        with tracer.start_active_span("sign"):
            pass
    try:
        with tracer.start_active_span("ship") as ship:
            ship.span.log_kv({"message": "no driver yet"})
            raise LookupError("no driver")
    except LookupError:
        pass
    reference = Reference(ReferenceType.FOLLOWS_FROM, pay.span.context)
    with tracer.start_active_span("thank", references=[reference]):
        pass
with tracer.start_active_span("sweep"):
    pass
