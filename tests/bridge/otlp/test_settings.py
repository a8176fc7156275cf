"""Where OTLP goes: arguments, then the signal's variables, then the common ones."""

from __future__ import annotations

import pytest

from bridge.otlp.settings import Settings, SettingsError, Signal, read_settings


def read(signal: Signal = Signal.TRACES, **given: object) -> Settings:
    environ = {name: str(value) for name, value in given.items() if name.isupper()}
    rest = {name: value for name, value in given.items() if not name.isupper()}
    return read_settings(signal, environ=environ, **rest)  # type: ignore[arg-type]


def test_nothing_set_is_grpc_on_localhost() -> None:
    assert (read().protocol, read().endpoint, read().secure) == (
        "grpc",
        "http://localhost:4317",
        False,
    )


def test_http_adds_the_signals_path_to_a_base_url() -> None:
    assert read(protocol="http").endpoint == "http://localhost:4318/v1/traces"
    assert read(Signal.METRICS, protocol="http", endpoint="http://c:1/").endpoint == (
        "http://c:1/v1/metrics"
    )


def test_the_signals_own_endpoint_is_taken_as_it_is() -> None:
    settings = read(
        protocol="http",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://c:1/custom",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://other:2",
    )
    assert settings.endpoint == "http://c:1/custom"


def test_an_argument_wins_over_the_environment() -> None:
    settings = read(endpoint="http://a:1", OTEL_EXPORTER_OTLP_ENDPOINT="http://b:2")
    assert settings.endpoint == "http://a:1"


def test_grpc_without_a_scheme_is_tls_unless_told_otherwise() -> None:
    assert read(endpoint="c:4317").secure
    assert not read(endpoint="c:4317", OTEL_EXPORTER_OTLP_INSECURE="true").secure


def test_headers_are_decoded_and_kept_out_of_the_repr() -> None:
    settings = read(OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20s3cret,x=1")
    assert settings.headers == {"authorization": "Bearer s3cret", "x": "1"}
    assert "s3cret" not in repr(settings)


def test_the_address_shows_no_password() -> None:
    assert read(endpoint="http://user:pw@c:4317").address == "c:4317"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"protocol": "udp"}, "use grpc or http/protobuf"),
        ({"endpoint": "ftp://c"}, "a URL like"),
        ({"endpoint": "http://c:99999"}, "port"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "seconds"),
    ],
)
def test_a_setting_that_cannot_be_used_says_what_is_wanted(
    given: dict[str, str], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        read(**given)
