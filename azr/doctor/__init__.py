"""What works on this machine, what does not, and how to mend it; `azr doctor` prints it.

packages ─┐
machine  ─┼──► Finding(subject, level, found, mend) ──► table or JSON ──► exit status
sandbox  ─┤
deep     ─┘  (imports the heavy packages, each in a process of its own with a deadline)
"""

from azr.doctor.finding import Finding, Level
from azr.doctor.rounds import examine

__all__ = ["Finding", "Level", "examine"]
