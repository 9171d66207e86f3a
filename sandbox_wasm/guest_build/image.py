"""Work on a snapshot's memory image: make its objects immortal.

Called by the build after the link. A reference count is written whenever an object is looked at, and each first write
to a page of the image costs a page fault and a copy, in every program. CPython leaves the count of immortal objects
alone, and all objects of the snapshot may be immortal: an instance lives for one program. `snapshot.publish` lists
them.

    … │ mark │ count │ address, address, …  │ …      ──►   refcount at each address := immortal; the list := zeros
"""

from __future__ import annotations

import numpy as np

#: What `snapshot.publish` writes before the count.
MARK = np.array([0x617A7221, 0x696D6D6F, 0x7274616C, 0x3A3A3A3A], dtype="<u4").tobytes()
#: `_Py_IMMORTAL_INITIAL_REFCNT` of CPython 3.14 where a pointer has 32 bits.
IMMORTAL = 5 << 28
#: A count above this is not that of an ordinary object: immortal already, or no count at all.
HIGHEST_ORDINARY = 1 << 27


def immortalise(image: bytes) -> tuple[bytes, int]:
    """The image with every listed object immortal and the list wiped, and how many objects that were."""
    start = image.find(MARK)
    if start < 0 or image.find(MARK, start + 1) >= 0:
        raise ValueError("the snapshot does not hold exactly one list of its objects")
    words = np.frombuffer(image + bytes(-len(image) % 4), dtype="<u4").copy()
    if start % 4:
        raise ValueError("the list of objects is not aligned")
    at = start // 4 + len(MARK) // 4
    count = int(words[at])
    addresses = words[at + 1 : at + 1 + count]
    if len(addresses) != count or (addresses % 4).any() or (addresses >= len(image)).any():
        raise ValueError("the list of objects is damaged")
    places = np.unique(addresses // 4)
    counts = words[places]
    mortal = places[(counts > 0) & (counts < HIGHEST_ORDINARY)]
    words[start // 4 : at + 1 + count] = 0
    words[mortal] = IMMORTAL
    return words.tobytes(), len(mortal)
