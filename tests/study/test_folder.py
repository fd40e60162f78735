"""The report folder: written whole or not at all, and nothing that is not ours is replaced."""

import json
import os
from pathlib import Path

import pytest

from alliance_stats.errors import OutputExistsError
from alliance_stats.study.folder import check_free, replaced


def write_report(folder, text="old"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps({"package": "alliance_stats"}))
    (folder / "report.html").write_text(text)
    return folder


def test_a_new_folder_is_written_with_its_parents(tmp_path):
    out = tmp_path / "a" / "b" / "report"
    with replaced(out, overwrite=False) as folder:
        (folder / "report.html").write_text("new")
        assert not out.exists()  # nothing to see before it is complete
    assert [path.name for path in out.iterdir()] == ["report.html"]
    assert [path.name for path in out.parent.iterdir()] == ["report"]


def test_the_folder_has_the_rights_that_any_new_folder_gets(tmp_path):
    (tmp_path / "plain").mkdir()
    with replaced(tmp_path / "report", overwrite=False):
        pass
    assert (tmp_path / "report").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "report").mkdir()
    with replaced(tmp_path / "report", overwrite=False) as folder:
        (folder / "x").write_text("")
    assert (tmp_path / "report" / "x").exists()


def test_an_existing_report_is_refused_without_overwrite(tmp_path):
    out = write_report(tmp_path / "report")
    with pytest.raises(OutputExistsError, match=r"exists already.*--overwrite"):
        check_free(out, overwrite=False)


def test_an_existing_report_is_replaced_with_overwrite(tmp_path):
    out = write_report(tmp_path / "report")
    with replaced(out, overwrite=True) as folder:
        (folder / "report.html").write_text("new")
        assert (out / "report.html").read_text() == "old"
    assert (out / "report.html").read_text() == "new"
    assert not (out / "results.json").exists()  # nothing of the old one is left
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize(
    "content",
    [None, "", "{}", "[]", '{"package": "another"}', "{", "\x00"],
    ids=["missing", "empty", "no package", "a list", "another package", "broken", "binary"],
)
def test_a_folder_of_somebody_else_is_never_replaced(tmp_path, content):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.docx").write_text("years of work")
    if content is not None:
        (out / "results.json").write_text(content)
    with pytest.raises(OutputExistsError, match="not a report folder"), replaced(out, overwrite=True):
        pass
    assert (out / "chapter.docx").read_text() == "years of work"


def test_a_report_folder_with_the_users_own_files_is_not_replaced(tmp_path):
    out = write_report(tmp_path / "report")
    (out / "my notes.docx").write_text("mine")
    (out / ".DS_Store").write_text("")  # the file manager's, nobody misses it
    with pytest.raises(OutputExistsError, match=r"1 entry that no report wrote \(my notes.docx\)"):
        check_free(out, overwrite=True)
    (out / "my notes.docx").unlink()
    check_free(out, overwrite=True)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "report").write_text("a file")
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError):
            check_free(tmp_path / "report", overwrite)


def test_a_link_is_refused_wherever_it_leads(tmp_path):
    write_report(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("link", "dangling"):
        with pytest.raises(OutputExistsError):
            check_free(tmp_path / name, overwrite=True)


def write_half(out, crash):
    with replaced(out, overwrite=True) as folder:
        (folder / "report.html").write_text("half")
        raise crash


@pytest.mark.parametrize("crash", [ValueError, OSError, KeyboardInterrupt])
def test_a_crash_while_writing_leaves_the_old_report_and_nothing_else(tmp_path, crash):
    out = write_report(tmp_path / "report")
    with pytest.raises(crash):
        write_half(out, crash)
    assert (out / "report.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_crash_in_the_swap_puts_the_old_report_back(tmp_path, monkeypatch):
    out = write_report(tmp_path / "report")
    rename = Path.rename

    def fails_for_the_new_one(self, target):
        if self.name.endswith(".new"):
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_the_new_one)
    with pytest.raises(OSError, match="disk full"), replaced(out, overwrite=True) as folder:
        (folder / "report.html").write_text("new")
    assert (out / "report.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_somebody_who_writes_there_meanwhile_is_not_written_over(tmp_path):
    out = tmp_path / "report"
    with pytest.raises(OutputExistsError), replaced(out, overwrite=False):
        write_report(out, "the other's")
    assert (out / "report.html").read_text() == "the other's"


def test_the_mask_for_new_files_stays_as_it_was(tmp_path):
    before = os.umask(0o027)
    try:
        with replaced(tmp_path / "report", overwrite=False):
            pass
        assert (tmp_path / "report").stat().st_mode & 0o777 == 0o750
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
