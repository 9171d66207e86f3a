"""Lets two threads race for the answer."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: there are no threads.",
    bare="accepted",
    program="""
def f(x):
    threading = __import__("thread" + "ing")
    order = []
    threads = [threading.Thread(target=order.append, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return order
""",
    reasons=("error", "banned", "timeout"),
)
