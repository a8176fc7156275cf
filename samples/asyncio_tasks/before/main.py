"""Three downloads at once under one parent, with asyncio."""
import asyncio

import opentracing
from jaeger_client import Config
from opentracing.scope_managers.contextvars import ContextVarsScopeManager


def init_tracer():
    config = Config(
        config={'sampler': {'type': 'const', 'param': 1}, 'logging': False},
        service_name='crawler',
        scope_manager=ContextVarsScopeManager(),
    )
    return config.initialize_tracer()


async def download(name, delay):
    with opentracing.tracer.start_active_span('download', tags={'page': name}) as scope:
        await asyncio.sleep(delay)
        scope.span.log_kv({'event': 'read', 'bytes': len(name)})
        await store(name)
        return len(name)


async def store(name):
    tracer = opentracing.global_tracer()
    with tracer.start_span('store', child_of=tracer.active_span) as span:
        span.set_tag('page', name)
        await asyncio.sleep(0.01)


async def crawl(pages):
    with opentracing.tracer.start_active_span('crawl') as scope:
        sizes = await asyncio.gather(*(download(p, 0.02 * i) for i, p in enumerate(pages)))
        scope.span.set_tag('bytes', sum(sizes))
        return sum(sizes)


async def main():
    tracer = init_tracer()
    print(await crawl(['index', 'about', 'contact']), 'bytes')
    await asyncio.sleep(2)
    tracer.close()


if __name__ == '__main__':
    asyncio.run(main())
