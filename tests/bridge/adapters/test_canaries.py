import logging

import pytest

from bridge.adapters.errors import Forbidden
from bridge.adapters.redaction import Secret
from tests.bridge.adapters.canaries import Canaries
from tests.servers.watchers import Telemetry


def leak_in_a_span_name(secret, telemetry):
    telemetry.tracer.start_span(f"get {secret}").end()


def leak_in_an_attribute(secret, telemetry):
    telemetry.tracer.start_span("get", attributes={"consul.key": f"config/{secret}"}).end()


def leak_in_a_status(secret, telemetry):
    with pytest.raises(OSError), telemetry.tracer.start_as_current_span("get"):
        raise OSError(secret)


def leak_in_a_metric(secret, telemetry):
    telemetry.meter_provider.get_meter("test").create_counter("calls").add(1, {"key": secret})


def leak_in_a_log(secret, telemetry):
    logging.getLogger("bridge.adapters").warning("lost %s", secret)


@pytest.mark.parametrize(
    ("leak", "place"),
    [
        (leak_in_a_span_name, "spans"),
        (leak_in_an_attribute, "spans"),
        (leak_in_a_status, "spans"),
        (leak_in_a_metric, "metrics"),
        (leak_in_a_log, "logs"),
    ],
)
def test_a_secret_that_is_exported_is_found_and_not_told(leak, place):
    own, telemetry = Canaries(), Telemetry()
    secret = own.make("token")
    leak(secret, telemetry)
    for what, text in telemetry.everything().items():
        own.exported(what, text)
    telemetry.close()
    assert own.leaks() == [f"token in {place}"]


def test_a_secret_in_the_cause_of_an_error_is_found():
    own = Canaries()
    error = Forbidden("consul get")
    error.__cause__ = OSError(own.make("token"))
    own.error("here", error)
    assert own.leaks() == ["token in an error in here"]


def test_a_secret_that_becomes_known_later_is_found_in_what_was_exported_before():
    own = Canaries()
    own.exported("spans", "lease 7587869541")
    assert own.leaks() == []
    own.watch("lease", "7587869541")
    assert own.leaks() == ["lease in spans"]


def test_secrets_note_themselves(canaries):
    assert not canaries.knows("noted-by-itself")
    Secret("noted-by-itself")
    assert canaries.knows("noted-by-itself")


def test_no_secret_left_the_process_in_the_whole_run(canaries):
    """Runs last (conftest)."""
    secrets, lines = canaries.counts
    print(f"{secrets} secrets searched for in {lines} lines")
    assert canaries.leaks() == []
