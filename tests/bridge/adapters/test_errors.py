import copy
import pickle

import pytest

from bridge.adapters import errors
from bridge.adapters.errors import AdapterError, DeadlineExceeded, Forbidden, Unavailable

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AdapterError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_operation_fixed_text_and_code(kind):
    error = kind("consul kv get", code="403")
    assert str(error) == f"consul kv get: {kind.text} (403)"
    assert kind.text


@pytest.mark.parametrize("kind", KINDS)
def test_survives_pickle_and_copy(kind):
    for again in (
        pickle.loads(pickle.dumps(kind("op", code="9"))),
        copy.copy(kind("op", code="9")),
    ):
        assert (type(again), again.operation, again.code) == (kind, "op", "9")


def test_error_type_is_the_code_or_the_class():
    assert Forbidden("op", code="403").error_type == "403"
    assert Forbidden("op").error_type == "Forbidden"


def test_a_timeout_is_also_a_builtin_timeout_and_may_be_retried():
    assert issubclass(DeadlineExceeded, TimeoutError)
    assert issubclass(DeadlineExceeded, Unavailable)
    assert DeadlineExceeded.retryable
    assert not Forbidden.retryable
