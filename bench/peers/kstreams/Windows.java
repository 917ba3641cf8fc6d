import java.io.File;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.avro.Schema;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.state.WindowStore;

/**
 * A peer: Kafka Streams in its own idiom (DSL, RocksDB window store with cache and changelog), doing the same work.
 *
 * <p>The record's key is the series, so that its windows need no repartition topic. A cell has a compact binary form;
 * results are the windows that changed, at each commit. It goes through the
 * topic once before it counts. Prints a line of JSON five times a second with the events done. It refuses to be clever.
 */
public final class Windows {
    static final long WINDOW_MS = 10_000;
    static final long GRACE_MS = 5_000;
    static final long REPORT_MS = 200;
    static final long GO_MS = 20;
    static final long CACHE_BYTES = 256L << 20;

    static final class CellSerde implements Serde<Cell>, Serializer<Cell>, Deserializer<Cell> {
        @Override
        public byte[] serialize(String topic, Cell cell) {
            if (cell == null) {
                return null;
            }
            ByteBuffer out = ByteBuffer.allocate(40 + 6 * cell.used);
            out.putLong(cell.count).putDouble(cell.sum).putDouble(cell.low).putDouble(cell.high).putLong(cell.good);
            for (int at = 0; at < cell.used; at++) {
                out.putShort(cell.buckets[at]).putInt(cell.counts[at]);
            }
            return out.array();
        }

        @Override
        public Cell deserialize(String topic, byte[] data) {
            if (data == null) {
                return null;
            }
            ByteBuffer in = ByteBuffer.wrap(data);
            Cell cell = new Cell();
            cell.count = in.getLong();
            cell.sum = in.getDouble();
            cell.low = in.getDouble();
            cell.high = in.getDouble();
            cell.good = in.getLong();
            int many = in.remaining() / 6;
            cell.buckets = new short[many + 4];
            cell.counts = new int[many + 4];
            for (; cell.used < many; cell.used++) {
                cell.buckets[cell.used] = in.getShort();
                cell.counts[cell.used] = in.getInt();
            }
            return cell;
        }

        @Override
        public Serializer<Cell> serializer() {
            return this;
        }

        @Override
        public Deserializer<Cell> deserializer() {
            return this;
        }

        @Override
        public void configure(Map<String, ?> settings, boolean isKey) {}

        @Override
        public void close() {}
    }

    static final class EventReader implements Deserializer<Event> {
        private final ThreadLocal<EventDecoder> own;

        EventReader(Schema written) {
            own = ThreadLocal.withInitial(() -> new EventDecoder(written));
        }

        @Override
        public Event deserialize(String topic, byte[] data) {
            return own.get().event(data);
        }
    }

    static final class EventTime implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return ((Event) record.value()).timeMs;
        }
    }

    static Properties settings() {
        Properties found = new Properties();
        found.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("BENCH_BOOTSTRAP"));
        found.put(StreamsConfig.STATE_DIR_CONFIG, System.getenv("BENCH_STATE"));
        found.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, System.getenv("BENCH_THREADS"));
        found.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, System.getenv("BENCH_GUARANTEE"));
        found.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000); // as often as Tocsin's checkpoints
        found.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, CACHE_BYTES);
        found.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        found.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        found.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        String session = System.getenv("BENCH_SESSION_S"); // absent: its own default
        if (session != null) {
            int sessionMs = (int) (1_000 * Double.parseDouble(session));
            found.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), sessionMs);
        }
        String client = System.getenv("BENCH_CLIENT");
        if (client != null) {
            found.put(StreamsConfig.CLIENT_ID_CONFIG, client);
        }
        return found;
    }

    static Topology topology(Schema written, LongAdder done, String results) {
        StreamsBuilder builder = new StreamsBuilder();
        Serde<Event> events = Serdes.serdeFrom((topic, event) -> null, new EventReader(written));
        builder.stream(
                        System.getenv("BENCH_TOPIC"),
                        Consumed.with(Serdes.String(), events).withTimestampExtractor(new EventTime()))
                .groupByKey(Grouped.with(Serdes.String(), events))
                .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMillis(WINDOW_MS), Duration.ofMillis(GRACE_MS)))
                .aggregate(
                        Cell::new,
                        (key, event, cell) -> {
                            done.increment();
                            return cell.fold(event);
                        },
                        Materialized.<String, Cell, WindowStore<Bytes, byte[]>>as("windows")
                                .withKeySerde(Serdes.String())
                                .withValueSerde(new CellSerde()))
                .toStream()
                .map((window, cell) -> KeyValue.pair(window.key(), cell.json(window.window().start())))
                .to(results, Produced.with(Serdes.String(), Serdes.String()));
        return builder.build();
    }

    static KafkaStreams started(Schema written, LongAdder done, String group, String results) {
        Properties settings = settings();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        KafkaStreams streams = new KafkaStreams(topology(written, done, results), settings);
        streams.setUncaughtExceptionHandler(
                error -> {
                    error.printStackTrace();
                    Runtime.getRuntime().halt(1);
                    return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
                });
        streams.start();
        return streams;
    }

    /** Once through the topic as another application (of this process alone), so that the compiler is warm when it counts. */
    static void warm(Schema written, long events) throws InterruptedException {
        LongAdder done = new LongAdder();
        String group = System.getenv("BENCH_GROUP") + "-warm-" + System.getenv().getOrDefault("BENCH_CLIENT", "");
        try (KafkaStreams streams = started(written, done, group, System.getenv("BENCH_WARM_RESULTS"))) {
            while (done.sum() < events) {
                Thread.sleep(REPORT_MS);
            }
        }
    }

    /** Says that it is warm, and waits until that file is there, so that processes of one group begin together. */
    static void awaited(String file) throws InterruptedException {
        if (file == null) {
            return;
        }
        System.out.println("{\"done\": 0, \"warm\": 1}");
        while (!new File(file).exists()) {
            Thread.sleep(GO_MS);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Schema written = new Schema.Parser().parse(new File(System.getenv("BENCH_SCHEMA")));
        long warming = Long.parseLong(System.getenv().getOrDefault("BENCH_WARM_EVENTS", "0"));
        if (warming > 0) {
            warm(written, warming);
        }
        awaited(System.getenv("BENCH_GO"));
        LongAdder done = new LongAdder();
        started(written, done, System.getenv("BENCH_GROUP"), System.getenv("BENCH_RESULTS"));
        while (true) {
            System.out.println("{\"done\": " + done.sum() + "}");
            Thread.sleep(REPORT_MS);
        }
    }
}
