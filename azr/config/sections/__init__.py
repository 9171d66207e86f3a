"""One plain dataclass a file: the configuration of one part of azr.

A section imports only the standard library, so that reading a configuration never loads the part it configures. Every
field carries a docstring right below it; `azr config reference` prints them.
"""
