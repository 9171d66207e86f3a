"""The half of the sandbox that runs inside the untrusted interpreter. Pure standard library; imports nothing of azr.

    request (bytes) ──► wire ──► handle ──┬─ run ─────► harness ── literals (arguments) ── values (result)
    response (bytes) ◄─ wire ◄────────────┼─ literal ─► literals ── values
                                          └─ inspect ─► syntax ── normal_form, complexity

The same files run on CPython in WebAssembly, frozen into a snapshot, and natively in a forked child of the process back
end. Import `handle`, call `install()` once in an interpreter that is given to the guest for good, then `handle()`.
Everything here may be hurt by the program it runs, so nothing it says is trusted: the host only compares texts.
"""
