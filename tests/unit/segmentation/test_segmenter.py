"""Which models make the segmenter of a folder."""

import logging

import pytest
from brain_tumor.errors import ModelError
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.segmenter import load_segmenter, segmenter_models

ALL = ["classification", "segmentation", "tumor_core", "whole_head"]


def test_whole_heads_take_part_where_there_is_their_model(caplog):
    assert segmenter_models(ALL) == (
        ModelName.SEGMENTATION,
        ModelName.WHOLE_HEAD,
        ModelName.TUMOR_CORE,
    )
    assert not caplog.records


def test_a_folder_without_it_serves_and_says_what_is_lost(caplog):
    with caplog.at_level(logging.WARNING):
        names = segmenter_models([name for name in ALL if name != "whole_head"])
    assert names == (ModelName.SEGMENTATION, ModelName.TUMOR_CORE)
    assert "heads with skull are outlined badly" in caplog.text


def test_a_missing_folder_and_missing_models_are_refused(tmp_path):
    with pytest.raises(ModelError, match="'nowhere' does not exist"):
        load_segmenter(tmp_path / "nowhere")
    with pytest.raises(ModelError):
        load_segmenter(tmp_path)
