"""Runs untrusted Python: protocol, registry of back ends, worker pool, the WebAssembly and process back ends.

This package knows nothing of the rest of azr and imports none of it.
"""
