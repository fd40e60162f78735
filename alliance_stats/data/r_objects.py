"""Objects of R files (``.rds``, ``.RData``), through the library rdata: no R is needed, nothing is run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alliance_stats.errors import DataError, MissingExtraError


def r_objects(path: Path) -> Mapping[str, Any]:
    """Read the named objects of an ``.RData`` file, or the parts of the list in an ``.rds`` file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    mapping of str to object
        Data frames as pandas frames, arrays as numpy arrays.

    Raises
    ------
    DataError
        If the file is no R file, or holds something else than a list or named objects.
    MissingExtraError
        If rdata is not installed.
    """
    try:
        import rdata
    except ImportError as error:
        raise MissingExtraError(
            f"{path.name} is a file of R, and rdata is not installed. Run pip install 'alliance-stats[data]'."
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # classes that rdata does not know are read as what they are made of
            found = rdata.conversion.convert(rdata.parser.parse_file(path))
    except OSError:
        raise
    except Exception as error:  # the library raises whatever a damaged file leads it to
        raise DataError(f"{path.name} cannot be read as a file of R ({type(error).__name__}: {error}).") from error
    if not isinstance(found, Mapping):
        raise DataError(f"{path.name} holds 1 {type(found).__name__}, not a list of named objects.")
    return {str(name): value for name, value in found.items()}
