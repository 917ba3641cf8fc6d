import java.util.Arrays;

/** One series' window, for the peers in Java, folded in place. The histogram is sparse: sorted buckets and their counts. */
public final class Cell {
    private static final int HISTOGRAM_SCALE = 8; // buckets to a factor of two

    public long count;
    public double sum;
    public double low = Double.POSITIVE_INFINITY;
    public double high = Double.NEGATIVE_INFINITY;
    public long good;
    public int used;
    public short[] buckets = new short[16];
    public int[] counts = new int[16];

    public Cell fold(Event event) {
        double value = event.value;
        count++;
        sum += value;
        low = Math.min(low, value);
        high = Math.max(high, value);
        if (event.good) {
            good++;
        }
        bump((short) (value > 0 ? Math.ceil(Math.log(value) / Math.log(2) * HISTOGRAM_SCALE) - 1 : 0));
        return this;
    }

    private void bump(short bucket) {
        int at = Arrays.binarySearch(buckets, 0, used, bucket);
        if (at >= 0) {
            counts[at]++;
            return;
        }
        at = -at - 1;
        if (used == buckets.length) {
            buckets = Arrays.copyOf(buckets, used * 2);
            counts = Arrays.copyOf(counts, used * 2);
        }
        System.arraycopy(buckets, at, buckets, at + 1, used - at);
        System.arraycopy(counts, at, counts, at + 1, used - at);
        buckets[at] = bucket;
        counts[at] = 1;
        used++;
    }

    public String json(long startMs) {
        StringBuilder text = new StringBuilder(64 + 12 * used);
        text.append("{\"start_ms\": ").append(startMs).append(", \"count\": ").append(count);
        text.append(", \"sum\": ").append(sum).append(", \"low\": ").append(low).append(", \"high\": ").append(high);
        text.append(", \"good\": ").append(good).append(", \"histogram\": {");
        for (int at = 0; at < used; at++) {
            text.append(at == 0 ? "\"" : ", \"").append(buckets[at]).append("\": ").append(counts[at]);
        }
        return text.append("}}").toString();
    }
}
