"""Logic of the TumorLens module: standard library, NumPy, VTK and slicer; no Qt.

Modules without `slicer` (client, jobs, session, reply, rationale, compare, autosave, ...) run in
any Python.
"""
