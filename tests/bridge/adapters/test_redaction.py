import pickle

import pytest

from bridge.adapters.redaction import (
    Secret,
    fingerprint,
    full_keys,
    hidden_keys,
    key_prefix,
    key_template,
    place_of,
    safe_url,
)


def test_hidden_keys_show_nothing():
    assert hidden_keys("config/db/password") is None


def test_full_keys_show_all():
    assert full_keys("config/db/password") == "config/db/password"


@pytest.mark.parametrize(
    ("key", "shown"),
    [("root", None), ("/root", None), ("config/", "config/"), ("config/db/url", "config/"),
     ("/locks/jobs", "/locks/"), ("a/b/c/d", "a/")],
)  # fmt: skip
def test_key_prefix_shows_folders_and_never_the_last_segment(key, shown):
    assert key_prefix(1)(key) == shown


def test_key_prefix_of_two():
    assert key_prefix(2)("config/db/url") == "config/db/"


def test_key_template_shows_the_template_that_fits():
    policy = key_template("config/{service}/{name}", "flags/{name}")
    assert policy("config/shop/db_url") == "config/{service}/{name}"
    assert policy("flags/new-ui") == "flags/{name}"
    assert policy("config/shop/db/url") is None


def test_secret_shows_itself_only_when_asked():
    secret = Secret("s3cret-value")
    assert "s3cret-value" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "s3cret-value"
    assert secret == Secret("s3cret-value")
    assert len({secret, Secret("s3cret-value"), Secret("other")}) == 2
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_fingerprint_tells_ids_apart_and_hides_them():
    assert fingerprint("lease-1") == fingerprint("lease-1") != fingerprint("lease-2")
    assert len(fingerprint("lease-1")) == 16


@pytest.mark.parametrize(
    ("url", "shown"),
    [("https://user:pass@vault:8200/v1/x?token=t#f", "https://vault:8200/v1/x"),
     ("http://[::1]:8500/v1/kv", "http://[::1]:8500/v1/kv"),
     ("http://consul/v1/session/renew", "http://consul/v1/session/renew")],
)  # fmt: skip
def test_safe_url_has_no_user_query_or_fragment(url, shown):
    assert safe_url(url) == shown


def test_place_of_names_type_and_line_but_not_the_text():
    try:
        int("s3cret-value")
    except ValueError as error:
        place = place_of(error)
    assert place.startswith("ValueError at ")
    assert "test_redaction.py" in place
    assert "s3cret" not in place
