"""A safety detector of one's own: flags responses that shout.

Install this folder (`pip install --no-deps --no-build-isolation docs/examples/own_detector`) and switch it on:

    azr train --config tiny safety.detectors=[shouting] safety.action=quarantine
"""

from __future__ import annotations

from azr.safety import Hit

#: So many capital letters in a row are shouting, not an acronym.
LONGEST_ACRONYM = 12


class Shouting:
    """Finds the first long run of capitals."""

    def find(self, text: str) -> Hit | None:
        """Where it is."""
        begun: int | None = None
        for place, letter in enumerate(text + "."):
            if letter.isupper() or (begun is not None and letter == " "):
                begun = place if begun is None else begun
                continue
            if begun is not None and place - begun > LONGEST_ACRONYM:
                return Hit(begun, place)
            begun = None
        return None
