"""Programs on numbers."""

from __future__ import annotations

from benchmarks.programs.template import Template, blanks, both, integer, integers

TEMPLATES = (
    Template(
        "sieve",
        """
def f(limit):
    prime = [True] * (limit + 1)
    prime[:2] = [False] * len(prime[:2])
    for n in range(2, int(limit ** 0.5) + 1):
        if prime[n]:
            for multiple in range(n * n, limit + 1, n):
                prime[multiple] = False
    found = [n for n, yes in enumerate(prime) if yes$condition]
    return $result
""",
        (
            {"condition": "", "result": "len(found), found[-5:]"},
            {"condition": " and n % 4 == 1", "result": "found"},
            {"condition": " and str(n) == str(n)[::-1]", "result": "sum(found) * limit"},
            {"condition": " and n % 6 == 5", "result": "[b - a for a, b in zip(found, found[1:])]"},
        ),
        integer(10, 300),
    ),
    Template(
        "collatz",
        """
def f(n):
    steps, highest = 0, n
    while n $stop and steps < 200:
        n = n // 2 if n % 2 == 0 else $odd
        highest = max(highest, n)
        steps += 1
    return steps, highest
""",
        (
            {"stop": "> 1", "odd": "3 * n + 1"},
            {"stop": "!= 1", "odd": "n + 7"},
            {"stop": "> 4", "odd": "(3 * n + 1) // 2"},
            {"stop": "> 1", "odd": "n - 1"},
        ),
        integer(2, 1000),
    ),
    Template(
        "digits",
        """
def f(number):
    digits = [int(d) for d in str(number)]
    rounds = 0
    while len(digits) > 1 and rounds < 20:
        value = 0
        for place, digit in enumerate(digits):
            value += $term
        digits = [int(d) for d in str(abs(value))]
        rounds += 1
    return digits, rounds
""",
        blanks("term", "digit ** 2", "digit * (place + 1)", "digit if place % 2 else -digit", "digit ** (place % 3)"),
        integer(100, 10**9),
    ),
    Template(
        "bases",
        """
def f(number, base):
    base = base % $span + 2
    letters, n = '', number
    while n:
        n, rest = divmod(n, base)
        letters = '0123456789abcdefghijklmnopqrstuvwxyz'[rest] + letters
    return letters, int(letters or '0', base) == number, $result
""",
        (
            {"span": "15", "result": "len(letters)"},
            {"span": "34", "result": "letters[::-1]"},
            {"span": "7", "result": "letters.count('1')"},
            {"span": "3", "result": "letters.zfill(12)"},
        ),
        both(integer(0, 10**6), integer(0, 100)),
    ),
    Template(
        "fractions",
        """
from fractions import Fraction

def f(numbers):
    total = Fraction($start)
    for place, n in enumerate(numbers, 1):
        total $update Fraction(n, place)
    return total.numerator, total.denominator, $result
""",
        (
            {"start": "0", "update": "+=", "result": "round(float(total), 6)"},
            {"start": "1, 2", "update": "-=", "result": "int(total)"},
            {"start": "1", "update": "*=", "result": "total > 1"},
            {"start": "3, 7", "update": "+=", "result": "str(total.limit_denominator(10))"},
        ),
        integers(1, 12, 3, 8),
    ),
    Template(
        "statistics",
        """
import math

def f(numbers):
    mean = sum(numbers) / len(numbers)
    spread = math.sqrt(sum((n - mean) ** 2 for n in numbers) / len(numbers))
    middle = sorted(numbers)[len(numbers) // 2]
    return {'mean': round(mean, 3), 'spread': round(spread, 3), $more}
""",
        blanks(
            "more",
            "'middle': middle",
            "'far': [n for n in numbers if abs(n - mean) > spread]",
            "'scaled': [round((n - mean) / (spread or 1), 2) for n in numbers]",
            "'skew': (mean > middle) - (mean < middle)",
        ),
        integers(-100, 100),
    ),
    Template(
        "change-making",
        """
def f(coins, amount):
    coins = sorted(set(abs(coin) + 1 for coin in coins))
    ways = [1] + [0] * amount
    $loops
    return ways[amount], max(ways)
""",
        blanks(
            "loops",
            "for coin in coins:\n        for t in range(coin, amount + 1):\n            ways[t] += ways[t - coin]",
            "for t in range(1, amount + 1):\n        ways[t] = sum(ways[t - c] for c in coins if c <= t) % 9973",
            "for coin in coins:\n        for t in range(amount, coin - 1, -1):\n            ways[t] += ways[t - coin]",
            "for coin in coins[:3]:\n        for t in range(coin, amount + 1, coin):\n            ways[t] += 1",
        ),
        both(integers(1, 12, 3, 6), integer(5, 60)),
    ),
    Template(
        "bits",
        """
def f(numbers):
    result = $start
    for place, n in enumerate(numbers):
        result ^= n << (place % $width)
        result &= 0xFFFF
        if result & 1:
            result = result >> 1 | 0x8000
    return result, format(result, '016b').count('1')
""",
        (
            {"start": "0", "width": "4"},
            {"start": "0xBEEF", "width": "8"},
            {"start": "1", "width": "3"},
            {"start": "len(numbers)", "width": "6"},
        ),
        integers(0, 255),
    ),
    Template(
        "big-integers",
        """
def f(base, power):
    number = base ** (power + $more) $and_then
    text = str(number)
    return len(text), text[:6], text[-6:], sum(int(d) for d in text)
""",
        (
            {"more": "40", "and_then": "+ 1"},
            {"more": "25", "and_then": "- base"},
            {"more": "60", "and_then": "// 7"},
            {"more": "33", "and_then": "* 9"},
        ),
        both(integer(2, 99), integer(1, 30)),
    ),
)
