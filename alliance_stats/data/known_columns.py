"""Usual names of columns, and what a higher value means on known measures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from alliance_stats.data.codebook import Direction

#: Role to usual names, the surest first; compared without case, spaces and punctuation.
KEY_NAMES = {
    "patient": (
        *("patientid", "patient", "pid", "patid", "pat", "patientnr", "patientno", "patientcode"),
        *(
            "clientid",
            "client",
            "cid",
            "participantid",
            "participant",
            "subjectid",
            "subject",
            "caseid",
            "recordid",
            "id",
        ),
        *("klient", "klientid", "patientin"),
    ),
    "therapist": (
        *("therapistid", "therapist", "tid", "therapistnr", "therapistno", "therapistcode", "clinicianid", "clinician"),
        *("counselorid", "counselor", "counsellorid", "counsellor", "providerid", "provider"),
        *("therapeut", "therapeutid", "therapeutin"),
    ),
    "session": (
        *("session", "sessionnr", "sessionno", "sessionnumber", "sessionnum", "sess", "sessnr", "sessno", "sitzung"),
        *("sitzungsnr", "sitzungsnummer", "occasion", "visit", "time", "timepoint"),
    ),
    "date": ("date", "sessiondate", "dateofsession", "visitdate", "datum", "sitzungsdatum"),
    "site": ("siteid", "site", "clinicid", "clinic"),
    "phase": ("phase", "treatmentphase"),
}
_ENDINGS = re.compile(r"(?:total|mean|score|sum|tot|avg)$")


@dataclass(frozen=True)
class Measure:
    """A measure whose direction is known.

    Parameters
    ----------
    label : str
        Its usual name.
    higher : {"better", "worse"} or None
        What a higher value means; None where it is not known.
    """

    label: str
    higher: Direction | None


_WAI = {"wai": "WAI", "waisr": "WAI-SR", "wais": "WAI-S", "waip": "WAI (patient)", "waic": "WAI (client)"}
_OTHER_ALLIANCE = {"haq": "HAq", "haq2": "HAq-II", "haqii": "HAq-II", "calpas": "CALPAS", "srs": "SRS", "arm": "ARM"}
#: Alliance measures; a higher alliance is better on all of them.
ALLIANCE_MEASURES = {
    "alliance": Measure("", "better"),
    **{name: Measure(label, "better") for name, label in {**_WAI, **_OTHER_ALLIANCE}.items()},
}
THERAPIST_ALLIANCE_MEASURES = {
    "alliancetherapist": Measure("", "better"),
    "therapistalliance": Measure("", "better"),
    **dict.fromkeys(("wait", "waitherapist", "waitherapistversion"), Measure("WAI (therapist)", "better")),
}
_WORSE = {
    **{"bai": "BAI", "phq9": "PHQ-9", "gad7": "GAD-7", "bdi": "BDI", "bdi2": "BDI-II", "bdiii": "BDI-II"},
    **{"oq45": "OQ-45", "oq452": "OQ-45.2", "core10": "CORE-10", "coreom": "CORE-OM"},
}
#: Outcome measures. A column that is only called "outcome" or "symptoms" has no known direction.
OUTCOME_MEASURES = {
    "outcome": Measure("", None),
    **{name: Measure(label, "worse") for name, label in _WORSE.items()},
    "ors": Measure("ORS", "better"),
    "symptoms": Measure("", None),
}


def plain_name(column: str) -> str:
    """Write a column name without case, spaces and punctuation: ``"Patient ID"`` → ``"patientid"``."""
    return re.sub(r"[\W_]+", "", column.casefold())


def find_key(role: str, columns: Sequence[str]) -> list[str]:
    """List the columns with a usual name for this role, the surest first."""
    names = KEY_NAMES[role]
    found = [column for column in columns if plain_name(column) in names]
    return sorted(found, key=lambda column: names.index(plain_name(column)))


def find_measures(measures: dict[str, Measure], columns: Sequence[str]) -> list[tuple[str, Measure]]:
    """List the columns that are one of these measures: first those called by the plain word, then in file order."""
    found = []
    for column in columns:
        plain = plain_name(column)
        measure = measures.get(plain) or measures.get(_ENDINGS.sub("", plain))
        if measure is not None:
            found.append((column, measure))
    return sorted(found, key=lambda pair: pair[1].label != "")
