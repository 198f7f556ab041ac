// SPDX-License-Identifier: BSD-2-Clause-Patent
// opentelemetry-cpp, for comparison; see bench.h. Built only where its packages are installed.

#include "bench.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <opentelemetry/context/propagation/text_map_propagator.h>
#include <opentelemetry/exporters/otlp/otlp_grpc_exporter_factory.h>
#include <opentelemetry/exporters/otlp/otlp_grpc_exporter_options.h>
#include <opentelemetry/exporters/otlp/otlp_http_exporter_factory.h>
#include <opentelemetry/exporters/otlp/otlp_http_exporter_options.h>
#include <opentelemetry/exporters/otlp/otlp_recordable.h>
#include <opentelemetry/exporters/otlp/otlp_recordable_utils.h>
#include <opentelemetry/metrics/provider.h>
#include <opentelemetry/metrics/sync_instruments.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>
#include <opentelemetry/sdk/metrics/export/periodic_exporting_metric_reader.h>
#include <opentelemetry/sdk/metrics/meter_provider.h>
#include <opentelemetry/sdk/metrics/push_metric_exporter.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/batch_span_processor_factory.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/samplers/always_off.h>
#include <opentelemetry/sdk/trace/samplers/always_on.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>
#include <opentelemetry/trace/provider.h>

