"""Causal attention over packed sequences: one interface, one back end a file, chosen by what the machine has."""
