"""OTLP: OpenTelemetry's protocol over HTTP, as a way in."""
