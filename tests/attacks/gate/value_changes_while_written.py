"""Returns a list to which a finaliser adds as the call returns."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Accepted with the value it had, or refused; never a literal that does not read back.",
    bare="accepted",
    program="""
class Late:
    def __init__(self, bag):
        self.bag = bag

    def __del__(self):
        self.bag.append("late")

def f(x):
    bag = [x]
    Late(bag)
    return bag
""",
    reasons=("accepted",),
    outputs=("[3, 'late']",),
)
