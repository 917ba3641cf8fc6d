"""Access: how a process gets to Kafka, out of its settings, and what it means when Kafka refuses. Knows no other room."""
