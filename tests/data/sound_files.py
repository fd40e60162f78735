"""One sound file of every kind that is read here, written by the libraries of its kind, to be damaged by the tests."""

import bz2
import gzip
import io
import zipfile
from contextlib import suppress
from pathlib import Path

import pandas as pd

HAVEN = Path(__file__).parents[1] / "golden" / "haven"
#: What is asked of a file whose columns are p, t, s, d, x, k.
ASKED = {"patient": "p", "therapist": "t", "session": "s", "date": "d", "scores": ["x"], "keep": ["k"]}
#: What is asked of a file that haven wrote.
OF_HAVEN = {"patient": "id", "session": "session", "scores": ["wai"]}

FRAME = pd.DataFrame(
    {
        "p": ["a", "a", "b", "b"],
        "t": ["Weber", "Weber", "Huber", "Hueber"],
        "s": [1.0, 2.0, 1.0, 3.0],
        "d": pd.to_datetime(["2021-01-05", "2021-01-12", "2021-02-03", "2021-02-17"]),
        "x": [3.5, None, 4.25, -99.0],
        "k": ["one", "two, three", "", "four"],
    }
)
TEXT = FRAME.to_csv(index=False)
REDCAP = """\
p,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,t,k___1,k___2,d,x
1,main_arm_1,,,Weber,1,0,,
1,main_arm_1,after,1,,,,2021-01-05,3.5
1,main_arm_1,after,2,,,,2021-01-12,4
2,main_arm_1,,,Huber,0,1,,
2,main_arm_1,after,1,,,,2021-02-03,2
"""
QUALTRICS = """\
p,t,s,d,x,k
Who,By whom,"Session, number",Date,"Alliance
of today",More
"{""ImportId"":""q1""}","{""ImportId"":""q2""}","{""ImportId"":""q3""}","{""ImportId"":""q4""}","{""ImportId"":""q5""}","{""ImportId"":""q6""}"
a,Weber,1,2021-01-05,3.5,one
a,Weber,2,2021-01-12,4,two
"""
WIDE = """\
p;t;x_t1;x_t2;d_t1;d_t2;k_t1_i1;k_t2_i1
1;Weber;3,5;4;05.01.2021;13.01.2021;1;2
02;Huber;;2,5;;17.2.2021;;3
"""
WIDE_ASKED = {
    "patient": "p",
    "therapist": "t",
    "wide": ["x_t{session}", "d_t{session}", "k_t{session}_i{item}"],
    "scores": ["x", "k_i1"],
    "date": "d",
}


def _excel() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for row in [["Export"], ["p", "t", "s", "d", "Scores", None], [None, None, None, None, "x", "k"]]:
        sheet.append(row)
    for cells in ("A1:F1", "A2:A3", "B2:B3", "C2:C3", "D2:D3", "E2:F2"):
        sheet.merge_cells(cells)
    for row in FRAME.astype(object).where(FRAME.notna(), None).itertuples(index=False):
        sheet.append(list(row))
    book.create_sheet("empty")
    held = io.BytesIO()
    book.save(held)
    return held.getvalue()


def _plain_excel() -> bytes:
    held = io.BytesIO()
    FRAME.to_excel(held, index=False, engine="openpyxl")
    return held.getvalue()


def _by_pyreadstat(writer: str, folder: Path, **more: object) -> bytes:
    import pyreadstat

    path = folder / writer
    getattr(pyreadstat, writer)(FRAME.drop(columns="d"), str(path), **more)
    return path.read_bytes()


def sound_files(folder: Path) -> dict[str, tuple[bytes, dict[str, object]]]:
    """Return each kind's name, a sound file of it, and what to ask of it."""
    undated = {**ASKED, "date": None}
    made: dict[str, tuple[bytes, dict[str, object]]] = {
        "csv": (TEXT.encode(), ASKED),
        "tsv, Latin-1": (TEXT.replace(",", "\t").replace("Hueber", "Hüber").encode("latin-1"), ASKED),
        "csv, UTF-16": (TEXT.replace(",", ";").encode("utf-16"), ASKED),
        "csv, byte order mark": (TEXT.encode("utf-8-sig"), ASKED),
        "redcap": (REDCAP.encode(), {**ASKED, "session": None}),
        "qualtrics": (QUALTRICS.encode(), ASKED),
        "wide": (WIDE.encode(), WIDE_ASKED),
    }
    for path in sorted(HAVEN.iterdir()):
        if path.suffix in (".rds", ".RData", ".zsav", ".sas7bdat", ".xpt"):
            asked = {**OF_HAVEN, "sheet": "clinic"} if path.name == "two.RData" else OF_HAVEN
            made[path.name] = (path.read_bytes(), asked)
            for unpack in (gzip.decompress, bz2.decompress):  # damage that the packing would catch
                with suppress(OSError, EOFError):
                    made[f"{path.name}, unpacked"] = (unpack(path.read_bytes()), asked)
    with suppress(ImportError):
        labels = {"missing_ranges": {"x": [-99, {"lo": 900, "hi": 999}]}, "variable_value_labels": {"s": {1: "first"}}}
        made["sav"] = (_by_pyreadstat("write_sav", folder, column_labels={"x": "alliance"}, **labels), undated)
        made["dta"] = (_by_pyreadstat("write_dta", folder), undated)
        made["xpt"] = (_by_pyreadstat("write_xport", folder), undated)
    with suppress(ImportError):
        held = io.BytesIO()
        FRAME.to_parquet(held, compression=None)
        made["parquet"] = (held.getvalue(), ASKED)
        held = io.BytesIO()
        FRAME.to_feather(held, compression="uncompressed")
        made["feather"] = (held.getvalue(), ASKED)
    with suppress(ImportError):
        made["xlsx"] = (_plain_excel(), ASKED)
        merged = {**ASKED, "scores": {"x": "Scores x"}, "keep": ["Scores k"], "sheet": "Sheet"}
        made["xlsx, merged header"] = (_excel(), merged)
    return made


def members(content: bytes) -> list[str]:
    """Name the parts of a packed file, none where it is not packed."""
    if not content.startswith(b"PK"):
        return []
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return packed.namelist()


def with_member(content: bytes, name: str, change: object) -> bytes:
    """Pack the file anew with one part changed, so that the damage is not caught by the packing."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as packed, zipfile.ZipFile(held, "w") as fresh:
        for part in packed.namelist():
            inner = packed.read(part)
            fresh.writestr(part, change(inner) if part == name else inner)  # type: ignore[operator]
    return held.getvalue()
