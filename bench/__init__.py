"""Fixed workloads, fixed figures: what Tocsin does on this machine, beside what others do on the same work."""
