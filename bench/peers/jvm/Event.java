/** What the windows need of an event. */
public final class Event {
    public String key;
    public long timeMs;
    public double value;
    public boolean good;
}
