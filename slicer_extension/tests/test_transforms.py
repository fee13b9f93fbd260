"""Registrations of the server in the scene."""

import numpy as np
import pytest

pytestmark = pytest.mark.slicer

MOTION = [[0.0, -1.0, 0.0, 5.0], [1.0, 0.0, 0.0, -2.0], [0.0, 0.0, 1.0, 7.0], [0.0, 0.0, 0.0, 1.0]]
REPLY = {
    "registration": [
        {"sequence": "t1", "reference": "t1c", "status": "fits", "matrix": np.eye(4).tolist()},
        {"sequence": "t2", "reference": "t1c", "status": "registered", "matrix": MOTION},
        {"sequence": "flair", "reference": "t1c", "status": "left out", "matrix": None},
    ]
}


def shown():
    from TumorLensLib import volumes

    nodes = volumes.of_class("vtkMRMLLinearTransformNode")  # those of slice planes among them
    return [node for node in nodes if node.GetAttribute(volumes.OWNER) == "registration"]


def test_a_registered_sequence_has_a_transform_that_moves_it_onto_the_reference(scene):
    import slicer
    from TumorLensLib.transforms import Transforms

    Transforms().show(REPLY)
    (node,) = shown()
    assert node.GetName() == "t2 onto t1c"
    moved = slicer.util.arrayFromVTKMatrix(node.GetMatrixTransformToParent())
    # a point at (1, 0, 0) turns by a quarter and goes along: (0, 1, 0) + (5, -2, 7)
    assert (moved @ [1, 0, 0, 1]).tolist() == [5.0, -1.0, 7.0, 1.0]


def test_another_reply_replaces_them_and_closing_takes_them_out(scene):
    from TumorLensLib.transforms import Transforms

    transforms = Transforms()
    transforms.show(REPLY)
    transforms.show(REPLY)
    assert len(shown()) == 1
    transforms.drop()
    assert shown() == []


@pytest.mark.parametrize("matrix", [None, [[1.0]], "no", [[float("nan")] * 4] * 4])
def test_a_reply_without_a_usable_matrix_offers_nothing(scene, matrix):
    from TumorLensLib.transforms import matrices

    entry = {"sequence": "t2", "reference": "t1c", "status": "registered", "matrix": matrix}
    assert matrices({"registration": [entry]}) == {}
    assert matrices({"registration": "t2"}) == matrices({}) == {}
