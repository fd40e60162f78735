"""Run the Python blocks of the README, and hold the outputs shown there to what they print.

``python docs/readme_snippets.py`` says which outputs are out of date, ``--write`` writes them anew. A ``text`` block
right after a ``python`` block is that block's output. All blocks share one namespace and run in an empty folder.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
#: A python block and, where there is one, the output under it.
_PAIR = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n?```text\n(?P<output>.*?)```\n)?", re.DOTALL)


def snippets(text: str) -> list[tuple[str, str]]:
    """Each Python block with the output shown under it (empty where none is shown)."""
    return [(found["code"], found["output"] or "") for found in _PAIR.finditer(text)]


def printed(codes: list[str]) -> list[str]:
    """What each block prints."""
    namespace: dict[str, object] = {"__name__": "readme"}
    outputs = []
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for code in codes:
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(code, str(README), "exec"), namespace)
                outputs.append("\n".join(line.rstrip() for line in out.getvalue().splitlines()))
        finally:
            os.chdir(home)
    return [output + "\n" if output else "" for output in outputs]


def with_outputs(text: str, outputs: list[str]) -> str:
    """The text with these outputs in place of those shown."""
    fresh = iter(outputs)

    def replaced(found: re.Match[str]) -> str:
        output = next(fresh)
        shown = f"\n```text\n{output}```\n" if output else ""
        return f"```python\n{found['code']}```\n{shown}"

    return _PAIR.sub(replaced, text)


def main() -> int:
    text = README.read_text(encoding="utf-8")
    pairs = snippets(text)
    outputs = printed([code for code, _ in pairs])
    if "--write" in sys.argv[1:]:
        README.write_text(with_outputs(text, outputs), encoding="utf-8")
        return 0
    stale = [place for place, ((_, shown), output) in enumerate(zip(pairs, outputs, strict=True), 1) if shown != output]
    print(f"{len(pairs)} blocks, out of date: {stale or 'none'}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
