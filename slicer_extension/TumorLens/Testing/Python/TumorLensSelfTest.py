"""Self-test of the module, for desktop Slicer and the harness: no network, no pytest.

It plays a whole correction against a client made here, on data made here.
"""

import tempfile
import time
import unittest

import numpy as np
import slicer

SHAPE = (20, 24, 28)


class MadeUpClient:
    """Answers like a server, from memory."""

    def __init__(self):
        from TumorLensLib.transport import parse_address
        from TumorLensLib.volumefiles import VolumeData

        self.address = parse_address("127.0.0.1:8000")
        k, j, i = np.indices(SHAPE)
        distance = (k - 10) ** 2 + (j - 12) ** 2 + (i - 14) ** 2
        labels = np.zeros(SHAPE, np.uint8)
        labels[distance < 49] = 2
        labels[distance < 16] = 3
        grid = np.diag([-1.0, -1.0, 2.0, 1.0])
        self.labels = VolumeData(labels, grid)
        self.image = VolumeData((200 - distance).clip(0).astype(np.int16), grid)
        self.heat = VolumeData(np.exp(-distance / 20.0).astype(np.float32), grid)
        self.received = None

    def bound(self, _token):
        return self

    def info(self):
        return {"name": "made up", "version": "1", "models": {"analysis": {}}, "strategies": {}}

    def infer(self, _task, _query, _params, _label=None):
        from TumorLensLib.client import InferReply

        time.sleep(0.2)
        params = {
            "schema_version": "1.0",
            "segmentation": {"scheme": "subregions"},
            "classification": {"prediction": "glioma", "probabilities": {"glioma": 1.0}},
            "heatmap": {"method": "gradcam++", "part": "heatmap", "scale": 1.0},
            "rationale": {"sentences": [{"id": "s1", "text": "Because.", "evidence": []}]},
        }
        files = {"image": self.labels, "heatmap": self.heat, "uncertainty": self.heat}
        return InferReply(params, files)

    def submit_label(self, _case, label, _params):
        self.received = label.array
        return {"version": 1}

    def release(self, _case):
        return {}

    def case_statuses(self):
        return [{"id": "case", "status": "submitted"}]


class TumorLensSelfTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        self.controller = slicer.util.getModuleWidget("TumorLens").controller
        self.client = MadeUpClient()
        self.confirmed = []
        self.dialogs, self.controller.dialogs = self.controller.dialogs, self
        self.controller.autosave.folder = type(self.controller.autosave.folder)(tempfile.mkdtemp())

    def tearDown(self):
        self.controller.dialogs = self.dialogs
        slicer.mrmlScene.Clear()

    def confirm(self, text, _title, **_):
        self.confirmed.append(text)
        return True

    def wait(self, seconds=20):
        end = time.time() + seconds
        while self.controller.jobs.is_running:
            self.assertLess(time.time(), end)
            slicer.app.processEvents()
            time.sleep(0.01)

    def test_a_whole_correction(self):
        from TumorLensLib.segments import segment_ids
        from TumorLensLib.session import Case

        controller, ui = self.controller, self.controller.ui
        controller.connected(self.client, self.client.info())
        self.wait()
        controller.workspace.open_case(Case("case"), self.client.image)
        controller.case_changed()
        started = time.time()
        ui.analyseButton.click()
        self.assertLess(time.time() - started, 0.1)
        self.wait()
        node = controller.workspace.segmentation
        self.assertEqual(node.GetSegmentation().GetNumberOfSegments(), 3)

        ui.explainButton.click()
        self.assertIn("Because.", ui.rationaleView.plainText)
        self.assertTrue(controller.workspace.heat.is_visible)

        ui.uncertainCheck.checked = True
        identity = controller.workspace.uncertainty.node.GetID()
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            self.assertEqual(view.GetNthLayerVolumeID(view.Layer_Last), identity)
            self.assertEqual(view.GetForegroundVolumeID(), controller.workspace.heat.node.GetID())

        image = controller.workspace.image
        enhancing = segment_ids(node)[3][0]
        mask = np.array(slicer.util.arrayFromSegmentBinaryLabelmap(node, enhancing, image))
        mask[:10] = 0
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, enhancing, image)
        self.assertTrue(controller.session.is_edited)

        ui.submitButton.click()
        self.wait()
        expected = self.client.labels.array.copy()
        expected[:10][expected[:10] == 3] = 0
        np.testing.assert_array_equal(self.client.received, expected)
        self.assertFalse(controller.session.is_edited)
