// A small service on io.jaegertracing: takes part in a trace and says what it saw.
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.jaegertracing.internal.JaegerSpan;
import io.jaegertracing.internal.JaegerSpanContext;
import io.jaegertracing.internal.JaegerTracer;
import io.jaegertracing.internal.propagation.B3TextMapCodec;
import io.jaegertracing.internal.reporters.NoopReporter;
import io.jaegertracing.internal.reporters.RemoteReporter;
import io.jaegertracing.internal.samplers.ConstSampler;
import io.jaegertracing.spi.Reporter;
import io.jaegertracing.thrift.internal.senders.UdpSender;
import io.opentracing.SpanContext;
import io.opentracing.propagation.Format;
import io.opentracing.propagation.TextMapAdapter;
import io.opentracing.tag.Tags;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

public class Peer {
  static final Gson GSON = new GsonBuilder().serializeNulls().create();

  static JaegerTracer tracer(String propagation, String bits) throws Exception {
    JaegerTracer.Builder builder =
        new JaegerTracer.Builder("peer-java")
            .withSampler(new ConstSampler(true))
            .withReporter(reporter());
    if ("128".equals(bits)) {
      builder.withTraceId128Bit();
    }
    if ("b3".equals(propagation)) {
      B3TextMapCodec codec = new B3TextMapCodec.Builder().build();
      builder.registerInjector(Format.Builtin.HTTP_HEADERS, codec);
      builder.registerExtractor(Format.Builtin.HTTP_HEADERS, codec);
    }
    return builder.build();
  }

  static Reporter reporter() throws Exception {
    String agent = System.getenv("PEER_AGENT");
    if (agent == null || agent.isEmpty()) {
      return new NoopReporter();
    }
    String[] parts = agent.split(":");
    UdpSender sender = new UdpSender(parts[0], Integer.parseInt(parts[1]), 0);
    return new RemoteReporter.Builder().withSender(sender).withFlushInterval(100).build();
  }

  static Map<String, Object> describe(JaegerSpan span) {
    JaegerSpanContext context = span.context();
    Map<String, String> baggage = new HashMap<>();
    context.baggageItems().forEach(item -> baggage.put(item.getKey(), item.getValue()));
    Map<String, Object> said = new LinkedHashMap<>();
    said.put("trace_id", context.getTraceId().replaceFirst("^0+", ""));
    said.put("span_id", Long.toHexString(context.getSpanId()));
    said.put("parent_id", Long.toHexString(context.getParentId()));
    said.put("flags", context.getFlags());
    said.put("sampled", context.isSampled());
    said.put("debug", context.isDebug());
    said.put("baggage", baggage);
    return said;
  }

  static Map<String, List<String>> query(URI uri) {
    Map<String, List<String>> query = new HashMap<>();
    String raw = uri.getRawQuery() == null ? "" : uri.getRawQuery();
    for (String pair : raw.split("&")) {
      String[] parts = pair.split("=", 2);
      String value = parts.length > 1 ? URLDecoder.decode(parts[1], StandardCharsets.UTF_8) : "";
      query.computeIfAbsent(parts[0], key -> new ArrayList<>()).add(value);
    }
    return query;
  }

  static Object call(HttpExchange exchange) throws Exception {
    Map<String, List<String>> query = query(exchange.getRequestURI());
    Map<String, String> headers = new HashMap<>();
    exchange.getRequestHeaders().forEach((name, values) -> headers.put(name, values.get(0)));
    Map<String, Object> answer = new LinkedHashMap<>();
    try (JaegerTracer tracer = tracer(first(query, "propagation"), first(query, "bits"))) {
      SpanContext parent =
          tracer.extract(Format.Builtin.HTTP_HEADERS, new TextMapAdapter(headers));
      JaegerSpan server =
          tracer
              .buildSpan("serve")
              .asChildOf(parent)
              .withTag(Tags.SPAN_KIND.getKey(), Tags.SPAN_KIND_SERVER)
              .start();
      if (first(query, "debug") != null) {
        Tags.SAMPLING_PRIORITY.set(server, 1);
      }
      for (String item : query.getOrDefault("baggage", List.of())) {
        String[] parts = item.split("=", 2);
        server.setBaggageItem(parts[0], parts[1]);
      }
      answer.put("peer", "java");
      answer.put("server", describe(server));
      if (first(query, "to") != null) {
        JaegerSpan client =
            tracer
                .buildSpan("call")
                .asChildOf(server)
                .withTag(Tags.SPAN_KIND.getKey(), Tags.SPAN_KIND_CLIENT)
                .start();
        Map<String, String> sent = new HashMap<>();
        tracer.inject(client.context(), Format.Builtin.HTTP_HEADERS, new TextMapAdapter(sent));
        answer.put("client", describe(client));
        answer.put("next", get(first(query, "to"), sent));
        client.finish();
      }
      server.finish();
    }
    return answer;
  }

  static JsonElement get(String url, Map<String, String> headers) throws Exception {
    HttpURLConnection connection = (HttpURLConnection) new URI(url).toURL().openConnection();
    headers.forEach(connection::setRequestProperty);
    byte[] body = connection.getInputStream().readAllBytes();
    return GSON.fromJson(new String(body, StandardCharsets.UTF_8), JsonElement.class);
  }

  static String first(Map<String, List<String>> query, String name) {
    return query.containsKey(name) ? query.get(name).get(0) : null;
  }

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(System.getenv("PEER_PORT"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext(
        "/call",
        exchange -> {
          byte[] body;
          int status = 200;
          try {
            body = GSON.toJson(call(exchange)).getBytes(StandardCharsets.UTF_8);
          } catch (Exception error) {
            status = 502;
            body = String.valueOf(error).getBytes(StandardCharsets.UTF_8);
          }
          exchange.sendResponseHeaders(status, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    server.start();
  }
}
