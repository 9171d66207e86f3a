"""The command line: one module a sub-command, imported only when it is asked for.

A command module declares `SUMMARY`, `EPILOG` (examples), `add_arguments(parser)` and `run(arguments) -> int`;
`azr.cli.main` holds the table that names them all.
"""
