import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;

/**
 * Single events, for the peers in Java: Avro's own generic reader, with a reader's schema of the fields that the windows
 * need. It skips the rest, which is the fastest that it offers. One for each thread.
 */
public final class EventDecoder {
    private static final int GOOD = 1;
    private static final int FRAME_BYTES = 10; // Avro single-object encoding: C3 01 and the fingerprint
    private static final String NEEDED =
            """
            {"type": "record", "name": "TelemetryEvent", "namespace": "tocsin", "fields": [
              {"name": "time_ms", "type": "long"}, {"name": "value", "type": "double"}, {"name": "outcome", "type": "int"}]}
            """;

    private final GenericDatumReader<GenericRecord> reader;
    private BinaryDecoder decoder;
    private GenericRecord last;

    public EventDecoder(Schema written) {
        reader = new GenericDatumReader<>(written, new Schema.Parser().parse(NEEDED));
    }

    /** A new event, without its key. */
    public Event event(byte[] data) {
        try {
            decoder = DecoderFactory.get().binaryDecoder(data, FRAME_BYTES, data.length - FRAME_BYTES, decoder);
            last = reader.read(last, decoder);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        Event found = new Event();
        found.timeMs = (Long) last.get(0);
        found.value = (Double) last.get(1);
        found.good = (Integer) last.get(2) == GOOD;
        return found;
    }
}
