import json

import pytest
from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.errors import InputError
from brain_tumor.server.http.json_values import MAX_JSON_CHARACTERS
from brain_tumor.server.http.validation import (
    STOCK_PARAMETERS,
    Parameter,
    check_client_id,
    check_file_name,
    check_info,
    check_name,
    check_params,
    check_session_id,
    check_tag,
    parse_object,
    safe_filename,
    split_volume_name,
    volume_suffix,
)

TRAVERSALS = [
    "../x",
    "..",
    ".",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "..\\x",
    "C:x",
    ".hidden",
    "a\0b",
    "a\nb",
    "~/x",
    "",
    "a.",
    "a ",
    "x" * 201,
    "é" * 101,  # 202 bytes
]


@pytest.mark.parametrize("value", TRAVERSALS)
def test_a_file_name_that_could_leave_its_folder_is_refused(value):
    with pytest.raises(InputError, match=r"file name is .*expected"):
        check_file_name(value)


@pytest.mark.parametrize("value", TRAVERSALS)
def test_an_id_that_could_leave_its_folder_is_refused(value):
    with pytest.raises(InputError, match=r"case id is .*expected"):
        check_case_id(value)


@pytest.mark.parametrize("value", ["Müller (2) T1 KM.nii.gz", "t1+c.nii", "1.2.840.dcm", "__"])
def test_an_ordinary_file_name_is_kept(value):
    assert check_file_name(value) == value


@pytest.mark.parametrize("value", ["../x", "/abs/dir", "a b", "", "x" * 33, "-x", "final/../x"])
def test_a_tag_that_could_be_a_path_is_refused(value):
    with pytest.raises(InputError, match="tag is"):
        check_tag(value)


def test_a_stock_tag_becomes_plain_text():
    from monailabel.interfaces.datastore import DefaultLabelTag

    assert check_tag(DefaultLabelTag.FINAL) == "final"
    assert f"{check_tag(DefaultLabelTag.FINAL)}" == "final"


@pytest.mark.parametrize("value", ["a/b", "..", "", "wsi?x", "x" * 65])
def test_a_model_name_is_a_plain_word(value):
    with pytest.raises(InputError, match="model is"):
        check_name(value, "model")


@pytest.mark.parametrize("value", ["../../etc", "x", "", "0" * 36])
def test_a_session_id_is_a_uuid(value):
    with pytest.raises(InputError, match="session_id"):
        check_session_id(value)


def test_the_longest_volume_suffix_is_taken_once_from_the_end():
    assert volume_suffix("a.nii.gz") == ".nii.gz"
    assert split_volume_name("a.b.nii.gz") == ("a.b", ".nii.gz")
    assert split_volume_name("a.nii") == ("a", ".nii")
    assert split_volume_name("a.nii.gz.nii") is None  # stock clients would cut it twice
    assert split_volume_name("notes.txt") is None
    assert split_volume_name("._P001.nii.gz") is None
    with pytest.raises(InputError, match=r"expected a name ending in \.nii\.gz"):
        volume_suffix("main.py")


def test_a_path_sent_as_file_name_counts_by_its_last_part():
    assert safe_filename("/home/me/t1c.nii.gz", "x") == "t1c.nii.gz"
    assert safe_filename("C:\\data\\t1c.nii.gz", "x") == "t1c.nii.gz"
    assert safe_filename(None, "x.nii.gz") == "x.nii.gz"
    with pytest.raises(InputError):
        safe_filename("a/..", "x")


@pytest.mark.parametrize("text", ["{", "[1]", "3", '{"a": NaN}', '{"a": Infinity}', "[" * 100_000])
def test_a_form_field_that_is_no_json_object_is_refused(text):
    with pytest.raises(InputError, match="params"):
        parse_object(text, "params")


def test_an_overlong_form_field_is_refused():
    text = json.dumps({"a": "x" * MAX_JSON_CHARACTERS})
    with pytest.raises(InputError, match="characters"):
        parse_object(text, "params")


def test_a_missing_form_field_is_an_empty_object():
    assert parse_object("", "params") == {}
    assert parse_object(None, "params") == {}


@pytest.mark.parametrize("key", ["image", "model", "label", "session", "result_path", "device_id"])
def test_params_cannot_override_what_the_request_is_about(key):
    with pytest.raises(InputError, match=key):
        check_params({key: "/etc/passwd"}, STOCK_PARAMETERS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("label_tag", "final"),
        ("label_tag", "../../x"),
        ("result_extension", ".py"),
        ("result_extension", "/../../x.nrrd"),
        ("result_dtype", "float32"),
        ("save_label", "perhaps"),
        ("save_label", 1),
        ("client_id", 7),
        ("client_id", "x" * 200),
        ("client_id", "a\nb"),
    ],
)
def test_a_param_outside_its_choices_is_refused(key, value):
    with pytest.raises(InputError, match=rf"params\.{key}"):
        check_params({key: value}, STOCK_PARAMETERS)


def test_params_of_the_stock_slicer_plugin_pass_and_defaults_are_filled_in():
    sent = {"result_extension": ".nrrd", "result_dtype": "uint8", "client_id": "user-xyz"}
    checked = check_params(sent, STOCK_PARAMETERS)
    assert checked["result_extension"] == ".nrrd"
    assert checked["client_id"] == "user-xyz"
    assert checked["save_label"] is False
    assert checked["label_tag"] == "original"


def test_a_bool_may_come_as_text_but_a_number_may_not_come_as_bool():
    assert check_params({"save_label": "true"}, STOCK_PARAMETERS)["save_label"] is True
    with pytest.raises(InputError, match="bool"):
        check_params({"n": True}, {"n": Parameter((int,))})


def test_information_that_the_server_writes_cannot_be_sent():
    assert check_info({"label_info": []}, "params") == {"label_info": []}
    with pytest.raises(InputError, match="path"):
        check_info({"path": "/x"}, "info")


def test_a_client_id_is_a_short_text():
    check_client_id({})
    check_client_id({"client_id": None})
    with pytest.raises(InputError, match="client_id"):
        check_client_id({"client_id": {"a": 1}})
