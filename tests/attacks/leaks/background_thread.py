"""Leaves a thread behind that changes things while later programs run."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="There are no threads; if there were, none would outlive its program.",
    clean="3",
    first="""
import builtins, threading, time

def f(x):
    def work():
        while True:
            builtins.len = lambda thing: 42
            time.sleep(0.001)

    threading.Thread(target=work, daemon=True).start()
    time.sleep(0.05)
    return 1
""",
    then="""
def f(x):
    return len("abc")
""",
)
