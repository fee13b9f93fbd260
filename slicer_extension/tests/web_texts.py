"""The Korean of the page is that of the panel: `texts.json` takes the server's sentences from here.

python -m slicer_extension.tests.web_texts   # writes them into texts.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "slicer_extension" / "TumorLens"
PAGE_TEXTS = ROOT / "apps" / "brain_tumor" / "server" / "web" / "texts.json"
COMMAND = "python -m slicer_extension.tests.web_texts"


def from_the_panel() -> dict[str, dict[str, str]]:
    """What `texts.json` has to hold: own texts of the page, and what the server may say."""
    if str(EXTENSION) not in sys.path:
        sys.path.insert(0, str(EXTENSION))
    from TumorLensLib.korean import KOREAN
    from TumorLensLib.korean_measurements import MEASUREMENTS, MISSING, PLACES
    from TumorLensLib.korean_replies import WORDS
    from TumorLensLib.told import SENTENCES

    own = json.loads(PAGE_TEXTS.read_text(encoding="utf-8"))["page"]
    said = {**SENTENCES, **WORDS, **MEASUREMENTS, **MISSING, **PLACES}
    return {
        "page": {english: KOREAN.get(english, own[english]) for english in sorted(own)},
        "server": {english: said[english] for english in sorted(said)},
    }


def main() -> None:
    """Write them."""
    text = json.dumps(from_the_panel(), ensure_ascii=False, indent=1)
    PAGE_TEXTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
