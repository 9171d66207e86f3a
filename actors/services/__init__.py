"""The services: Ray actors that host the task buffers and the experience, and the clients that hide their shards."""
