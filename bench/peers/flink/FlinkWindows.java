import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.atomic.LongAdder;
import org.apache.avro.Schema;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * A peer: Flink's DataStream API on its embedded cluster, doing the same work.
 *
 * <p>Its own idiom: Kafka source and sink, key by the record's key, event-time windows with bounded disorder, state on the
 * heap with a checkpoint to disk each second, objects reused between operators. It reads to the end of the topic, where
 * the last windows close. It goes through the topic once before it counts. Prints a line of JSON five times a second with
 * the events done, until it is killed. It refuses to be clever.
 */
public final class FlinkWindows {
    static final Duration WINDOW = Duration.ofSeconds(10);
    static final Duration GRACE = Duration.ofSeconds(5);
    static final long CHECKPOINT_MS = 1_000; // as often as Tocsin's checkpoints
    static final long REPORT_MS = 200;
    static final LongAdder DONE = new LongAdder(); // one process has the whole cluster

    static final class Reading implements KafkaRecordDeserializationSchema<Event> {
        private transient EventDecoder decoder;

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Event> out) {
            if (decoder == null) {
                decoder = new EventDecoder(written());
            }
            Event event = decoder.event(record.value());
            event.key = new String(record.key(), StandardCharsets.UTF_8);
            out.collect(event);
        }

        @Override
        public TypeInformation<Event> getProducedType() {
            return TypeInformation.of(Event.class);
        }
    }

    static final class Folding implements AggregateFunction<Event, Cell, Cell> {
        @Override
        public Cell createAccumulator() {
            return new Cell();
        }

        @Override
        public Cell add(Event event, Cell cell) {
            DONE.increment();
            return cell.fold(event);
        }

        @Override
        public Cell getResult(Cell cell) {
            return cell;
        }

        @Override
        public Cell merge(Cell one, Cell other) {
            throw new UnsupportedOperationException("tumbling windows do not merge");
        }
    }

    /** A key and its window's JSON. */
    public static final class Result {
        public String key;
        public String json;
    }

    static final class Telling extends ProcessWindowFunction<Cell, Result, String, TimeWindow> {
        @Override
        public void process(String key, Context context, Iterable<Cell> cells, Collector<Result> out) {
            for (Cell cell : cells) {
                Result result = new Result();
                result.key = key;
                result.json = cell.json(context.window().getStart());
                out.collect(result);
            }
        }
    }

    static final class Writing implements KafkaRecordSerializationSchema<Result> {
        private final String topic;

        Writing(String topic) {
            this.topic = topic;
        }

        @Override
        public ProducerRecord<byte[], byte[]> serialize(Result result, KafkaSinkContext context, Long timestamp) {
            return new ProducerRecord<>(
                    topic,
                    result.key.getBytes(StandardCharsets.UTF_8),
                    result.json.getBytes(StandardCharsets.UTF_8));
        }
    }

    static Schema written() {
        try {
            return new Schema.Parser().parse(new File(System.getenv("BENCH_SCHEMA")));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** One pass through the topic, to its end. */
    static void pass(String results, String state) throws Exception {
        Configuration settings = new Configuration();
        settings.setString("state.backend.type", "hashmap");
        settings.setString("execution.checkpointing.storage", "filesystem");
        settings.setString("execution.checkpointing.dir", new File(state).toURI().toString());
        StreamExecutionEnvironment flink =
                StreamExecutionEnvironment.createLocalEnvironment(
                        Integer.parseInt(System.getenv("BENCH_THREADS")), settings);
        flink.enableCheckpointing(CHECKPOINT_MS);
        flink.getConfig().enableObjectReuse();
        KafkaSource<Event> source =
                KafkaSource.<Event>builder()
                        .setBootstrapServers(System.getenv("BENCH_BOOTSTRAP"))
                        .setTopics(System.getenv("BENCH_TOPIC"))
                        .setGroupId(System.getenv("BENCH_GROUP"))
                        .setStartingOffsets(OffsetsInitializer.earliest())
                        .setBounded(OffsetsInitializer.latest())
                        .setDeserializer(new Reading())
                        .build();
        KafkaSink<Result> sink =
                KafkaSink.<Result>builder()
                        .setBootstrapServers(System.getenv("BENCH_BOOTSTRAP"))
                        .setRecordSerializer(new Writing(results))
                        .build();
        WatermarkStrategy<Event> times =
                WatermarkStrategy.<Event>forBoundedOutOfOrderness(GRACE)
                        .withTimestampAssigner((event, timestamp) -> event.timeMs);
        flink.fromSource(source, times, "telemetry")
                .keyBy(event -> event.key)
                .window(TumblingEventTimeWindows.of(WINDOW))
                .aggregate(new Folding(), new Telling())
                .sinkTo(sink);
        flink.execute();
    }

    public static void main(String[] arguments) throws Exception {
        String state = System.getenv("BENCH_STATE");
        pass(System.getenv("BENCH_WARM_RESULTS"), state + "/warm");
        DONE.reset();
        Thread telling = new Thread(FlinkWindows::tell);
        telling.start();
        pass(System.getenv("BENCH_RESULTS"), state + "/counted");
        telling.join();
    }

    private static void tell() {
        while (true) {
            System.out.println("{\"done\": " + DONE.sum() + "}");
            try {
                Thread.sleep(REPORT_MS);
            } catch (InterruptedException error) {
                return;
            }
        }
    }
}
