"""Takes over the time-out's signal, so that nobody can stop it any more."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="No time-out hangs on anything that the program can reach.",
    bare="hung",
    alarm=True,
    program="""
import signal

def f(x):
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    while True:
        pass
""",
    status=("error", "timeout"),
)
