"""The back ends that attacks are run against, by the names in tests and tables."""

from __future__ import annotations

from sandbox_wasm.registry import Option

#: `wasm-fresh`: a brand-new instance a program. `wasm-restored`: one that was restored bit by bit. `process`: a forked
#: child, whose promise is weaker (`docs/security.md`).
BACKENDS = ("wasm-fresh", "wasm-restored", "process")


def options(name: str) -> tuple[str, dict[str, Option]]:
    """The registered back end behind the name, and its options."""
    if name == "process":
        return "process", {}
    return "wasm", {"instances": name.removeprefix("wasm-")}