namespace nostd = opentelemetry::nostd;
namespace trace = opentelemetry::trace;
namespace metrics = opentelemetry::metrics;
namespace sdktrace = opentelemetry::sdk::trace;
namespace sdkmetrics = opentelemetry::sdk::metrics;
namespace sdkcommon = opentelemetry::sdk::common;
namespace otlp = opentelemetry::exporter::otlp;
namespace context = opentelemetry::context;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace
{
std::atomic<uint64_t> exported{0}, lost{0};
std::atomic<uint64_t> kept{0};
std::shared_ptr<sdktrace::TracerProvider> provider;
nostd::shared_ptr<trace::Tracer> tracer;

/* Counts, and hands on to what it wraps; records as that one does. Without one it ignores OTLP records. */
struct Counting : sdktrace::SpanExporter
{
  std::unique_ptr<sdktrace::SpanExporter> inner;
  explicit Counting(std::unique_ptr<sdktrace::SpanExporter> e) : inner(std::move(e)) {}
  std::unique_ptr<sdktrace::Recordable> MakeRecordable() noexcept override
  {
    return inner ? inner->MakeRecordable() : std::unique_ptr<sdktrace::Recordable>(new otlp::OtlpRecordable);
  }
  sdkcommon::ExportResult Export(const nostd::span<std::unique_ptr<sdktrace::Recordable>> &spans) noexcept override
  {
    size_t n = spans.size();
    auto result = inner ? inner->Export(spans) : sdkcommon::ExportResult::kSuccess;
    (result == sdkcommon::ExportResult::kSuccess ? exported : lost) += n;
    return result;
  }
  bool ForceFlush(microseconds t) noexcept override { return inner ? inner->ForceFlush(t) : true; }
  bool Shutdown(microseconds t) noexcept override { return inner ? inner->Shutdown(t) : true; }
};

void open_provider(std::unique_ptr<sdktrace::SpanExporter> exporter, bool on)
{
  sdktrace::BatchSpanProcessorOptions options;
  options.max_queue_size = BENCH_QUEUE;
  options.max_export_batch_size = BENCH_BATCH;
  options.schedule_delay_millis = milliseconds(BENCH_DELAY_MS);
  std::unique_ptr<sdktrace::Sampler> sampler;
  if (on)
    sampler.reset(new sdktrace::AlwaysOnSampler);
  else
    sampler.reset(new sdktrace::AlwaysOffSampler);
  provider = std::make_shared<sdktrace::TracerProvider>(
      sdktrace::BatchSpanProcessorFactory::Create(
          std::unique_ptr<sdktrace::SpanExporter>(new Counting(std::move(exporter))), options),
      opentelemetry::sdk::resource::Resource::Create({{"service.name", "bench"}}), std::move(sampler));
  tracer = provider->GetTracer("bench", "1");
}

void setup_sampled() { open_provider(nullptr, true); }
void setup_unsampled() { open_provider(nullptr, false); }

void setup_no_sdk()
{
  provider.reset();
  tracer = trace::Provider::GetTracerProvider()->GetTracer("bench", "1");
}

void spans(uint64_t n)
{
  for (uint64_t i = 0; i < n; i++)
    bench_span(i);
}

/* ---- Metrics ---- */

struct NoMetrics : sdkmetrics::PushMetricExporter
{
  sdkcommon::ExportResult Export(const sdkmetrics::ResourceMetrics &) noexcept override
  {
    return sdkcommon::ExportResult::kSuccess;
  }
  sdkmetrics::AggregationTemporality GetAggregationTemporality(sdkmetrics::InstrumentType) const noexcept override
  {
    return sdkmetrics::AggregationTemporality::kCumulative;
  }
  bool ForceFlush(microseconds) noexcept override { return true; }
  bool Shutdown(microseconds) noexcept override { return true; }
};

std::shared_ptr<sdkmetrics::MeterProvider> meters;
nostd::unique_ptr<metrics::Counter<uint64_t>> counter;
nostd::unique_ptr<metrics::Histogram<double>> histogram;

void setup_metrics()
{
  provider.reset();
  if (meters)
    return;
  meters = std::make_shared<sdkmetrics::MeterProvider>();
  sdkmetrics::PeriodicExportingMetricReaderOptions options;
  options.export_interval_millis = milliseconds(600000);
  options.export_timeout_millis = milliseconds(10000);
  meters->AddMetricReader(std::shared_ptr<sdkmetrics::MetricReader>(new sdkmetrics::PeriodicExportingMetricReader(
      std::unique_ptr<sdkmetrics::PushMetricExporter>(new NoMetrics), options)));
  auto meter = meters->GetMeter("bench");
  counter = meter->CreateUInt64Counter("counter");
  histogram = meter->CreateDoubleHistogram("histogram");
}

void counter_adds(uint64_t n)
{
  for (uint64_t i = 0; i < n; i++)
    counter->Add(1, {{"rpc.method", "Score"}, {"rpc.status", "OK"}});
}

void histogram_records(uint64_t n)
{
  for (uint64_t i = 0; i < n; i++)
    histogram->Record((double)(i & 1023), {{"rpc.method", "Score"}, {"rpc.status", "OK"}}, context::Context{});
}

/* ---- Propagation ---- */

struct Carrier : context::propagation::TextMapCarrier
{
  nostd::string_view Get(nostd::string_view key) const noexcept override
  {
    return key == "traceparent" ? nostd::string_view(BENCH_TRACEPARENT) : nostd::string_view("");
  }
  void Set(nostd::string_view, nostd::string_view value) noexcept override { kept += (uint8_t)value[0]; }
};

void setup_propagation() { provider.reset(); }

void extracts(uint64_t n)
{
  trace::propagation::HttpTraceContext propagator;
  Carrier carrier;
  context::Context root;
  for (uint64_t i = 0; i < n; i++)
  {
    auto got = propagator.Extract(carrier, root);
    kept += got.HasKey(trace::kSpanKey);
  }
}

void injects(uint64_t n)
{
  trace::propagation::HttpTraceContext propagator;
  Carrier carrier;
  context::Context root;
  auto with_span = propagator.Extract(carrier, root);
  for (uint64_t i = 0; i < n; i++)
    propagator.Inject(carrier, with_span);
}

/* ---- Encoding ---- */

/* Only the serialisation of a message that is there already: building it is part of recording here. */
opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest request;

void setup_encode()
{
  static const uint8_t trace_id[16] = {1, 2, 3}, span_id[8] = {4, 5};
  static auto resource = opentelemetry::sdk::resource::Resource::Create({});
  static auto scope = opentelemetry::sdk::instrumentationscope::InstrumentationScope::Create("bench", "1");
  std::vector<std::unique_ptr<sdktrace::Recordable>> list;

  provider.reset();
  for (int i = 0; i < BENCH_BATCH; i++)
  {
    std::unique_ptr<sdktrace::Recordable> r(new otlp::OtlpRecordable);
    r->SetIdentity(trace::SpanContext(trace::TraceId(trace_id), trace::SpanId(span_id), trace::TraceFlags(1), false),
                   trace::SpanId());
    r->SetName(BENCH_SPAN);
    r->SetSpanKind(trace::SpanKind::kInternal);
    r->SetResource(resource);
    r->SetInstrumentationScope(*scope);
    r->SetStartTime(opentelemetry::common::SystemTimestamp(std::chrono::nanoseconds(1700000000000000000)));
    r->SetDuration(std::chrono::nanoseconds(1000));
    r->SetAttribute(BENCH_KEY_ID, BENCH_ID);
    r->SetAttribute(BENCH_KEY_CODEC, BENCH_CODEC);
    r->SetAttribute(BENCH_KEY_FRAME, (int64_t)240);
    r->SetAttribute(BENCH_KEY_SCORE, BENCH_SCORE);
    list.push_back(std::move(r));
  }
  otlp::OtlpRecordableUtils::PopulateRequest({list.data(), list.size()}, &request);
}

void encodes(uint64_t n)
{
  for (uint64_t left = n; left; left -= left < BENCH_BATCH ? left : BENCH_BATCH)
  {
    std::string out;
    request.SerializeToString(&out);
    kept += out.size();
  }
}

std::unique_ptr<sdktrace::SpanExporter> otlp_exporter(bool grpc, unsigned port)
{
  if (grpc)
  {
    otlp::OtlpGrpcExporterOptions options;
    options.endpoint = "127.0.0.1:" + std::to_string(port);
    options.use_ssl_credentials = false;
    return otlp::OtlpGrpcExporterFactory::Create(options);
  }
  otlp::OtlpHttpExporterOptions options;
  options.url = "http://127.0.0.1:" + std::to_string(port) + "/v1/traces";
  return otlp::OtlpHttpExporterFactory::Create(options);
}
}  // namespace

