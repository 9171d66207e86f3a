"""Programs on dictionaries and sets."""

from __future__ import annotations

from benchmarks.programs.template import Template, blanks, both, counts, integer, integers, sentence, words

TEMPLATES = (
    Template(
        "count-letters",
        """
from collections import Counter

def f(text):
    counted = Counter($what)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return $result
""",
        (
            {"what": "text.lower()", "result": "ranked[:3]"},
            {"what": "text.split()", "result": "dict(ranked)"},
            {"what": "len(word) for word in text.split()", "result": "[key for key, n in ranked if n == 1]"},
            {"what": "zip(text, text[1:])", "result": "''.join(a + b for (a, b), n in ranked[:4])"},
        ),
        sentence(),
    ),
    Template(
        "group-words",
        """
def f(words):
    groups = {}
    for word in words:
        groups.setdefault($key, []).append(word)
    return {key: $value for key, value in sorted(groups.items())}
""",
        (
            {"key": "word[0]", "value": "sorted(value)"},
            {"key": "len(word)", "value": "len(value)"},
            {"key": "''.join(sorted(word))", "value": "value[0]"},
            {"key": "sum(map(ord, word)) % 3", "value": "max(value)"},
        ),
        words(5, 14),
    ),
    Template(
        "invert",
        """
def f(table):
    turned = {}
    for name, number in table.items():
        turned.setdefault(number$reduce, []).append(name)
    return {number: $names for number, names in turned.items()}
""",
        (
            {"reduce": "", "names": "sorted(names)"},
            {"reduce": " % 5", "names": "len(names)"},
            {"reduce": " // 10", "names": "'+'.join(names)"},
            {"reduce": " > 20", "names": "min(names)"},
        ),
        counts(),
    ),
    Template(
        "merge",
        """
def f(left, right):
    merged = dict(left)
    for name, number in right.items():
        if name in merged:
            merged[name] = merged[name] $join number
        elif $accept:
            merged[name] = number
    return merged
""",
        (
            {"join": "+", "accept": "number > 10"},
            {"join": "-", "accept": "True"},
            {"join": "*", "accept": "name > 'm'"},
            {"join": "or", "accept": "number % 2"},
        ),
        both(counts(), counts()),
    ),
    Template(
        "budget",
        """
def f(stock, budget):
    bought, left = {}, budget
    for name in sorted(stock, key=$order):
        price = stock[name] + 1
        number = min(left // price, $most)
        if number:
            bought[name] = number
            left -= number * price
    return bought, left
""",
        (
            {"order": "stock.get", "most": "3"},
            {"order": "lambda name: -stock[name]", "most": "2"},
            {"order": "len", "most": "5"},
            {"order": "lambda name: (stock[name] % 7, name)", "most": "1"},
        ),
        both(counts(), integer(20, 200)),
    ),
    Template(
        "shared",
        """
def f(left, right):
    a, b = set(left), set(right)
    return sorted(a $operation b), len(a $other b), $test
""",
        (
            {"operation": "&", "other": "|", "test": "a <= b"},
            {"operation": "-", "other": "^", "test": "a.isdisjoint(b)"},
            {"operation": "^", "other": "-", "test": "a == b"},
            {"operation": "|", "other": "&", "test": "min(a) in b"},
        ),
        both(integers(0, 15), integers(0, 15)),
    ),
    Template(
        "graph-distances",
        """
from collections import deque

def f(edges, start):
    near = {}
    for a, b in zip(edges, edges[1:]):
        near.setdefault(a, []).append(b)
        $back
    distance, queue = {start: 0}, deque([start])
    while queue:
        at = queue.popleft()
        for other in near.get(at, []):
            if other not in distance:
                distance[other] = distance[at] + $cost
                queue.append(other)
    return distance
""",
        (
            {"back": "near.setdefault(b, []).append(a)", "cost": "1"},
            {"back": "near.setdefault(b, [])", "cost": "1"},
            {"back": "near.setdefault(b, []).insert(0, a)", "cost": "abs(other - at)"},
            {"back": "near.setdefault(a, []).append(a + b)", "cost": "1"},
        ),
        both(integers(0, 9, 6, 18), integer(0, 9)),
    ),
    Template(
        "nested-totals",
        """
def f(table, depth):
    tree = {}
    for name, number in table.items():
        node = tree
        for letter in name[:depth % 4 + 1]:
            node = node.setdefault(letter, {'$total': 0})
            node['$total'] $update number
    return tree
""",
        (
            {"total": "total", "update": "+="},
            {"total": "#", "update": "-="},
            {"total": "@", "update": "|="},
            {"total": "sum", "update": "+="},
        ),
        both(counts(), integer(0, 5)),
    ),
    Template(
        "first-repeats",
        """
def f(items):
    seen, repeated = set(), []
    for item in items:
        key = $key
        if key in seen:
            repeated.append(item)
        seen.add(key)
    return repeated, len(seen)
""",
        blanks("key", "item", "item % 10", "item // 3", "bin(item).count('1')"),
        integers(0, 60, 8, 24),
    ),
)
