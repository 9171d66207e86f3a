"""Shows what `azr exec` answered, beside what it was asked, for people; `make tour` ends with it.

azr exec programs.jsonl | python tools/tour.py programs.jsonl
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from azr.text import printable, shortened

#: Columns an output may take; the rest is left out.
_WIDTH = 90


def main() -> int:
    """Pair each answer with its program, by id, and show both."""
    console = Console(highlight=False, soft_wrap=True)
    asked = {line["id"]: line for line in map(json.loads, Path(sys.argv[1]).read_text().splitlines())}
    console.print(Text("programs, each in a pristine interpreter inside WebAssembly", style="bold"))
    highlighter = Syntax("", "python", background_color="default")
    counted: dict[str, int] = {}
    for answer in map(json.loads, sys.stdin):
        question = asked[answer["id"]]
        console.print()
        code = textwrap.indent(printable(question["program"], newlines=True).rstrip(), "    ")
        console.print(highlighter.highlight(code))
        for argument, result in zip(question["inputs"], answer["results"], strict=True):
            counted[result["status"]] = counted.get(result["status"], 0) + 1
            good = result["status"] == "ok"
            said = result["output"] if good else f"{result['status']}: {result['error']}"
            line = Text.assemble((f"    f({shortened(argument, _WIDTH)})", "bold"), " → ")
            console.print(line.append(shortened(said, _WIDTH), style="green" if good else "red"))
    console.print()
    console.print(Text(", ".join(f"{count} {status}" for status, count in counted.items()), style="bold"))
    console.print("Next: azr --help, or README.md.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
