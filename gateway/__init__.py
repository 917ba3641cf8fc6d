"""Gateway: HTTP in, Kafka out. See docs/rooms/gateway.md."""
