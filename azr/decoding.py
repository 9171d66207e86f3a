"""What reading somebody else's JSON can raise, under one name, so that no reader forgets a part of it.

msgspec says what is no JSON, or not of the form that was asked for. Strings that are no UTF-8 and brackets that are
nested deeper than Python counts come through it as Python's own errors.
"""

from __future__ import annotations

import msgspec

UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
