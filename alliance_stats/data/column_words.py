"""What a source itself says about its columns: labels, value labels, codes for missing values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class ColumnWords:
    """What a source says about one column.

    Parameters
    ----------
    label : str
        The variable label, or the text of the question.
    value_labels : mapping of str to str
        Value labels: code to label.
    missing : tuple of str
        Codes (or ranges, ``"8 to 9"``) that the source declares as missing; they are missing in the column.
    made_from : str
        How the column came about, where it is no column of the source.
    """

    label: str = ""
    value_labels: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    made_from: str = ""
