// A small service on jaeger-client-go: takes part in a trace and says what it saw.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/opentracing/opentracing-go"
	"github.com/opentracing/opentracing-go/ext"
	"github.com/uber/jaeger-client-go"
	"github.com/uber/jaeger-client-go/zipkin"
)

func tracer(propagation, bits string) opentracing.Tracer {
	options := []jaeger.TracerOption{jaeger.TracerOptions.Gen128Bit(bits == "128")}
	if propagation == "b3" {
		b3 := zipkin.NewZipkinB3HTTPHeaderPropagator()
		options = append(options,
			jaeger.TracerOptions.Injector(opentracing.HTTPHeaders, b3),
			jaeger.TracerOptions.Extractor(opentracing.HTTPHeaders, b3))
	}
	made, _ := jaeger.NewTracer("peer-go", jaeger.NewConstSampler(true), reporter(), options...)
	return made
}

func reporter() jaeger.Reporter {
	agent := os.Getenv("PEER_AGENT")
	if agent == "" {
		return jaeger.NewNullReporter()
	}
	sender, err := jaeger.NewUDPTransport(agent, 0)
	if err != nil {
		log.Fatal(err)
	}
	return jaeger.NewRemoteReporter(sender)
}

func describe(span opentracing.Span) map[string]any {
	context := span.Context().(jaeger.SpanContext)
	baggage := map[string]string{}
	context.ForeachBaggageItem(func(key, value string) bool {
		baggage[key] = value
		return true
	})
	return map[string]any{
		"trace_id":  strings.TrimLeft(context.TraceID().String(), "0"),
		"span_id":   fmt.Sprintf("%x", uint64(context.SpanID())),
		"parent_id": fmt.Sprintf("%x", uint64(context.ParentID())),
		"flags":     context.Flags(),
		"sampled":   context.IsSampled(),
		"debug":     context.IsDebug(),
		"baggage":   baggage,
	}
}

func call(response http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	t := tracer(query.Get("propagation"), query.Get("bits"))
	defer t.(io.Closer).Close()
	parent, err := t.Extract(opentracing.HTTPHeaders, opentracing.HTTPHeadersCarrier(request.Header))
	var options []opentracing.StartSpanOption
	if err == nil {
		options = append(options, ext.RPCServerOption(parent))
	}
	server := t.StartSpan("serve", options...)
	if query.Get("debug") != "" {
		ext.SamplingPriority.Set(server, 1)
	}
	for _, item := range query["baggage"] {
		key, value, _ := strings.Cut(item, "=")
		server.SetBaggageItem(key, value)
	}
	answer := map[string]any{"peer": "go", "server": describe(server)}
	if to := query.Get("to"); to != "" {
		client := t.StartSpan("call", opentracing.ChildOf(server.Context()), ext.SpanKindRPCClient)
		next, _ := http.NewRequest("GET", to, nil)
		_ = t.Inject(client.Context(), opentracing.HTTPHeaders, opentracing.HTTPHeadersCarrier(next.Header))
		answer["client"] = describe(client)
		reply, err := http.DefaultClient.Do(next)
		if err != nil {
			http.Error(response, err.Error(), http.StatusBadGateway)
			return
		}
		defer reply.Body.Close()
		var further any
		_ = json.NewDecoder(reply.Body).Decode(&further)
		answer["next"] = further
		client.Finish()
	}
	server.Finish()
	response.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(response).Encode(answer)
}

// binary extracts the binary context of the query, and answers with that of a child.
func binary(response http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	t := tracer("uber", "128")
	defer t.(io.Closer).Close()
	sent, err := base64.URLEncoding.DecodeString(query.Get("data"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	parent, err := t.Extract(opentracing.Binary, bytes.NewReader(sent))
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	span := t.StartSpan("child", opentracing.ChildOf(parent))
	var out bytes.Buffer
	_ = t.Inject(span.Context(), opentracing.Binary, &out)
	_ = json.NewEncoder(response).Encode(map[string]any{
		"server": describe(span),
		"data":   base64.URLEncoding.EncodeToString(out.Bytes()),
	})
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PEER_PORT"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/call", call)
	http.HandleFunc("/binary", binary)
	log.Fatal(http.Serve(listener, nil))
}
