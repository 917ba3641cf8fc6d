"""The shell: Faust, Kafka, clocks, our own metrics. It carries the pure rooms' decisions out and decides nothing."""
