"""Every record of metafor, clubSandwich and robumeta: matched, or skipped with the reason.

python -m pytest tests/meta/test_metafor_records.py -rs -s        the count, and what was skipped
"""

import re

import checks_bias
import checks_influence
import checks_multilevel
import checks_univariate
import pytest
from metafor_records import folder, needs_golden, records

DATASETS = (
    *("dat_raudenbush1985", "dat_molloy2014", "dat_konstantopoulos2011", "dat_assink2016"),
    *("mac_positive_regard_es", "mac_positive_regard_studies"),
)
CHECKS = {**checks_univariate.CHECKS, **checks_multilevel.CHECKS, **checks_influence.CHECKS, **checks_bias.CHECKS}
#: Records that are not compared, with the reason. Where `check` and `skip` both fit, the record is skipped.
SKIPPED = {
    r"rma_DLIT": "not to be used: its value differs by metafor's version",
    r"ml3_V06_confint": "metafor found no limits (its warnings say so)",
    r"dat_assink2016:ml3_(V06_)?mods_coef_test_CR3": "not to be used where one study identifies a coefficient",
    r"confint_GENQ": "metafor's limits have tails that are off by up to 4e-4; compared as far as that in a test below",
    r"hc_henmi_copas": "Henmi and Copas' interval: not asked for",
    r"dat_raudenbush1985:(selmodel_.*|mods_weeks_selmodel)": "not to be used: selection models of this data set",
}


def _all():
    return [(dataset, record) for dataset in DATASETS for record in records(dataset)] if folder() else []


def _fitting(table, record, dataset=""):
    """The entry whose pattern is that of a record, or of one in this data set only (``dataset:record``)."""
    names = (record, f"{dataset}:{record}")
    return next((value for pattern, value in table.items() if any(re.fullmatch(pattern, name) for name in names)), None)


@needs_golden
@pytest.mark.parametrize(("dataset", "record"), _all(), ids=lambda value: value)
def test_record(dataset, record):
    reason = _fitting(SKIPPED, record, dataset)
    if reason:
        pytest.skip(f"{dataset} {record}: {reason}")
    check = _fitting(CHECKS, record)
    assert check is not None, "the record is neither checked nor skipped with a reason"
    check(dataset, record)


@needs_golden
def test_every_record_is_matched_or_has_a_reason(capsys):
    every = _all()
    skipped = {key: reason for key in every if (reason := _fitting(SKIPPED, key[1], key[0]))}
    matched = [key for key in every if key not in skipped and _fitting(CHECKS, key[1])]
    reasons: dict[str, list[str]] = {}
    for (dataset, record), reason in skipped.items():
        reasons.setdefault(reason, []).append(f"{dataset}:{record}")
    with capsys.disabled():
        print(f"\n{len(matched)} of {len(every)} records of metafor, clubSandwich and robumeta matched; skipped:")
        for reason, names in reasons.items():
            print(f"  {len(names):3d}  {reason} ({names[0]}{', …' if len(names) > 1 else ''})")
    assert len(matched) + len(skipped) == len(every)


@needs_golden
@pytest.mark.parametrize("dataset", [name for name, record in _all() if record == "confint_GENQ"])
def test_limits_by_the_law_of_q_agree_as_far_as_the_reference_is_exact(dataset):
    checks_univariate.check_generalised_interval(dataset, "confint_GENQ")
