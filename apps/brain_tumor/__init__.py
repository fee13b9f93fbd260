"""TumorLens: segment a brain tumour, name its type, show and say why.

Research use only; not a medical device.
"""

from __future__ import annotations

__version__ = "0.1.0"
