"""Desktop Slicer's surroundings on top of slicer-core and PySide6, for tests.

MRML, logics, displayable managers and `slicer.util` are the real ones of the slicer-core package;
Qt is the real Qt of PySide6, dressed as PythonQt. What only the desktop application has is stood in
for. README.md of the extension lists what this cannot prove.
"""
