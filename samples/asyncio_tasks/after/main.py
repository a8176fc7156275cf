"""Three downloads at once under one parent, with asyncio."""
import asyncio

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def init_tracer():
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: 'crawler'}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return trace.get_tracer(__name__)


async def download(name, delay):
    with trace.get_tracer(__name__).start_as_current_span('download', attributes={'page': name}) as span:
        await asyncio.sleep(delay)
        span.add_event('read', {'bytes': len(name)})
        await store(name)
        return len(name)


async def store(name):
    tracer = trace.get_tracer(__name__)
    with tracer.start_span('store', context=trace.set_span_in_context(trace.get_current_span())) as span:
        span.set_attribute('page', name)
        await asyncio.sleep(0.01)


async def crawl(pages):
    with trace.get_tracer(__name__).start_as_current_span('crawl') as span:
        sizes = await asyncio.gather(*(download(p, 0.02 * i) for i, p in enumerate(pages)))
        span.set_attribute('bytes', sum(sizes))
        return sum(sizes)


async def main():
    tracer = init_tracer()
    print(await crawl(['index', 'about', 'contact']), 'bytes')
    await asyncio.sleep(2)
    trace.get_tracer_provider().shutdown()


if __name__ == '__main__':
    asyncio.run(main())
