"""Fourteen WAI-36 forms with the totals that their file stored: answers to items 1 to 36, task, bond, goal.

From github.com/IanSteenstra/ai-psychotherapy-eval, dataset/survey_wai_logs.csv (commit a597ad0, Apache-2.0; Steenstra
et al., 2026, arXiv:2602.19948), words written as numbers. The patients are simulated. The file reverses item 28 for
item 29 in its bond totals.
"""

import pandas as pd

ROWS = (
    ("512121445767316156441141127111515614", 28, 41, 20),
    ("411121452566517155521141127111415415", 29, 47, 29),
    ("211122142765515146511121127111515114", 34, 45, 32),
    ("511127141776416137411121117111616112", 30, 37, 37),
    ("515211546566115153241121116111615714", 23, 35, 19),
    ("717111527677116125261111117411716712", 20, 20, 13),
    ("517112646577145151321132116111716715", 17, 40, 20),
    ("573777151111771777717767772715171177", 84, 65, 79),
    ("657765342211671256512546651713661645", 64, 47, 61),
    ("537624544556671167642457245712764617", 49, 45, 40),
    ("647775525451671137451527121713755714", 50, 32, 49),
    ("717111717777177111111111117171717711", 12, 30, 18),
    ("171177171111771177717777171517111177", 72, 74, 72),
    ("417123446475425155612141145511725615", 26, 47, 25),
)


def wai_frame():
    """One row per form: ``patient_id, session, wai_01`` to ``wai_36``, and the stored totals."""
    frame = pd.DataFrame([[int(digit) for digit in row[0]] for row in ROWS])
    frame.columns = [f"wai_{item:02d}" for item in range(1, 37)]
    stored = pd.DataFrame([row[1:] for row in ROWS], columns=["stored_task", "stored_bond", "stored_goal"])
    who = pd.DataFrame({"patient_id": [f"p{row:02d}" for row in range(len(ROWS))], "session": 1})
    return pd.concat([who, frame, stored], axis=1)
