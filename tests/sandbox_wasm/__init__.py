"""The sandbox: guest, back ends, pool."""
