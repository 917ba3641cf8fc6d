"""Local: real Kafka and schema registry processes on this machine, for the demo, the tests and the benchmark.

What: a choice of broker (given, Docker, embedded) behind one context manager. Why: nothing in this project is
shown or proved against a fake broker, and nobody should have to install one. It refuses to be a deployment: one
node, loopback only, no security; `docker-compose.yml` and a real cluster are for that.
"""
