"""Set-up shared by both services."""
from jaeger_client import Config


def init_tracer(service):
    config = Config(
        config={
            'sampler': {'type': 'const', 'param': 1},
            'tags': {'deployment': 'sample'},
            'reporter_flush_interval': 0.1,
        },
        service_name=service,
        validate=True,
    )
    return config.initialize_tracer()