extern "C" {
extern const BenchCase bench_cases[] = {
    {"no-sdk", setup_no_sdk, spans, 10000, 2},
    {"unsampled", setup_unsampled, spans, 10000, 2},
    {"span", setup_sampled, spans, 1000, 2},
    {"counter", setup_metrics, counter_adds, 10000, 2},
    {"histogram", setup_metrics, histogram_records, 10000, 2},
    {"extract", setup_propagation, extracts, 10000, 1},
    {"inject", setup_propagation, injects, 10000, 1},
    {"encode", setup_encode, encodes, 20 * BENCH_BATCH, 1},
    {nullptr, nullptr, nullptr, 0, 0},
};

void bench_span(uint64_t i)
{
  auto span = tracer->StartSpan(BENCH_SPAN);
  span->SetAttribute(BENCH_KEY_ID, BENCH_ID);
  span->SetAttribute(BENCH_KEY_CODEC, BENCH_CODEC);
  span->SetAttribute(BENCH_KEY_FRAME, (int64_t)i);
  span->SetAttribute(BENCH_KEY_SCORE, BENCH_SCORE);
  span->End();
}

void bench_settle(void)
{
  if (provider)
    provider->ForceFlush(seconds(60));
}

void bench_program_start(bool grpc, unsigned port)
{
  open_provider(otlp_exporter(grpc, port), true);
  trace::Provider::SetTracerProvider(nostd::shared_ptr<trace::TracerProvider>(provider));
}

void bench_program_stop(void)
{
  provider->Shutdown();
  trace::Provider::SetTracerProvider(nostd::shared_ptr<trace::TracerProvider>(new trace::NoopTracerProvider));
  provider.reset();
  if (exported != 1)
    exit(1);
}

void bench_export_open(bool grpc, unsigned port) { open_provider(otlp_exporter(grpc, port), true); }
uint64_t bench_exported(void) { return exported; }
uint64_t bench_lost(void) { return lost; }
void bench_flush(void) { provider->ForceFlush(seconds(60)); }
void bench_export_close(void) { provider->Shutdown(); }
}
