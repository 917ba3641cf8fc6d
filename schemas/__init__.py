"""The contract of Tocsin's topics: Avro schemas, records, codec, telemetry decoder, compatibility.

What: everything that two sides must agree on, and nothing else. Why: a reader and a writer that share one room cannot
drift. It refuses to know the other rooms, a clock, a socket or a log.
"""
