"""Delimiter, encoding, header and lines of a text file."""

import numpy as np
import pytest

from alliance_stats.data.read_delimited import read_delimited
from alliance_stats.data.read_file import read_file, read_header
from alliance_stats.data.read_options import ReadOptions
from alliance_stats.errors import DataError


def every_column(header):
    return {name: position for position, name in enumerate(header)}


@pytest.fixture
def read(tmp_path):
    def read_content(content, **options):
        path = tmp_path / "file.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return read_file(path, every_column, ReadOptions(**options))

    return read_content


@pytest.mark.parametrize(("delimiter", "word"), [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_delimiter_is_found(read, delimiter, word):
    raw = read(f"id{delimiter}wai\n007{delimiter}3\n")
    assert raw.columns["id"].tolist() == ["007"]
    assert raw.reading["delimiter"] == f"{word} (found)"


def test_semicolon_wins_over_decimal_commas(read):
    raw = read("id;wai;bai\n1;3,5;2,5\n2;4,5;1,5\n")
    assert raw.columns["wai"].tolist() == ["3,5", "4,5"]


def test_delimiters_inside_quotes_do_not_count(read):
    raw = read('id,note\n1,"a;b;c"\n2,"d;e,f"\n')
    assert raw.columns["note"].tolist() == ["a;b;c", "d;e,f"]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-8", "UTF-8 (found)"),
        ("utf-8-sig", "UTF-8 with byte order mark (found)"),
        ("utf-16", "UTF-16 (found)"),
        ("utf-16-le", "UTF-16-LE (found)"),
        ("utf-16-be", "UTF-16-BE (found)"),
        ("cp1252", "Windows-1252 (cp1252) (found)"),
    ],
)
def test_encoding_is_found(read, encoding, words):
    raw = read("patient;größe\nJürgen;3\n".encode(encoding))
    assert raw.columns["patient"].tolist() == ["Jürgen"]
    assert list(raw.columns) == ["patient", "größe"]
    assert raw.reading["encoding"] == words


def test_given_encoding_is_used_and_reported(read):
    raw = read("patient;x\nJürgen;3\n".encode("mac-roman"), encoding="mac-roman")
    assert raw.columns["patient"].tolist() == ["Jürgen"]
    assert raw.reading["encoding"] == "MAC-ROMAN (given)"


def test_a_wrong_encoding_says_so(read):
    with pytest.raises(DataError, match="cannot be read as ascii"):
        read("patient;x\nJürgen;3\n", encoding="ascii")


def test_blank_lines_are_left_out_and_lines_still_counted(read):
    raw = read("a;b\n1;2\n\n;\n3;4\n\n\n")
    assert raw.columns["a"].tolist() == ["1", "3"]
    assert raw.places.tolist() == [2, 5]
    assert raw.n_rows == 2


def test_line_breaks_inside_quotes_are_counted(read):
    raw = read('a;b\n"x\ny";2\n3;4\n')
    assert raw.places.tolist() == [2, 4]  # the first row fills lines 2 and 3


def test_excels_own_first_line_is_understood(read):
    raw = read("sep=;\r\na;b\r\n1;2\r\n")
    assert raw.columns["b"].tolist() == ["2"]
    assert raw.places.tolist() == [3]


def test_spaces_around_column_names_are_no_part_of_them(read):
    assert list(read(" a ; b\n1;2\n").columns) == ["a", "b"]


def test_the_first_row_is_held_to_the_header_too(read):
    # pandas by itself would cut the first row, and with it every row after it, to two fields
    raw = read("a,b\n1,2,3\n4,5\n6,7,8\n")
    assert raw.columns["a"].tolist() == ["4"]
    assert raw.long_lines == (2, 4)


def test_a_long_line_far_down_is_found(read):
    n = 300_000  # more than one piece
    raw = read("a,b\n" + "1,2\n" * n + "1,2,3\n" + "4,5\n" * 10)
    assert raw.n_rows == n + 10
    assert raw.long_lines == (n + 2,)
    assert np.array_equal(raw.places[-2:], [n + 11, n + 12])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"file\.csv is empty"),
        (b"\n\n  \n", "is empty"),
        (b"a;b;c\n", r"a header \(3 columns\) and 0 rows"),
        (b"a;b\n;\n\n", "0 rows"),
        (b"wai\n1\n2\n", "1 column only.*Give delimiter="),
        (b"a,b\n1,2,3\n4,5,6\n", "header has 2 fields, but line 2 has 3"),
        (b'a,b\n1,2\n"3,4\n', "1 quotation mark is never closed \\(opened at line 3\\)"),
        (b"PK\x03\x04rest", "spreadsheet.*Save the sheet as CSV"),
        (b"$FL2@(#) SPSS", "file of SPSS"),
        (b"a,b\n1,\x002\n", "no text file"),
        (b",\n,\n", "no header line"),
    ],
)
def test_what_is_no_table_says_so(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)


def test_a_misspelt_file_name_gets_the_nearest(tmp_path):
    (tmp_path / "clinic.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"no file .*clinc\.csv.*Did you mean 'clinic\.csv'"):
        read_header(tmp_path / "clinc.csv")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_header(tmp_path)


def test_a_column_name_that_stands_twice_is_refused_only_when_wanted(tmp_path):
    from alliance_stats.data.read_sessions import read_sessions

    path = tmp_path / "twice.csv"
    path.write_text("p,s,x,x\na,1,2,3\n")
    assert len(read_sessions(path, patient="p", session="s", scores={})) == 1
    with pytest.raises(DataError, match=r"2 columns named 'x' \(3, 4; asked for as score 'x'\)"):
        read_sessions(path, patient="p", session="s", scores=["x"])


def test_the_reader_of_text_alone_refuses_other_kinds(tmp_path):
    (tmp_path / "effects.csv").write_bytes(b"PAR1rest")
    with pytest.raises(DataError, match=r"no text file, but looks like one of Parquet\. Save the table as CSV"):
        read_delimited(tmp_path / "effects.csv", every_column, ReadOptions())
