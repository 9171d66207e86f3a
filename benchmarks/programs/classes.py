"""Programs with small classes, generators, decorators and exceptions."""

from __future__ import annotations

from benchmarks.programs.template import Template, both, counts, integer, integers, sentence, words

TEMPLATES = (
    Template(
        "stack-machine",
        """
class Machine:
    def __init__(self):
        self.stack = []

    def push(self, value):
        self.stack.append(value)
        return self

    def apply(self, operation):
        right, left = self.stack.pop(), self.stack.pop()
        self.stack.append(operation(left, right))

def f(numbers):
    machine = Machine().push($start)
    for place, n in enumerate(numbers):
        machine.push(n)
        if place % $every == 0:
            machine.apply(lambda a, b: $operation)
    return machine.stack
""",
        (
            {"start": "0", "every": "2", "operation": "a + b"},
            {"start": "1", "every": "3", "operation": "a * b % 101"},
            {"start": "10", "every": "1", "operation": "max(a, b) - 1"},
            {"start": "5", "every": "2", "operation": "a ^ b"},
        ),
        integers(-9, 30),
    ),
    Template(
        "bank",
        """
class Overdrawn(Exception):
    pass

class Account:
    def __init__(self, owner, balance):
        self.owner, self.balance, self.log = owner, balance, []

    def take(self, amount):
        if amount > self.balance $allowance:
            raise Overdrawn(f'{self.owner} lacks {amount - self.balance}')
        self.balance -= amount
        self.log.append(-amount)

def f(accounts, amount):
    refused = []
    for account in [Account(name, balance) for name, balance in accounts.items()]:
        try:
            account.take(amount)
            account.take(amount // 2)
        except Overdrawn as error:
            refused.append(str(error))
        finally:
            amount += $growth
    return refused, amount
""",
        (
            {"allowance": "", "growth": "1"},
            {"allowance": "+ 10", "growth": "3"},
            {"allowance": "* 2", "growth": "0"},
            {"allowance": "- 5", "growth": "-1"},
        ),
        both(counts(), integer(5, 40)),
    ),
    Template(
        "generator-pipeline",
        """
def f(numbers, take):
    def source():
        for n in numbers:
            yield n
            if n % $again == 0:
                yield $echo
    def pairs(stream):
        held = None
        for n in stream:
            if held is not None:
                yield held, n
            held = n
    found = []
    for a, b in pairs(source()):
        found.append(a * b - a)
        if len(found) >= take:
            break
    return found
""",
        (
            {"again": "2", "echo": "n + 1"},
            {"again": "3", "echo": "-n"},
            {"again": "5", "echo": "n // 5"},
            {"again": "4", "echo": "0"},
        ),
        both(integers(0, 50), integer(2, 12)),
    ),
    Template(
        "linked-list",
        """
class Node:
    def __init__(self, value, rest=None):
        self.value, self.rest = value, rest

    def __iter__(self):
        node = self
        while node:
            yield node.value
            node = node.rest

def f(numbers):
    head = None
    for n in numbers:
        head = Node(n, head)
    node, turned = head, None
    while node:
        if $keep:
            turned = Node($value, turned)
        node = node.rest
    return list(turned) if turned else []
""",
        (
            {"keep": "True", "value": "node.value"},
            {"keep": "node.value % 2", "value": "node.value * 3"},
            {"keep": "node.rest is not None", "value": "node.value - node.rest.value"},
            {"keep": "turned is None or turned.value != node.value", "value": "node.value"},
        ),
        integers(0, 30),
    ),
    Template(
        "shapes",
        """
from dataclasses import dataclass

@dataclass(order=True)
class Box:
    width: int
    height: int

    @property
    def area(self):
        return self.width * self.height

    def __add__(self, other):
        return Box($join)

def f(numbers):
    boxes = [Box(abs(a) + 1, abs(b) + 1) for a, b in zip(numbers, numbers[1:])]
    total = boxes[0]
    for box in boxes[1:]:
        total = total + box
    return total.area, [(box.width, box.height) for box in sorted(boxes)[:$most]]
""",
        (
            {"join": "self.width + other.width, max(self.height, other.height)", "most": "3"},
            {"join": "max(self.width, other.width), self.height + other.height", "most": "2"},
            {"join": "self.area % 50, other.area % 50", "most": "4"},
            {"join": "other.height, self.width", "most": "1"},
        ),
        integers(-12, 12),
    ),
    Template(
        "memory",
        """
def remember(function):
    known = {}
    def wrapped(*arguments):
        if arguments not in known:
            known[arguments] = function(*arguments)
        return known[arguments]
    wrapped.known = known
    return wrapped

def f(a, b):
    @remember
    def paths(x, y):
        if x <= 0 or y <= 0:
            return 1
        return paths(x - 1, y) + paths(x, y - $step)$extra
    return paths(a, b), len(paths.known)
""",
        (
            {"step": "1", "extra": ""},
            {"step": "2", "extra": ""},
            {"step": "1", "extra": " - paths(x - 1, y - 1)"},
            {"step": "1", "extra": " % 97"},
        ),
        both(integer(1, 9), integer(1, 9)),
    ),
    Template(
        "tokens",
        """
class Reader:
    def __init__(self, text):
        self.words, self.at = text.split(), 0

    def next(self):
        if self.at >= len(self.words):
            raise EOFError
        self.at += 1
        return self.words[self.at - 1]

def f(text):
    reader, table = Reader(text), {}
    try:
        while True:
            name, value = reader.next(), reader.next()
            table[name$key] = $value
    except EOFError:
        return table, reader.at
""",
        (
            {"key": "", "value": "value"},
            {"key": ".lower()", "value": "len(value)"},
            {"key": "[:2]", "value": "table.get(name[:2], '') + value[0]"},
            {"key": "[::-1]", "value": "value.istitle()"},
        ),
        sentence(4, 12),
    ),
    Template(
        "schedule",
        """
import heapq

class Job:
    def __init__(self, name, cost):
        self.name, self.cost = name, cost

    def __lt__(self, other):
        return ($key) < ($other)

def f(names, slots):
    queue = [Job(name, sum(map(ord, name)) % 10) for name in names]
    heapq.heapify(queue)
    done = []
    while queue and len(done) < slots:
        job = heapq.heappop(queue)
        done.append((job.name, job.cost))
        if job.cost > $again:
            heapq.heappush(queue, Job(job.name + "'", job.cost // 2))
    return done
""",
        (
            {"key": "self.cost, self.name", "other": "other.cost, other.name", "again": "5"},
            {"key": "-self.cost, self.name", "other": "-other.cost, other.name", "again": "3"},
            {"key": "self.name", "other": "other.name", "again": "7"},
            {
                "key": "len(self.name), self.cost, self.name",
                "other": "len(other.name), other.cost, other.name",
                "again": "4",
            },
        ),
        both(words(3, 8), integer(2, 12)),
    ),
)
