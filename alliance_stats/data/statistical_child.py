"""Run as a process of its own: read an SPSS, Stata or SAS file from standard input, write what it holds.

The library behind it is written in C and breaks down on some damaged files, with the whole process. So that this takes
no session of work with it, the process that breaks down is this one. It imports nothing of ours.
"""

from __future__ import annotations

import io
import pickle
import sys
import warnings

#: What is taken from the library's account of a file.
ABOUT = ("column_names_to_labels", "variable_value_labels", "missing_ranges", "file_encoding")
#: Memory that a file may take: a damaged one asks for any amount.
_BASE, _PER_BYTE = 4 << 30, 200


def read(content: bytes, reader: str, encoding: str | None) -> tuple[dict[str, list[object]], dict[str, object]]:
    """Return the columns as lists, and what the file says about them."""
    import pyreadstat

    extra = {"user_missing": True} if reader == "read_sav" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns, about = getattr(pyreadstat, reader)(
            io.BytesIO(content), encoding=encoding, output_format="dict", **extra
        )
    return columns, {name: getattr(about, name, None) for name in ABOUT}


def main() -> None:
    """Read standard input; write the answer, or the error's words, pickled."""
    reader, encoding = sys.argv[1], sys.argv[2] or None
    content = sys.stdin.buffer.read()
    try:
        import resource
    except ImportError:  # no such limits on this system
        pass
    else:
        most = _BASE + _PER_BYTE * len(content)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        answer: object = read(content, reader, encoding)
    except Exception as error:
        answer = (str(error).strip().splitlines() or [type(error).__name__])[0]
    sys.stdout.buffer.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
