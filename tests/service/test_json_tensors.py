import json

import numpy as np
import pytest

from twoface.core.errors import InputError
from twoface.service.json_tensors import JsonBody, dump_json


def read(text, kind="d", most=100):
    body = JsonBody(text.encode())
    array = body.array(body.root["a"], "a", most, kind)
    body.check_nesting(0)
    return array


def test_numbers_keep_nesting_and_value():
    values = np.random.default_rng(0).random((2, 3, 4, 2))
    np.testing.assert_array_equal(read(json.dumps({"a": values.tolist()})), values)
    np.testing.assert_array_equal(read('{"a": [0, 255]}', "u"), [0, 255])
    np.testing.assert_array_equal(read('{"a": [[1, 2.5, -3]], "b": "[["}'), [[1, 2.5, -3]])


def test_float32_comes_back_bit_for_bit():
    values = np.random.default_rng(1).random((5, 7), dtype=np.float32)
    again = np.array(json.loads(dump_json({"a": values}))["a"], np.float32)
    np.testing.assert_array_equal(again, values)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [[1, 2], [3]]}',
        '{"a": [[1, 2], [3], [4, 5, 6]]}',
        '{"a": [[1, 2], 3, [4, 5]]}',
        '{"a": [1, [2]]}',
        '{"a": [[1, 2, [3]]]}',
        '{"a": [[1, 2], [3, []]]}',
        '{"a": [[1, 2], [[3], 4]], "b": "[[["}',
        '{"a": []}',
        '{"a": [[[[[1]]]]]}',
        '{"a": 3}',
        '{"a": null}',
        '{"a": "1"}',
        '{"a": [1, "2"]}',
        '{"a": [1, true]}',
        '{"a": [1, null]}',
        '{"a": [1, {}]}',
        '{"a": [NaN]}',
        '{"a": [1e999]}',
        '{"a": [1, 2',
        '["a"]',
        '{"a": ' + "[" * 2000 + "]" * 2000 + "}",
        "\udcff",
        "",
    ],
)
def test_what_is_no_even_tensor_is_refused(text):
    with pytest.raises(InputError):
        body = JsonBody(text.encode("utf-8", "surrogateescape"))
        body.array(body.root["a"], "a", 100)
        body.check_nesting(0)


def test_whole_numbers_only_where_bytes_are_meant():
    with pytest.raises(InputError, match="no number of its type"):
        read('{"a": [1, 2.5]}', "u")
    with pytest.raises(InputError, match="no number of its type"):
        read('{"a": [1, -2]}', "u")


def test_too_many_numbers_are_refused_before_they_are_looked_at():
    with pytest.raises(InputError, match="at most 100"):
        read(json.dumps({"a": [[0]] * 101}))
