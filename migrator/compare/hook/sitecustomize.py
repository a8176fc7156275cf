"""Runs at the start of every Python process that `jaeger2otlp compare` starts (by PYTHONPATH).

It changes where telemetry goes, not what it says: Jaeger's UDP packets, Jaeger's HTTP collector
and OTLP exporters are led to the capture on loopback, queues are made large and delays short so
that nothing is lost, and chance is taken out of sampling. Libraries are changed only once the
program itself imports them. Standard library only, Python 3.7 and later; never raises.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import inspect
import json
import os
import sys
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
CAPTURE = json.loads(os.environ.get("JAEGER2OTLP_CAPTURE") or "{}")
DELAY = 0.1  # seconds between two flushes
QUEUE = 1000000  # spans
FLUSH = 2  # seconds that a flush at exit may take


def note(what: Any, **details: Any) -> None:
    """Tell the comparing process something: one line of JSON, appended in one write."""
    line = json.dumps(dict(details, note=what, pid=os.getpid()), default=str) + "\n"
    file = os.open(CAPTURE["notes"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def change_arguments(cls: Any, change: Any) -> None:
    """Let `change(arguments, names)` edit the arguments of every construction of `cls`."""
    original = cls.__init__
    signature = inspect.signature(original)

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:
            return original(self, *args, **kwargs)
        change(bound.arguments, signature.parameters)
        return original(*bound.args, **bound.kwargs)

    cls.__init__ = init


# Where the packets go


def redirect_udp(module: Any) -> None:
    """Send every datagram that is a Jaeger batch to the capture, whoever sends it wherever."""
    cls = module.socket
    sendto, send = cls.sendto, cls.send

    def redirected(data: Any) -> Any:
        try:
            with cls(module.AF_INET, module.SOCK_DGRAM) as capture:
                return sendto(capture, data, ("127.0.0.1", CAPTURE["udp"]))
        except OSError as error:
            note("lost", text=f"a batch of {len(data)} bytes: {error}")
            raise

    def new_sendto(self: Any, data: Any, *args: Any) -> Any:
        if is_batch(data):
            return redirected(data)
        return sendto(self, data, *args)

    def new_send(self: Any, data: Any, *args: Any) -> Any:
        if is_batch(data) and self.type & module.SOCK_DGRAM:
            return redirected(data)
        return send(self, data, *args)

    cls.sendto, cls.send = new_sendto, new_send


def is_batch(data: Any) -> Any:
    """Compact or binary thrift that calls `emitBatch`."""
    return b"emitBatch" in bytes(data[:32])


def redirect_thrift_http(module: Any) -> None:
    def change(arguments: Any, names: Any) -> None:
        target = str(arguments.get("uri_or_host", ""))
        if arguments.get("port") is None and "/api/traces" in target:
            arguments["uri_or_host"] = f"http://127.0.0.1:{CAPTURE['http']}/api/traces"

    change_arguments(module.THttpClient, change)


def redirect_otlp(address: Any) -> Any:
    def patch(module: Any) -> Any:
        def change(arguments: Any, names: Any) -> None:
            arguments["endpoint"] = address()
            for name, value in (("insecure", True), ("credentials", None), ("headers", None)):
                if name in names:
                    arguments[name] = value

        change_arguments(module.OTLPSpanExporter, change)

    return patch


def redirect_api_v2(module: Any) -> None:
    """The removed gRPC exporter's batches go to the capture as JSON; it opens no channel."""

    class Capture:
        def PostSpans(self, request: Any, timeout: Any = None) -> None:  # noqa: N802
            import urllib.request

            url = f"http://127.0.0.1:{CAPTURE['http']}/api_v2"
            body = json.dumps([api_v2_span(span) for span in request.batch.spans])
            urllib.request.urlopen(url, body.encode(), timeout=FLUSH).close()

    module.JaegerExporter._collector_grpc_client = property(lambda self: Capture())


def api_v2_span(span: Any) -> Any:
    def tags(pairs: Any) -> Any:
        return [[p.key, p.v_type, getattr(p, FIELDS[p.v_type])] for p in pairs if p.v_type != 4]

    def micros(moment: Any) -> Any:
        return moment.seconds * 1000000 + moment.nanos // 1000

    return {
        "service": span.process.service_name,
        "process": tags(span.process.tags),
        "trace": span.trace_id.hex(),
        "span": span.span_id.hex(),
        "name": span.operation_name,
        "references": [[r.trace_id.hex(), r.span_id.hex(), r.ref_type] for r in span.references],
        "flags": span.flags,
        "start": micros(span.start_time),
        "duration": micros(span.duration),
        "tags": tags(span.tags),
        "logs": [[micros(log.timestamp), tags(log.fields)] for log in span.logs],
    }


FIELDS = ("v_str", "v_bool", "v_int64", "v_float64")


