"""SimpleITK for typed code; its generated bindings carry no annotations."""

from __future__ import annotations

from typing import Any

import SimpleITK

itk: Any = SimpleITK
