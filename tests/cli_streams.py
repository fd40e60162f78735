"""Exit codes of the command line, and what it says on its streams."""

DONE, OUR_FAULT, INPUT_AT_FAULT, NOT_CONVERGED = 0, 1, 2, 3


def assert_refused(capsys, message):
    """What is wrong stands on the standard error, in words, and nothing on the standard output."""
    streams = capsys.readouterr()
    assert message in streams.err
    assert "Traceback" not in streams.err
    assert streams.out == ""


def assert_fault_of_ours(run, sheet, out, capsys, monkeypatch):
    """A fault in the package says where, and leaves the report that stood there as it was; return what was said."""
    from alliance_stats.study import written

    assert run(sheet, "--out", out, "--quiet") == DONE
    before = (out / "report.html").read_bytes()
    monkeypatch.setattr(written, "render_html", lambda document: 1 / 0)
    assert run(sheet, "--out", out, "--overwrite") == OUR_FAULT
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert (out / "report.html").read_bytes() == before
    return error


def assert_unwritable_is_the_users_to_change(run, sheet, folder, capsys):
    """A file stands where the folder should be."""
    (folder / "file").write_text("")
    assert run(sheet, "--out", folder / "file" / "out") == INPUT_AT_FAULT
    assert "Traceback" not in capsys.readouterr().err


def assert_replaced_only_when_asked(run, sheet, out, capsys):
    """An existing report stays as it is without --overwrite."""
    assert run(sheet, "--out", out, "--quiet") == DONE
    page = out / "report.html"
    page.write_text("old")
    assert run(sheet, "--out", out) == INPUT_AT_FAULT
    assert "--overwrite" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "old"
    assert run(sheet, "--out", out, "--overwrite", "--quiet") == DONE
    assert page.read_text(encoding="utf-8") != "old"