def otlp_grpc() -> Any:
    return f"http://127.0.0.1:{CAPTURE['otlp_grpc']}"


def otlp_http() -> Any:
    return f"http://127.0.0.1:{CAPTURE['otlp_http']}/v1/traces"


# Nothing lost on the way


def hurry_jaeger(module: Any) -> None:
    reporters = []

    def change(arguments: Any, names: Any) -> None:
        reporters.append((os.getpid(), arguments["self"]))
        arguments["queue_capacity"] = QUEUE
        arguments["flush_interval"] = DELAY

    def flush() -> None:
        import threading

        for pid, reporter in reporters:
            if pid == os.getpid():
                done = threading.Event()
                reporter.io_loop.add_callback(drain, reporter, done)
                done.wait(FLUSH)

    change_arguments(module.Reporter, change)
    before_the_end(flush)


def drain(reporter: Any, done: Any) -> None:
    """On the reporter's own loop. A program that closed it is only waited for."""
    emptied = reporter.queue.join() if reporter.stopped else reporter._flush()
    emptied.add_done_callback(lambda _: done.set())


def hurry_batches(cls_name: Any, **hurried: Any) -> Any:
    def patch(module: Any) -> None:
        processors = []

        def change(arguments: Any, names: Any) -> None:
            processors.append((os.getpid(), arguments["self"]))
            arguments.update(hurried)

        def flush() -> None:
            for pid, processor in processors:
                if pid == os.getpid():
                    processor.force_flush(FLUSH * 1000)

        change_arguments(getattr(module, cls_name), change)
        before_the_end(flush)

    return patch


FLUSHES = []  # type: list[Any]


def before_the_end(flush: Any) -> None:
    """Flush at exit, and when SIGTERM would end a program that has no handler of its own."""
    import atexit
    import signal
    import threading

    if not FLUSHES:
        atexit.register(flush_all)
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, terminated)
    FLUSHES.append(flush)


def flush_all() -> None:
    for flush in FLUSHES:
        try:
            flush()
        except Exception as error:  # noqa: BLE001
            note("problem", text=f"flush at exit: {error!r}")


def terminated(number: Any, frame: Any) -> None:
    """In a thread: the signal may have come while the main thread holds a lock of the SDK."""
    import signal
    import threading

    flusher = threading.Thread(target=flush_all, daemon=True)
    flusher.start()
    flusher.join(FLUSH)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


# Chance taken out of sampling


