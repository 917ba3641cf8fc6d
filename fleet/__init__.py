"""What fleets of vehicles publish to Kafka, as telemetry and events of ours.

The pure part of the adapter for `teslamotors/fleet-telemetry`: its records in, framed records of the contract out. Time,
state and data are values; `streams.fleet` drives it.
"""
