"""Short programs on lists, dictionaries and numbers: one function of a few lines, as in the CRUXEval suite."""

from __future__ import annotations

from benchmarks.programs.template import Template, blanks, both, counts, integer, integers, matrix

TEMPLATES = (
    Template(
        "remove-then-add",
        """
def f(nums, n):
    nums.$first
    nums.$second
    return nums
""",
        (
            {"first": "append(n)", "second": "sort()"},
            {"first": "insert(2, n)", "second": "pop(0)"},
            {"first": "extend([n, n])", "second": "reverse()"},
            {"first": "pop()", "second": "insert(0, n * 2)"},
        ),
        both(integers(-9, 30), integer(0, 9)),
    ),
    Template(
        "pop-loop",
        """
def f(nums):
    out = []
    while len(nums) > $stop:
        out.append(nums.pop($place)$change)
    return out
""",
        (
            {"stop": "1", "place": "0", "change": ""},
            {"stop": "0", "place": "", "change": " * 2"},
            {"stop": "2", "place": "1", "change": ""},
            {"stop": "3", "place": "len(nums) // 2", "change": " + 1"},
        ),
        integers(0, 40),
    ),
    Template(
        "count-if",
        """
def f(nums, n):
    return $what(1 for x in nums if x $test n), nums[$at]
""",
        (
            {"what": "sum", "test": ">", "at": "0"},
            {"what": "sum", "test": "<=", "at": "-1"},
            {"what": "sum", "test": "% 3 ==", "at": "len(nums) // 2"},
            {"what": "list", "test": "!=", "at": ":2"},
        ),
        both(integers(0, 12), integer(0, 12)),
    ),
    Template(
        "differences",
        """
def f(nums):
    return [$expression for a, b in zip(nums, nums[$step:])]
""",
        (
            {"expression": "b - a", "step": "1"},
            {"expression": "a * b", "step": "1"},
            {"expression": "max(a, b)", "step": "2"},
            {"expression": "abs(a - b) % 7", "step": "1"},
        ),
        integers(-20, 20),
    ),
    Template(
        "unique",
        """
def f(nums):
    seen = []
    for n in nums:
        if n$key not in seen:
            seen.append(n$key)
    return $result
""",
        (
            {"key": "", "result": "seen"},
            {"key": " % 5", "result": "sorted(seen)"},
            {"key": " // 4", "result": "len(seen)"},
            {"key": "", "result": "seen[::-1]"},
        ),
        integers(0, 20),
    ),
    Template(
        "running",
        """
def f(nums):
    total, out = $start, []
    for n in nums:
        total = $update
        out.append(total)
    return out
""",
        (
            {"start": "0", "update": "total + n"},
            {"start": "1", "update": "(total * 3 + n) % 50"},
            {"start": "nums[0]", "update": "max(total, n)"},
            {"start": "0", "update": "n - total"},
        ),
        integers(-9, 30),
    ),
    Template(
        "lookup",
        """
def f(table, n):
    for key, value in table.items():
        if value $test n:
            return key$change
    return '$none'
""",
        (
            {"test": ">", "change": "", "none": "none"},
            {"test": "<", "change": ".upper()", "none": "-"},
            {"test": "% 3 == n % 3 or not", "change": " * 2", "none": "?"},
            {"test": "% 4 == n % 4 and", "change": "[0]", "none": "no"},
        ),
        both(counts(), integer(0, 40)),
    ),
    Template(
        "sorted-items",
        """
def f(table):
    return sorted(table.items(), key=lambda item: $key)$cut
""",
        (
            {"key": "item[1]", "cut": ""},
            {"key": "(-item[1], item[0])", "cut": "[:2]"},
            {"key": "item[0][::-1]", "cut": ""},
            {"key": "item[1] % 10", "cut": "[::-1]"},
        ),
        counts(),
    ),
    Template(
        "update-table",
        """
def f(table, n):
    for key in list(table):
        if table[key] $test:
            $action
    return table
""",
        (
            {"test": "< n", "action": "del table[key]"},
            {"test": "> n", "action": "table[key] -= n"},
            {"test": "% 2", "action": "table[key.upper()] = table.pop(key)"},
            {"test": ">= n // 2", "action": "table[key] = [table[key], n]"},
        ),
        both(counts(), integer(5, 40)),
    ),
    Template(
        "keys-and-values",
        """
def f(table):
    names = [$pick for k, v in table.items()]
    return $result
""",
        (
            {"pick": "k", "result": "max(names)"},
            {"pick": "k[0] * (v % 4)", "result": "''.join(names)"},
            {"pick": "(v, k)", "result": "min(names)"},
            {"pick": "v", "result": "sum(names) / len(names)"},
        ),
        counts(),
    ),
    Template(
        "row-sums",
        """
def f(rows):
    return [$sum for row in rows$which]
""",
        (
            {"sum": "sum(row)", "which": ""},
            {"sum": "max(row) - min(row)", "which": ""},
            {"sum": "row[::-1]", "which": "[::-1]"},
            {"sum": "[x for x in row if x > 0]", "which": "[1:]"},
        ),
        matrix(),
    ),
    Template(
        "diagonal",
        """
def f(rows):
    size = min(len(rows), len(rows[0]))
    return [rows[i][$column] for i in range(size)]$change
""",
        (
            {"column": "i", "change": ""},
            {"column": "size - 1 - i", "change": ""},
            {"column": "-i - 1", "change": "[::-1]"},
            {"column": "(i + 1) % size", "change": " * 2"},
        ),
        matrix(),
    ),
    Template(
        "chunks",
        """
def f(nums, n):
    n = n % 4 + 1
    return [$take for i in range(0, len(nums), n)]
""",
        blanks("take", "nums[i:i + n]", "sum(nums[i:i + n])", "nums[i:i + n][::-1]", "max(nums[i:i + n])"),
        both(integers(0, 40), integer(0, 9)),
    ),
    Template(
        "digit-sum",
        """
def f(n):
    total = 0
    while n$stop:
        total $update n % $base
        n //= $base
    return total
""",
        (
            {"stop": "", "update": "+=", "base": "10"},
            {"stop": "", "update": "= total * 2 +", "base": "8"},
            {"stop": " > 5", "update": "^=", "base": "16"},
            {"stop": "", "update": "= total * 10 +", "base": "10"},
        ),
        integer(10, 10**8),
    ),
    Template(
        "divisors",
        """
def f(n):
    return [d for d in range(1, n + 1) if n % d == $rest]$result
""",
        (
            {"rest": "0", "result": ""},
            {"rest": "0", "result": "[-3:]"},
            {"rest": "1", "result": ""},
            {"rest": "2", "result": "[::2]"},
        ),
        integer(4, 60),
    ),
    Template(
        "greatest-common",
        """
def f(a, b):
    steps = $start
    while b:
        a, b = b, a % b
        steps $update
    return a, steps
""",
        (
            {"start": "0", "update": "+= 1"},
            {"start": "1", "update": "*= 2"},
            {"start": "[]", "update": "+= [a]"},
            {"start": "''", "update": "+= str(b)"},
        ),
        both(integer(1, 500), integer(1, 500)),
    ),
    Template(
        "fibonacci",
        """
def f(n):
    a, b = $start
    for _ in range(n):
        a, b = b, $next
    return $result
""",
        (
            {"start": "0, 1", "next": "a + b", "result": "a"},
            {"start": "2, 1", "next": "a + b", "result": "a % 1000"},
            {"start": "1, 1", "next": "(a * b + 1) % 97", "result": "a, b"},
            {"start": "0, 1", "next": "2 * b + a", "result": "len(str(b))"},
        ),
        integer(1, 40),
    ),
    Template(
        "recursive-sum",
        """
def f(nums):
    if not nums:
        return $empty
    return nums[0] $operation f(nums[$rest:])
""",
        (
            {"empty": "0", "operation": "+", "rest": "1"},
            {"empty": "0", "operation": "-", "rest": "1"},
            {"empty": "1", "operation": "+ 2 *", "rest": "2"},
            {"empty": "0", "operation": "^", "rest": "1"},
        ),
        integers(0, 30),
    ),
    Template(
        "rotate",
        """
def f(nums, n):
    for _ in range(n$times):
        nums.$act
    return nums
""",
        (
            {"times": "", "act": "append(nums.pop(0))"},
            {"times": " % 3", "act": "insert(0, nums.pop())"},
            {"times": " % 4", "act": "append(nums[-1] + nums[-2])"},
            {"times": "", "act": "insert(1, nums.pop())"},
        ),
        both(integers(0, 20), integer(1, 9)),
    ),
    Template(
        "most-common",
        """
def f(nums):
    counts = {}
    for n in nums:
        counts[n$key] = counts.get(n$key, 0) + 1
    return $result
""",
        (
            {"key": "", "result": "max(counts, key=counts.get)"},
            {"key": " % 3", "result": "counts"},
            {"key": " > 5", "result": "sorted(counts.items())"},
            {"key": "", "result": "[n for n in counts if counts[n] == 1]"},
        ),
        integers(0, 10, 6, 16),
    ),
    Template(
        "any-all",
        """
def f(nums, n):
    if $which(x $test n for x in nums):
        return $yes
    return $no
""",
        (
            {"which": "any", "test": ">", "yes": "max(nums)", "no": "nums"},
            {"which": "all", "test": ">=", "yes": "'all'", "no": "min(nums)"},
            {"which": "any", "test": "==", "yes": "nums.index(n)", "no": "sum(nums)"},
            {"which": "all", "test": "!=", "yes": "len(nums)", "no": "nums.count(n)"},
        ),
        both(integers(0, 12), integer(0, 12)),
    ),
    Template(
        "swap-places",
        """
def f(nums):
    for i in range($start, len(nums) - 1, $step):
        nums[i], nums[i + 1] = nums[i + 1], nums[i]$change
    return nums
""",
        (
            {"start": "0", "step": "2", "change": ""},
            {"start": "1", "step": "2", "change": ""},
            {"start": "0", "step": "1", "change": ""},
            {"start": "0", "step": "3", "change": " + 1"},
        ),
        integers(0, 30),
    ),
    Template(
        "comprehension",
        """
def f(n):
    return {$key: $value for i in range(n % 12 + 2)}
""",
        (
            {"key": "i", "value": "i * i"},
            {"key": "i % 4", "value": "i"},
            {"key": "str(i)", "value": "i * '*'"},
            {"key": "chr(97 + i)", "value": "n // (i + 1)"},
        ),
        integer(1, 100),
    ),
    Template(
        "nested-loops",
        """
def f(n):
    out = []
    for i in range(n % 7 + 2):
        for j in range($inner):
            if $test:
                out.append($value)
    return out
""",
        (
            {"inner": "i", "test": "(i + j) % 2", "value": "(i, j)"},
            {"inner": "5", "test": "i * j % 3 == 1", "value": "i * j"},
            {"inner": "i + 1", "test": "i % (j + 1) == 0", "value": "j"},
            {"inner": "4", "test": "i > j", "value": "10 * i + j"},
        ),
        integer(1, 100),
    ),
    Template(
        "matches",
        """
def f(left, right):
    return [$pair for i, (a, b) in enumerate(zip(left, right)) if $test], len(left) - len(right)
""",
        (
            {"pair": "i", "test": "a == b"},
            {"pair": "(a, b)", "test": "a > b"},
            {"pair": "a + b", "test": "(a + b) % 2"},
            {"pair": "a * i", "test": "a < b"},
        ),
        both(integers(0, 9), integers(0, 9)),
    ),
    Template(
        "float-work",
        """
def f(nums):
    mean = sum(nums) / len(nums)
    return $result
""",
        blanks(
            "result",
            "round(mean, 2)",
            "[round(n / (mean or 1), 3) for n in nums]",
            "round(sum((n - mean) ** 2 for n in nums), 4)",
            "[n for n in nums if n > mean]",
        ),
        integers(0, 100),
    ),
)
