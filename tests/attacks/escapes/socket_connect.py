"""Calls a listener on the loopback interface."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no network.",
    bare="connected",
    program="""
import socket

def f(x):
    with socket.create_connection(("127.0.0.1", $PORT), timeout=1):
        return "called"
""",
)
