// A small service on jaeger-client for Node: takes part in a trace and says what it saw.
"use strict";
const http = require("http");
const jaeger = require("jaeger-client");
const { ZipkinB3TextMapCodec } = jaeger;
const { FORMAT_HTTP_HEADERS, Tags } = require("opentracing");

function reporter() {
  const agent = process.env.PEER_AGENT_BINARY;
  if (!agent) return new jaeger.NoopReporter();
  const [host, port] = agent.split(":");
  const UDPSender = require("jaeger-client/dist/src/reporters/udp_sender").default;
  return new jaeger.RemoteReporter(new UDPSender({ host, port: Number(port) }), {
    bufferFlushInterval: 100,
  });
}

const tracers = {};

function tracer(propagation, bits) {
  const key = `${propagation}/${bits}`;
  if (!tracers[key]) {
    const options = { traceId128bit: bits === "128" };
    const made = new jaeger.Tracer("peer-node", reporter(), new jaeger.ConstSampler(true), options);
    if (propagation === "b3") {
      const codec = new ZipkinB3TextMapCodec({ urlEncoding: true });
      made.registerInjector(FORMAT_HTTP_HEADERS, codec);
      made.registerExtractor(FORMAT_HTTP_HEADERS, codec);
    }
    tracers[key] = made;
  }
  return tracers[key];
}

const hex = (buffer) => (buffer ? buffer.toString("hex").replace(/^0+/, "") || "0" : "0");

function describe(span) {
  const context = span.context();
  return {
    trace_id: hex(context.traceId),
    span_id: hex(context.spanId),
    parent_id: hex(context.parentId),
    flags: context.flags,
    sampled: context.isSampled(),
    debug: context.isDebug(),
    baggage: { ...context.baggage },
  };
}

function get(url, headers) {
  return new Promise((resolve, reject) => {
    http
      .get(url, { headers }, (reply) => {
        let body = "";
        reply.on("data", (chunk) => (body += chunk));
        reply.on("end", () => resolve(JSON.parse(body)));
      })
      .on("error", reject);
  });
}

async function call(request) {
  const query = new URL(request.url, "http://localhost").searchParams;
  const t = tracer(query.get("propagation"), query.get("bits"));
  const parent = t.extract(FORMAT_HTTP_HEADERS, request.headers);
  const server = t.startSpan("serve", {
    childOf: parent || undefined,
    tags: { [Tags.SPAN_KIND]: Tags.SPAN_KIND_RPC_SERVER },
  });
  if (query.get("debug")) server.setTag(Tags.SAMPLING_PRIORITY, 1);
  for (const item of query.getAll("baggage")) {
    const cut = item.indexOf("=");
    server.setBaggageItem(item.slice(0, cut), item.slice(cut + 1));
  }
  const answer = { peer: "node", server: describe(server) };
  if (query.get("to")) {
    const client = t.startSpan("call", {
      childOf: server.context(),
      tags: { [Tags.SPAN_KIND]: Tags.SPAN_KIND_RPC_CLIENT },
    });
    const headers = {};
    t.inject(client.context(), FORMAT_HTTP_HEADERS, headers);
    answer.client = describe(client);
    answer.next = await get(query.get("to"), headers);
    client.finish();
  }
  server.finish();
  return answer;
}

http
  .createServer((request, response) => {
    call(request).then(
      (answer) => {
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify(answer));
      },
      (error) => {
        response.statusCode = 502;
        response.end(String(error.stack));
      }
    );
  })
  .listen(Number(process.env.PEER_PORT), "127.0.0.1");
