"""Short programs on text: one function of a few lines, as in the CRUXEval suite."""

from __future__ import annotations

from benchmarks.programs.template import Template, blanks, both, integer, sentence, words

TEMPLATES = (
    Template(
        "swap-ends",
        """
def f(text):
    if len(text) < $least:
        return text
    return text[-1] + text[1:-1]$change + text[0]
""",
        (
            {"least": "2", "change": ""},
            {"least": "3", "change": ".upper()"},
            {"least": "2", "change": "[::-1]"},
            {"least": "5", "change": ".replace('a', '')"},
        ),
        sentence(),
    ),
    Template(
        "strip-until",
        """
def f(text, number):
    while len(text) > number and text[$end] not in '$stop':
        text = text$cut
    return text
""",
        (
            {"end": "0", "stop": "aeiou", "cut": "[1:]"},
            {"end": "-1", "stop": "aeiou", "cut": "[:-1]"},
            {"end": "0", "stop": "rst", "cut": "[2:]"},
            {"end": "-1", "stop": "lmn", "cut": "[:-2]"},
        ),
        both(sentence(), integer(2, 20)),
    ),
    Template(
        "every-other",
        """
def f(text):
    out = ''
    for i, c in enumerate(text):
        out += c.upper() if i % $step == 0 else c$other
    return out
""",
        (
            {"step": "2", "other": ""},
            {"step": "3", "other": ".lower()"},
            {"step": "4", "other": ".swapcase()"},
            {"step": "2", "other": "*2"},
        ),
        sentence(),
    ),
    Template(
        "letters-only",
        """
def f(text):
    return ''.join(c for c in text if $test)
""",
        blanks("test", "c.isalpha()", "c.isupper() or c == ' '", "c not in 'aeiou'", "ord(c) % 2"),
        sentence(),
    ),
    Template(
        "split-join",
        """
def f(text, by):
    parts = text.split('$at')
    return '$glue'.join(parts[by % len(parts):] + parts[:by % len(parts)])
""",
        (
            {"at": " ", "glue": "-"},
            {"at": "e", "glue": ""},
            {"at": "a", "glue": "+"},
            {"at": "r", "glue": " "},
        ),
        both(sentence(), integer(0, 9)),
    ),
    Template(
        "longest-word",
        """
def f(words):
    best = words[0]
    for word in words:
        if $better:
            best = word
    return best$result
""",
        (
            {"better": "len(word) > len(best)", "result": ""},
            {"better": "word > best", "result": ".upper()"},
            {"better": "word.count('e') > best.count('e')", "result": "[::-1]"},
            {"better": "len(word) <= len(best)", "result": " * 2"},
        ),
        words(),
    ),
    Template(
        "count-of",
        """
def f(text, number):
    counts = [text.count(c) for c in '$letters']
    return counts$result, number
""",
        (
            {"letters": "aeiou", "result": ""},
            {"letters": "rstln", "result": "[::-1]"},
            {"letters": "abc", "result": " * 2"},
            {"letters": "aeiou", "result": ".index(max(counts))"},
        ),
        both(sentence(), integer(0, 5)),
    ),
    Template(
        "pad",
        """
def f(text, width):
    text = text$prepare
    return text.$align(width + $extra, '$fill')
""",
        (
            {"prepare": "[:8]", "align": "ljust", "extra": "3", "fill": "0"},
            {"prepare": ".strip()", "align": "rjust", "extra": "10", "fill": "-"},
            {"prepare": ".title()", "align": "center", "extra": "20", "fill": "="},
            {"prepare": ".split()[0]", "align": "rjust", "extra": "0", "fill": "*"},
        ),
        both(sentence(), integer(5, 40)),
    ),
    Template(
        "translate",
        """
def f(text):
    table = str.maketrans('$old', '$new')
    return text.translate(table)$then
""",
        (
            {"old": "aeiou", "new": "uoiea", "then": ""},
            {"old": "abcde", "new": "12345", "then": ".split()"},
            {"old": "lrn", "new": "rnl", "then": ".capitalize()"},
            {"old": "st ", "new": "ts_", "then": ".strip('_')"},
        ),
        sentence(),
    ),
    Template(
        "partition-text",
        """
def f(text):
    head, mark, tail = text.$way('$mark')
    return $result
""",
        (
            {"way": "partition", "mark": " ", "result": "tail + mark + head"},
            {"way": "rpartition", "mark": " ", "result": "head, len(tail)"},
            {"way": "partition", "mark": "e", "result": "[head, tail]"},
            {"way": "rpartition", "mark": "a", "result": "tail or head"},
        ),
        sentence(),
    ),
    Template(
        "find-all",
        """
def f(text, number):
    places, at = [], text.find('$what')
    while at >= 0 and len(places) <= number:
        places.append(at)
        at = text.find('$what', at + $step)
    return places
""",
        (
            {"what": "e", "step": "1"},
            {"what": "r", "step": "2"},
            {"what": "a", "step": "3"},
            {"what": " ", "step": "1"},
        ),
        both(sentence(), integer(1, 6)),
    ),
    Template(
        "zip-words",
        """
def f(words):
    return [$pair for a, b in zip(words, words[1:])]
""",
        blanks("pair", "a[0] + b[-1]", "(len(a), b)", "a if a < b else b", "a[:2] == b[:2]"),
        words(),
    ),
    Template(
        "sort-words",
        """
def f(words):
    words$copy.sort(key=lambda w: $key)
    return words
""",
        (
            {"copy": "", "key": "(len(w), w)"},
            {"copy": "", "key": "w[::-1]"},
            {"copy": "", "key": "-len(w)"},
            {"copy": "", "key": "(w[-1], w[0])"},
        ),
        words(),
    ),
    Template(
        "case-count",
        """
def f(text):
    upper = sum(c.isupper() for c in text)
    lower = sum(c.islower() for c in text)
    return $result
""",
        blanks(
            "result", "(upper, lower)", "lower - upper * 3", "text.upper() if upper > 2 else text", "f'{upper}/{lower}'"
        ),
        sentence(),
    ),
    Template(
        "replace-some",
        """
def f(text, number):
    for c in '$letters':
        text = text.replace(c, '$new', number % 3 + 1)
    return text
""",
        (
            {"letters": "aei", "new": "*"},
            {"letters": "rl", "new": ""},
            {"letters": "ne", "new": "ee"},
            {"letters": " t", "new": "_"},
        ),
        both(sentence(), integer(0, 9)),
    ),
    Template(
        "slices",
        """
def f(text, number):
    n = number % len(text)
    return text[$first] + text[$second]
""",
        (
            {"first": "n:", "second": ":n"},
            {"first": "::-1", "second": "n::2"},
            {"first": ":n:-1", "second": "-n:"},
            {"first": "n:n + 4", "second": "n::-1"},
        ),
        both(sentence(), integer(1, 30)),
    ),
    Template(
        "is-it",
        """
def f(text, word):
    if $test:
        return '$yes'
    return text.$no()
""",
        (
            {"test": "text.lower().startswith(word[:1].lower())", "yes": "starts", "no": "swapcase"},
            {"test": "word in text", "yes": "inside", "no": "lower"},
            {"test": "len(word) * 3 > len(text)", "yes": "long", "no": "upper"},
            {"test": "set(word) <= set(text)", "yes": "covered", "no": "title"},
        ),
        both(sentence(), sentence(1, 2)),
    ),
    Template(
        "code-points",
        """
def f(text):
    codes = [ord(c) $operation for c in text]
    return $result
""",
        (
            {"operation": "% 10", "result": "codes"},
            {"operation": "- 97", "result": "[n for n in codes if n >= 0]"},
            {"operation": "& 15", "result": "sum(codes)"},
            {"operation": "^ 32", "result": "''.join(map(chr, codes))"},
        ),
        sentence(1, 4),
    ),
    Template(
        "enumerate-words",
        """
def f(text):
    out = {}
    for i, word in enumerate(text.split()):
        out[$key] = $value
    return out
""",
        (
            {"key": "word", "value": "i"},
            {"key": "i", "value": "word[::-1]"},
            {"key": "word[0]", "value": "len(word) + i"},
            {"key": "len(word)", "value": "word"},
        ),
        sentence(),
    ),
    Template(
        "try-number",
        """
def f(words):
    total = 0
    for word in words:
        try:
            total += int(word, $base)
        except ValueError:
            total $otherwise
    return total
""",
        (
            {"base": "36", "otherwise": "-= 1"},
            {"base": "20", "otherwise": "+= len(word)"},
            {"base": "16", "otherwise": "+= 1"},
            {"base": "30", "otherwise": "*= 2"},
        ),
        words(),
    ),
    Template(
        "recursive-text",
        """
def f(text):
    if len(text) < $least:
        return text
    return text[$pick] + f(text[$rest])
""",
        (
            {"least": "3", "pick": "-1", "rest": "1:-1"},
            {"least": "2", "pick": "0", "rest": "2:"},
            {"least": "4", "pick": "1", "rest": ":-2"},
            {"least": "2", "pick": "-1", "rest": ":-1"},
        ),
        sentence(),
    ),
    Template(
        "strip-both",
        """
def f(text):
    text = text.$strip('$what')
    return text, len(text)
""",
        (
            {"strip": "strip", "what": "aeiourt "},
            {"strip": "lstrip", "what": "ABCDEFGHIJKLMNOPabcdefghijklm"},
            {"strip": "rstrip", "what": "aehlnorstwy"},
            {"strip": "removesuffix", "what": "e"},
        ),
        sentence(),
    ),
    Template(
        "acronym",
        """
def f(text):
    return '$glue'.join(word[$place].$change() for word in text.split() if $test)
""",
        (
            {"glue": "", "place": "0", "change": "upper", "test": "word"},
            {"glue": ".", "place": "-1", "change": "lower", "test": "len(word) > 4"},
            {"glue": "-", "place": ":2", "change": "title", "test": "word.islower()"},
            {"glue": "", "place": "1", "change": "swapcase", "test": "'e' in word"},
        ),
        sentence(),
    ),
    Template(
        "format-number",
        """
def f(number, width):
    text = f'{number:$form}'
    return text.rjust(width) + $more
""",
        (
            {"form": ",", "more": "text[:2]"},
            {"form": "x", "more": "str(len(text))"},
            {"form": "b", "more": "''"},
            {"form": ".2e", "more": "text[-2:]"},
        ),
        both(integer(0, 10**6), integer(1, 24)),
    ),
    Template(
        "nested-quotes",
        """
def f(words):
    out = []
    for word in words:
        if word not in out$where:
            out.append(word)
        else:
            out.remove(word)
    return $result
""",
        (
            {"where": "", "result": "out"},
            {"where": "[-2:]", "result": "'/'.join(out)"},
            {"where": "[:3]", "result": "out[::-1]"},
            {"where": "", "result": "repr(out)"},
        ),
        words(5, 14),
    ),
    Template(
        "lines",
        """
def f(text, width):
    lines = [text[i:i + width] for i in range(0, len(text), width)]
    return $result
""",
        blanks("result", "lines", "[line.strip() for line in lines]", "lines[::-1]", "'|'.join(lines)"),
        both(sentence(), integer(3, 12)),
    ),
)
