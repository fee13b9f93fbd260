"""`import brain_tumor`: what other programs build on, and the example of the README."""

import re
import subprocess
import sys
from pathlib import Path

import brain_tumor
import pytest
from brain_tumor.cases.files.writers import write_volume
from brain_tumor.cases.sequences import Sequence
from brain_tumor.labels import TumorType
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom

README = Path(__file__).parents[2] / "README.md"
SAMPLE = "studies/samples/meningioma-t1c.nii.gz"


def the_example():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    return blocks[0]


def test_ten_names_are_given_and_each_is_there():
    assert len(brain_tumor.__all__) == 10
    for name in brain_tumor.__all__:
        assert getattr(brain_tumor, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'segment'"):
        brain_tumor.segment  # noqa: B018


def test_importing_the_package_loads_nothing_that_is_large():
    code = "import sys, brain_tumor; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.strip() == b"[]"


def test_the_example_of_the_readme_is_short_and_uses_only_what_is_promised():
    code = the_example()
    assert len([line for line in code.splitlines() if line]) == 5
    assert set(re.findall(r"brain_tumor\.(\w+)", code)) <= set(brain_tumor.__all__)


@pytest.mark.model
def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    spec = PhantomSpec(
        seed=8,
        tumor=TumorType.MENINGIOMA,
        sequences=(Sequence.T1C,),
        skull_stripped=False,
        spacing_mm=(1.5, 1.5, 5.0),
    )
    (tmp_path / SAMPLE).parent.mkdir(parents=True)
    write_volume(tmp_path / SAMPLE, make_phantom(spec).case.volumes[Sequence.T1C])
    monkeypatch.chdir(tmp_path)
    exec(compile(the_example(), str(README), "exec"), {})
    assert "TC" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"labelmap.nii.gz", "heatmap.nii.gz", "report.json", "report.html"} <= names
