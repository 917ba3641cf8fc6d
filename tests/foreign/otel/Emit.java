import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.exporter.otlp.http.metrics.OtlpHttpMetricExporter;
import io.opentelemetry.sdk.metrics.InstrumentSelector;
import io.opentelemetry.sdk.metrics.SdkMeterProvider;
import io.opentelemetry.sdk.metrics.View;
import io.opentelemetry.sdk.metrics.Aggregation;
import io.opentelemetry.sdk.metrics.export.AggregationTemporalitySelector;
import io.opentelemetry.sdk.metrics.export.PeriodicMetricReader;
import io.opentelemetry.sdk.resources.Resource;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** What tests/gateway/otlp/test_route.py records with the Python SDK, with the Java one: Emit URL delta|cumulative explicit|exponential. */
public final class Emit {
    private static final AttributeKey<String> ROUTE = AttributeKey.stringKey("route");

    public static void main(String[] told) {
        var exporter = OtlpHttpMetricExporter.builder()
            .setEndpoint(told[0])
            .setCompression("gzip")
            .setAggregationTemporalitySelector(
                told[1].equals("delta")
                    ? AggregationTemporalitySelector.deltaPreferred()
                    : AggregationTemporalitySelector.alwaysCumulative())
            .build();
        var provider = SdkMeterProvider.builder()
            .setResource(Resource.create(Attributes.of(
                AttributeKey.stringKey("service.name"), "shop",
                AttributeKey.stringKey("service.instance.id"), "shop-java")))
            .registerMetricReader(PeriodicMetricReader.builder(exporter).setInterval(Duration.ofHours(1)).build());
        if (told[2].equals("exponential")) {
            provider.registerView(
                InstrumentSelector.builder().setName("latency").build(),
                View.builder().setAggregation(Aggregation.base2ExponentialBucketHistogram()).build());
        }
        try (var running = provider.build()) {
            var meter = running.get("test");
            var orders = meter.counterBuilder("orders").build();
            var latency = meter.histogramBuilder("latency").setUnit("ms").build();
            var queue = meter.upDownCounterBuilder("queue").build();
            queue.add(3);
            for (int turn = 0; turn < 2; turn++) {
                for (int number = 0; number < 20; number++) {
                    orders.add(number % 4, Attributes.of(ROUTE, "/" + number % 2));
                    latency.record(turn * 20 + number);
                }
                if (!running.forceFlush().join(30, TimeUnit.SECONDS).isSuccess()) {
                    throw new IllegalStateException("not flushed");
                }
            }
            orders.add(7, Attributes.of(ROUTE, "/new"));
        }
    }
}
