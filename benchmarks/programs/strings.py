"""Programs on strings."""

from __future__ import annotations

from benchmarks.programs.template import Template, blanks, both, integer, relatives, sentence, words

TEMPLATES = (
    Template(
        "shift-letters",
        """
def f(text, by):
    shifted = []
    for letter in text:
        if letter.islower():
            shifted.append(chr((ord(letter) - 97 + by$extra) % 26 + 97))
        elif letter.isupper():
            shifted.append(chr((ord(letter) - 65 - by) % 26 + 65))
        else:
            shifted.append($other)
    return ''.join(shifted)
""",
        (
            {"extra": "", "other": "letter"},
            {"extra": " * 2", "other": "'_'"},
            {"extra": " + len(text)", "other": "letter"},
            {"extra": " - 3", "other": "str(len(shifted))"},
        ),
        both(sentence(), integer(1, 26)),
    ),
    Template(
        "run-lengths",
        """
def f(text):
    runs = []
    for letter in text$prepare:
        if runs and runs[-1][0] == letter:
            runs[-1][1] += 1
        else:
            runs.append([letter, 1])
    return $result
""",
        (
            {"prepare": "", "result": "''.join(letter + str(count) for letter, count in runs)"},
            {"prepare": ".lower()", "result": "[tuple(run) for run in runs if run[1] > 1]"},
            {"prepare": ".replace(' ', '')", "result": "max(runs, key=lambda run: (run[1], run[0]))[0]"},
            {"prepare": "[::-1]", "result": "{letter: count for letter, count in runs}"},
        ),
        sentence(),
    ),
    Template(
        "reverse-words",
        """
def f(text):
    words = text.split()
    turned = [word[::-1] if $when else word for word in words]
    return ' '.join(turned)
""",
        blanks("when", "len(word) > 4", "word[0].isupper()", "word.lower() > 'm'", "'e' in word"),
        sentence(),
    ),
    Template(
        "palindromes",
        """
def f(text):
    text = ''.join(c for c in text.lower() if c.isalpha())
    best = ''
    for centre in range(len(text)):
        for width in $widths:
            left, right = centre, centre + width
            while left >= 0 and right < len(text) and text[left] == text[right]:
                left -= 1
                right += 1
            found = text[left + 1:right]
            if len(found) $better len(best):
                best = found
    return best
""",
        (
            {"widths": "(0, 1)", "better": ">"},
            {"widths": "(0, 1)", "better": ">="},
            {"widths": "(0,)", "better": ">"},
            {"widths": "(1,)", "better": ">="},
        ),
        sentence(2, 5),
    ),
    Template(
        "template-fill",
        """
import re

def f(text):
    seen = []
    def swap(match):
        seen.append(match.group(0))
        return $swap
    changed = re.sub(r'$pattern', swap, text)
    return changed, seen
""",
        (
            {"swap": "match.group(0).upper()", "pattern": "[aeiou][a-z]"},
            {"swap": "'<%d>' % len(seen)", "pattern": "\\b[A-Z]\\w+"},
            {"swap": "match.group(0)[::-1]", "pattern": "\\w{5}"},
            {"swap": "''", "pattern": "([a-z])\\1"},
        ),
        sentence(),
    ),
    Template(
        "common-prefix",
        """
def f(words):
    if not words:
        return ''
    $order
    prefix = words[0]
    for word in words[1:]:
        while not word.startswith(prefix$cut):
            prefix = prefix[:-1]
    return prefix, len(prefix)
""",
        (
            {"order": "words = sorted(words)", "cut": ""},
            {"order": "words = [w * 2 for w in words]", "cut": "[:2]"},
            {"order": "words = [w.replace('e', 'a') for w in words]", "cut": ""},
            {"order": "words = ['x' + w for w in words]", "cut": "[:3]"},
        ),
        relatives,
    ),
    Template(
        "columns",
        """
def f(words, width):
    lines, line = [], ''
    for word in words:
        if len(line) + len(word) + 1 > width and line:
            lines.append(line.$align(width, '$fill'))
            line = word
        else:
            line = (line + ' ' + word).strip()
    lines.append(line)
    return lines
""",
        (
            {"align": "ljust", "fill": "."},
            {"align": "rjust", "fill": " "},
            {"align": "center", "fill": "*"},
            {"align": "ljust", "fill": "-"},
        ),
        both(words(4, 12), integer(10, 24)),
    ),
    Template(
        "checksum",
        """
def f(text):
    total, seen = $start, {}
    for place, letter in enumerate(text):
        code = ord(letter)
        total = (total * $factor + code ^ place) % $modulus
        seen[letter] = seen.get(letter, 0) + total % 7
    return total, max(seen, key=lambda letter: (seen[letter], letter))
""",
        (
            {"start": "7", "factor": "31", "modulus": "65521"},
            {"start": "5381", "factor": "33", "modulus": "(1 << 32)"},
            {"start": "1", "factor": "131", "modulus": "1000003"},
            {"start": "0", "factor": "257", "modulus": "9973"},
        ),
        sentence(),
    ),
    Template(
        "vowel-groups",
        """
def f(text):
    groups = {'vowels': [], 'consonants': [], 'other': []}
    for word in text.split():
        if word[0].lower() in 'aeiou':
            groups['vowels'].append(word.$change())
        elif word[0].isalpha():
            groups['consonants'].append(word[$cut])
        else:
            groups['other'].append(word)
    return groups
""",
        (
            {"change": "upper", "cut": "1:]  + word[0"},
            {"change": "title", "cut": "::2"},
            {"change": "swapcase", "cut": "-3:"},
            {"change": "lower", "cut": "::-1"},
        ),
        sentence(),
    ),
)
