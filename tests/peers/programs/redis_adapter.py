"""redis_opentracing against a real Redis: a command, a transaction, an error."""

import os

import redis
import redis_opentracing
from legacy_tracer import legacy_tracer

tracer = legacy_tracer("redis-app")
client = redis.StrictRedis(port=int(os.environ["REDIS_PORT"]))
redis_opentracing.init_tracing(tracer, trace_all_classes=False)
redis_opentracing.trace_client(client)

with tracer.start_active_span("root"):
    client.flushall()
    client.set("name", "ann")
    assert client.get("name") == b"ann"
    with client.pipeline() as pipe:
        pipe.lpush("list", 1)
        pipe.rpush("list", 2)
        assert pipe.execute() == [1, 2]
    try:
        client.lpush("name", 1)
    except redis.ResponseError:
        pass
    else:
        raise AssertionError("the command did not fail")
