"""Fetches a page through the standard library's own client."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no network, and the client may not even be there.",
    bare="connected",
    program="""
import urllib.request

def f(x):
    try:
        return urllib.request.urlopen("http://127.0.0.1:$PORT/", timeout=0.3).read().decode()
    except TimeoutError:
        return "called"
""",
)
