"""The process back end: one forked, locked-in child of CPython for each input of each program.

For people who want native speed or packages of their own, and say so. Weaker than WebAssembly: the wall is the Linux
kernel's system-call interface and CPython itself, not an instruction set without a way out. See
`docs/decisions/process-backend.md`.
"""
