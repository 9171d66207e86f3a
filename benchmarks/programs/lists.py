"""Programs on lists."""

from __future__ import annotations

from benchmarks.programs.template import Template, blanks, both, integer, integers, matrix, words

TEMPLATES = (
    Template(
        "rotate-and-filter",
        """
def f(numbers, by):
    by %= len(numbers)
    turned = numbers[by:] + numbers[:by]
    return [$keep for place, n in enumerate(turned) if n % $modulus != place % $modulus]
""",
        (
            {"keep": "n", "modulus": "3"},
            {"keep": "n * place", "modulus": "4"},
            {"keep": "(place, n)", "modulus": "2"},
            {"keep": "n - turned[0]", "modulus": "5"},
        ),
        both(integers(-50, 50), integer(1, 30)),
    ),
    Template(
        "longest-run",
        """
def f(numbers):
    best, current = [], []
    for n in numbers:
        if current and n $order current[-1]:
            current = current + [n]
        else:
            current = [n]
        if len(current) > len(best):
            best = current
    return best, sum(best)
""",
        blanks("order", ">", ">=", "<", "!="),
        integers(0, 30, 6, 20),
    ),
    Template(
        "subsequence",
        """
def f(numbers):
    n = len(numbers)
    length, before = [1] * n, [-1] * n
    for i in range(n):
        for j in range(i):
            if numbers[j] $order numbers[i] and length[j] + 1 > length[i]:
                length[i], before[i] = length[j] + 1, j
    at = max(range(n), key=lambda i: (length[i], $tie))
    chain = []
    while at >= 0:
        chain.append(numbers[at])
        at = before[at]
    return chain[::-1]
""",
        (
            {"order": "<", "tie": "-i"},
            {"order": "<=", "tie": "i"},
            {"order": ">", "tie": "numbers[i]"},
            {"order": "!=", "tie": "-numbers[i]"},
        ),
        integers(0, 40, 5, 16),
    ),
    Template(
        "transpose",
        """
def f(rows):
    columns = [list(column) for column in zip(*rows)]
    $step
    return columns, [sum(row) for row in columns]
""",
        blanks(
            "step",
            "columns = columns[::-1]",
            "columns = [sorted(column) for column in columns]",
            "columns.sort(key=sum)",
            "columns = [[-x for x in column] for column in columns if sum(column) % 2 == 0]",
        ),
        matrix(),
    ),
    Template(
        "spiral",
        """
def f(rows):
    rows = [list(row) for row in rows]
    path = []
    while rows:
        path += rows.pop(0)
        rows = [list(row) for row in zip(*rows)]$turn
    return path$result
""",
        (
            {"turn": "[::-1]", "result": ""},
            {"turn": "[::-1]", "result": "[::-1]"},
            {"turn": "", "result": ""},
            {"turn": "[::-1]", "result": "[::2]"},
        ),
        matrix(),
    ),
    Template(
        "sliding-window",
        """
from collections import deque

def f(numbers, size):
    size = size % len(numbers) + 1
    window, results = deque(), []
    for place, n in enumerate(numbers):
        while window and numbers[window[-1]] $order n:
            window.pop()
        window.append(place)
        if window[0] <= place - size:
            window.popleft()
        if place >= size - 1:
            results.append(numbers[window[0]]$change)
    return results
""",
        (
            {"order": "<=", "change": ""},
            {"order": ">=", "change": ""},
            {"order": "<=", "change": " - n"},
            {"order": ">", "change": " * size"},
        ),
        both(integers(-20, 20, 6, 20), integer(1, 6)),
    ),
    Template(
        "sort-by-hand",
        """
def f(items):
    items = list(items)
    swaps = 0
    for end in range(len(items) - 1, 0, -1):
        for place in range(end):
            if $key(items[place]) > $key(items[place + 1]):
                items[place], items[place + 1] = items[place + 1], items[place]
                swaps += 1
    return items, swaps
""",
        blanks("key", "len", "str", "(lambda w: w[-1])", "(lambda w: (len(w), w))"),
        words(4, 10),
    ),
    Template(
        "partition",
        """
def f(numbers, pivot):
    below = [n for n in numbers if n < pivot]
    equal = [n for n in numbers if n == pivot]
    above = [n for n in numbers if n > pivot]
    return {$result}
""",
        blanks(
            "result",
            "'below': below, 'equal': equal, 'above': above",
            "len(below): below[:2], -len(above): above[-2:]",
            "n: (n in below, n in above) for n in sorted(numbers)",
            "'gap': min(above, default=pivot) - max(below, default=pivot), 'equal': len(equal)",
        ),
        both(integers(0, 20), integer(3, 17)),
    ),
    Template(
        "pairs",
        """
def f(numbers, target):
    found = []
    for i, a in enumerate(numbers):
        for j in range(i + 1, len(numbers)):
            if (a $operation numbers[j]) % $modulus == target % $modulus:
                found.append((i, j))
    return found[:$most]
""",
        (
            {"operation": "+", "modulus": "7", "most": "10"},
            {"operation": "*", "modulus": "11", "most": "5"},
            {"operation": "-", "modulus": "5", "most": "8"},
            {"operation": "^", "modulus": "4", "most": "12"},
        ),
        both(integers(1, 60), integer(1, 40)),
    ),
)
