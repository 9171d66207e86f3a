"""Programs that call themselves."""

from __future__ import annotations

from benchmarks.programs.template import Template, blanks, both, integer, integers, matrix, words

TEMPLATES = (
    Template(
        "flatten",
        """
def f(rows):
    def flat(item, depth):
        if not isinstance(item, list):
            return [$leaf]
        return [x for inner in item for x in flat(inner, depth + 1)]
    return flat([rows, rows[0], 7], 0)
""",
        blanks("leaf", "item", "item * depth", "(depth, item)", "item % 3"),
        matrix(),
    ),
    Template(
        "permutations",
        """
def f(items, most):
    items = items[:$size]
    def arrange(rest):
        if not rest:
            return [[]]
        return [[one] + tail for i, one in enumerate(rest) for tail in arrange(rest[:i] + rest[i + 1:])]
    every = arrange(items)
    return len(every), [$shape for one in every[:most % 5 + 1]]
""",
        (
            {"size": "3", "shape": "''.join(one)"},
            {"size": "4", "shape": "one[0]"},
            {"size": "3", "shape": "one[::-1]"},
            {"size": "4", "shape": "len('-'.join(one))"},
        ),
        both(words(4, 7), integer(1, 20)),
    ),
    Template(
        "knapsack",
        """
from functools import lru_cache

def f(weights, room):
    @lru_cache(maxsize=None)
    def best(place, left):
        if place >= len(weights):
            return 0
        skip = best(place + 1, left)
        if weights[place] > left:
            return skip
        return max(skip, best(place + $step, left - weights[place]) + $value)
    return best(0, room), best.cache_info().misses
""",
        (
            {"step": "1", "value": "weights[place]"},
            {"step": "1", "value": "weights[place] ** 2 % 11"},
            {"step": "2", "value": "1"},
            {"step": "1", "value": "place + 1"},
        ),
        both(integers(1, 15, 4, 9), integer(5, 40)),
    ),
    Template(
        "edit-distance",
        """
def f(words):
    memo = {}
    def distance(a, b):
        if not a or not b:
            return len(a) + len(b)
        if (a, b) not in memo:
            same = distance(a[1:], b[1:])
            memo[a, b] = same if a[0] == b[0] else 1 + min(same$cost, distance(a[1:], b), distance(a, b[1:]))
        return memo[a, b]
    return [distance(a, b) for a, b in zip(words, words[1:])]$cut, len(memo)
""",
        (
            {"cost": "", "cut": ""},
            {"cost": " + 1", "cut": ""},
            {"cost": "", "cut": "[::-1]"},
            {"cost": " + 2", "cut": "[:3]"},
        ),
        words(3, 6),
    ),
    Template(
        "ackermann-like",
        """
def f(a, b):
    calls = 0
    def g(m, n):
        nonlocal calls
        calls += 1
        if m <= 0 or calls > 300:
            return n + $base
        if n <= 0:
            return g(m - 1, $reset)
        return g(m - 1, $inner)
    return g(a, b), calls
""",
        (
            {"base": "1", "reset": "1", "inner": "n - 1 + m"},
            {"base": "2", "reset": "2", "inner": "g(m - 1, n - 1)"},
            {"base": "m", "reset": "3", "inner": "n // 2"},
            {"base": "1", "reset": "m", "inner": "g(m - 2, n - 1) - 1"},
        ),
        both(integer(2, 9), integer(1, 9)),
    ),
    Template(
        "binary-search",
        """
def f(numbers, target):
    numbers = sorted(numbers)
    trail = []
    def search(low, high):
        if low >= high:
            return -1
        middle = (low + high) // $split
        middle = min(max(middle, low), high - 1)
        trail.append(numbers[middle])
        if numbers[middle] == target:
            return middle
        if numbers[middle] < target:
            return search(middle + 1, high)
        return search(low, middle)
    return search(0, len(numbers)), $trail
""",
        (
            {"split": "2", "trail": "trail"},
            {"split": "3", "trail": "len(trail)"},
            {"split": "2", "trail": "[abs(n - target) for n in trail]"},
            {"split": "1", "trail": "sum(trail)"},
        ),
        both(integers(0, 40, 6, 20), integer(0, 40)),
    ),
    Template(
        "expressions",
        """
def f(numbers):
    def build(items):
        if len(items) == 1:
            return items[0]
        half = len(items) // 2
        return ('$operator', build(items[:half]), build(items[half:]))
    def value(tree):
        if isinstance(tree, int):
            return tree
        _, left, right = tree
        return $value
    tree = build(numbers)
    return value(tree), str(tree).count('(')
""",
        (
            {"operator": "+", "value": "value(left) + value(right)"},
            {"operator": "-", "value": "value(left) - value(right)"},
            {"operator": "max", "value": "max(value(left), value(right))"},
            {"operator": "*", "value": "value(left) * value(right) % 1009"},
        ),
        integers(-20, 20, 3, 12),
    ),
    Template(
        "islands",
        """
def f(rows):
    height, width, seen = len(rows), len(rows[0]), set()
    def size(y, x):
        if not (0 <= y < height and 0 <= x < width) or (y, x) in seen or not rows[y][x] $land:
            return 0
        seen.add((y, x))
        return 1 + sum(size(y + dy, x + dx) for dy, dx in $steps)
    sizes = [size(y, x) for y in range(height) for x in range(width)]
    return sorted(n for n in sizes if n)
""",
        (
            {"land": "> 0", "steps": "((0, 1), (1, 0), (0, -1), (-1, 0))"},
            {"land": "% 2 == 0", "steps": "((0, 1), (1, 0), (0, -1), (-1, 0))"},
            {"land": "< 3", "steps": "((1, 1), (1, -1), (-1, 1), (-1, -1))"},
            {"land": "!= 0", "steps": "((0, 1), (0, -1))"},
        ),
        matrix(-4, 6),
    ),
)
