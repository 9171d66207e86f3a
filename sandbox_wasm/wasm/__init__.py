"""The WebAssembly back end; `backend.WasmBackend` is what the pool makes."""
