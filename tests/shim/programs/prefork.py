"""A prefork server: the tracer is made and used before the fork, children trace on."""

import os
import sys

import opentracing
from jaeger_client import Config


def main(children):
    config = {"sampler": {"type": "const", "param": 1}}
    tracer = Config(config, service_name="prefork").initialize_tracer()
    with tracer.start_active_span("parent before"):
        pass
    pids = []
    for number in range(children):
        pid = os.fork()
        if not pid:
            with opentracing.tracer.start_active_span(f"child {number}"):
                pass
            tracer.close().result(10)
            os._exit(0)
        pids.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    with tracer.start_active_span("parent after"):
        pass
    sys.exit(any(statuses))


if __name__ == "__main__":
    main(int(sys.argv[1]))