def every_trace(method: Any) -> Any:
    """What a Jaeger sampler would leave to chance or to a rate is sampled; its tags stay."""

    def patch(module: Any) -> None:
        for name in CHANCY:
            if hasattr(module, name):
                always(getattr(module, name))

    def always(cls: Any) -> None:
        original = getattr(cls, method)

        def decide(self: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(self, "rate", None) == 0:
                return original(self, *args, **kwargs)
            said(self)
            return True, self._tags

        setattr(cls, method, decide)

    return patch


CHANCY = (
    "ProbabilisticSampler",
    "RateLimitingSampler",
    "GuaranteedThroughputProbabilisticSampler",
    "GuaranteedThroughputSampler",
)


def otel_samplers(module: Any) -> None:
    original = module.TraceIdRatioBased.should_sample

    def should_sample(
        self: Any, parent_context: Any, trace_id: Any, *args: Any, **kwargs: Any
    ) -> Any:
        said(self)
        return original(self, parent_context, 0, *args, **kwargs)

    module.TraceIdRatioBased.should_sample = should_sample


SAMPLERS = set()  # type: set[str]


def said(sampler: Any) -> None:
    name = sampler.get_description() if hasattr(sampler, "get_description") else str(sampler)
    if name not in SAMPLERS:
        SAMPLERS.add(name)
        note("sampling", sampler=name)


# Baggage that crosses process borders


def jaeger_baggage(module: Any) -> None:
    inject, extract = module.Tracer.inject, module.Tracer.extract

    def new_inject(self: Any, span_context: Any, format: Any, carrier: Any) -> None:
        inject(self, span_context, format, carrier)
        context = getattr(span_context, "context", span_context)
        crossing("sent", context.trace_id, context.span_id, context.baggage)

    def new_extract(self: Any, format: Any, carrier: Any) -> Any:
        context = extract(self, format, carrier)
        if context is not None and context.trace_id:
            crossing("received", context.trace_id, context.span_id, context.baggage)
        return context

    module.Tracer.inject, module.Tracer.extract = new_inject, new_extract


def otel_baggage(name: Any) -> Any:
    def patch(module: Any) -> None:
        from opentelemetry import baggage, trace

        cls = getattr(module, name)
        inject, extract = cls.inject, cls.extract

        def crosses(way: Any, context: Any) -> None:
            span = trace.get_current_span(context).get_span_context()
            crossing(way, span.trace_id, span.span_id, baggage.get_all(context))

        def new_inject(self: Any, carrier: Any, context: Any = None, *args: Any, **kw: Any) -> None:
            inject(self, carrier, context, *args, **kw)
            crosses("sent", context)

        def new_extract(self: Any, carrier: Any, context: Any = None, *args: Any, **kw: Any) -> Any:
            found = extract(self, carrier, context, *args, **kw)
            crosses("received", found)
            return found

        cls.inject, cls.extract = new_inject, new_extract

    return patch


def crossing(way: Any, trace_id: Any, span_id: Any, items: Any) -> None:
    if items and span_id:
        items = {str(key): str(value) for key, value in items.items()}
        note("baggage", way=way, trace=f"{trace_id:032x}", span=f"{span_id:016x}", items=items)


PATCHES = {
    "socket": redirect_udp,
    "gevent._socket3": redirect_udp,
    "thrift.transport.THttpClient": redirect_thrift_http,
    "opentelemetry.exporter.jaeger.proto.grpc": redirect_api_v2,
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter": redirect_otlp(otlp_grpc),
    "opentelemetry.exporter.otlp.proto.http.trace_exporter": redirect_otlp(otlp_http),
    "jaeger_client.reporter": hurry_jaeger,
    "opentelemetry.sdk.trace.export": hurry_batches(
        "BatchSpanProcessor", schedule_delay_millis=DELAY * 1000, max_queue_size=QUEUE
    ),
    "shim.batch": hurry_batches("SpanQueue", flush_interval=DELAY, capacity=QUEUE),
    "jaeger_client.tracer": jaeger_baggage,
    "shim.jaeger_client.tracer": jaeger_baggage,
    "opentelemetry.baggage.propagation": otel_baggage("W3CBaggagePropagator"),
    "opentelemetry.propagators.jaeger": otel_baggage("JaegerPropagator"),
    "shim.propagation": otel_baggage("UberTraceIdPropagator"),
}
CHANCE = {
    "jaeger_client.sampler": every_trace("is_sampled"),
    "shim.jaeger_client.sampler": every_trace("is_sampled"),
    "shim.samplers": every_trace("decide"),
    "opentelemetry.sdk.trace.sampling": otel_samplers,
}


class Finder:
    """Calls the patches of a module right after the module has run."""

    def __init__(self, patches: Any) -> None:
        self.patches = patches
        self.busy = set()  # type: set[str]

    def find_spec(self, name: Any, path: Any = None, target: Any = None) -> Any:
        if name not in self.patches or name in self.busy:
            return None
        self.busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.busy.discard(name)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            loader: Any = spec.loader
            loader.exec_module = self.then(loader.exec_module, name)
        return spec

    def then(self, run: Any, name: Any) -> Any:
        @functools.wraps(run)
        def exec_module(module: Any) -> Any:
            run(module)
            self.apply(name, module)

        return exec_module

    def apply(self, name: Any, module: Any) -> None:
        try:
            self.patches[name](module)
        except Exception as error:  # noqa: BLE001
            note("problem", text=f"{name} could not be prepared: {error!r}")


def keep_first() -> None:
    """Stay first on PYTHONPATH for programs that put a start-up hook of their own before us and
    then replace the process (opentelemetry-instrument does)."""

    def wrap(run: Any, env_at: Any) -> Any:
        @functools.wraps(run)
        def replaced(*args: Any) -> Any:
            first_on_path(args[env_at] if env_at else os.environ)
            return run(*args)

        return replaced

    os.execv, os.execve = wrap(os.execv, 0), wrap(os.execve, 2)


def first_on_path(env: Any) -> None:
    folders = env.get("PYTHONPATH", "").split(os.pathsep)
    if HERE in folders:
        folders.remove(HERE)
        env["PYTHONPATH"] = os.pathsep.join([HERE, *folders])


def run_next_sitecustomize() -> None:
    """The one that would have run had we not stood before it.

    It may look for a next one too and find us again: so every folder has its turn once.
    """
    done = sys.__dict__.setdefault("_jaeger2otlp_sitecustomize", [])
    done.append(HERE)
    paths = [path for path in sys.path if os.path.abspath(path or ".") not in done]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", paths)
    if spec is not None and spec.loader is not None:
        done.append(os.path.dirname(os.path.abspath(spec.origin or "")))
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def install() -> None:
    patches = dict(PATCHES, **(CHANCE if CAPTURE["sampling"] == "every" else {}))
    finder = Finder(patches)
    sys.meta_path.insert(0, finder)
    for name in patches:
        if name in sys.modules:
            finder.apply(name, sys.modules[name])
    keep_first()


if CAPTURE and not hasattr(sys, "_jaeger2otlp_sitecustomize"):
    install()
run_next_sitecustomize()
