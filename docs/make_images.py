"""Draw the figure of the README: ``python docs/make_images.py``.

The data are the simulated sessions that come with the package; the figure is stamped with it.
"""

from pathlib import Path

import alliance_stats as als
from alliance_stats.report.figures.canvas import png_bytes

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    change = als.therapist_change(als.load_dataset("simulated_alliance"), "alliance")
    path = IMAGES / "change-of-therapist.png"
    path.write_bytes(png_bytes(change.plot()))
    print(path)


if __name__ == "__main__":
    main()
