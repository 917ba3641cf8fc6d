"""The demo: real recorded telemetry on a real broker, a scripted story, and an oracle that counts everything.

What: sources, story, ledger, audit, ideal, live view. Why: the promises of the project can be watched, and are checked
by code that shares nothing with the code under check. It refuses to stand in for a broker or a worker: both are real.
"""
