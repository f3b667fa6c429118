"""What users may write, and what they are told about mistakes."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from dragoman.errors import AuthenticationFailed, Unsupported
from dragoman_kafka import KAFKA, KafkaSettings
from dragoman_kafka.extensions import NAMES, parse


def test_several_brokers_and_the_usual_port() -> None:
    """With blanks and addresses of IPv6."""
    settings = KafkaSettings(url="kafka://a:19092, b,[::1]:9093/")
    assert settings.servers == ["a:19092", "b:9092", "[::1]:9093"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "http://localhost"}, "kafka://host:port"),
        ({"url": "kafka://"}, "kafka://host:port"),
        ({"url": "kafka://a:b"}, "url"),
        ({"url": "kafka://a:0"}, "is no broker"),
        ({"url": "kafka://a,,b"}, "is no broker"),
        ({"url": "kafka://a/topic"}, "is no broker"),
        ({"url": "kafka://me:secret@a"}, "`username` and `password`"),
        ({"username": "me"}, "go together"),
        ({"password": "secret"}, "go together"),
        ({"tls_ca": "ca.pem"}, "`tls_ca` has no effect without `tls = true`"),
        ({"tls": True, "tls_key": "key.pem"}, "need `tls_cert`"),
        ({"sasl": "GSSAPI", "username": "me", "password": "secret"}, "SCRAM-SHA-256"),
        ({"timeout": 0}, "greater than 0"),
        ({"timeout": "soon"}, "is no duration"),
        ({"topics": True}, "Extra inputs"),
        ({"compression": "zip"}, "'gzip'"),
    ],
)
def test_a_mistake_says_what_was_expected(given: dict[str, Any], said: str) -> None:
    """And never shows a password."""
    with pytest.raises(ValidationError) as caught:
        KafkaSettings(**given)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value).replace("secret@a", "")


def test_a_password_is_never_shown() -> None:
    """Only the client library is given it."""
    settings = KafkaSettings(username="me", password=SecretStr("secret"))
    assert "secret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.connection()["sasl_plain_password"] == "secret"  # noqa: S105 - it is none
    assert settings.connection()["security_protocol"] == "SASL_PLAINTEXT"


async def test_a_certificate_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    """When connecting, before the broker is asked."""
    with pytest.raises(AuthenticationFailed, match="a file of certificates"):
        await KAFKA.connect(KafkaSettings(tls=True, tls_ca=tmp_path / "ca.pem"))


def test_every_setting_is_described() -> None:
    """The schema and the reference are made of the descriptions."""
    assert all(field.description for field in KafkaSettings.model_fields.values())


def test_extensions_are_read() -> None:
    """Ours by their names, Kafka's by Kafka's names."""
    read = parse({"partitions": "3, 0", "offsets": "0:5,3:10", "client.rack": "a", "fetch.min.bytes": "10"})
    assert read.partitions == (0, 3)
    assert read.offsets == {0: 5, 3: 10}
    assert read.consumer == {"client_rack": "a", "fetch_min_bytes": 10}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("partitions", ""),
        ("partitions", "a"),
        ("offsets", "0"),
        ("offsets", "0:x"),
        ("offsets", "-1:0"),
        ("fetch.min.bytes", "1kB"),
        ("isolation.level", "serializable"),
    ],
)
def test_an_extension_that_is_none_says_what_was_expected(name: str, text: str) -> None:
    """Its name, its value, and what would have been right."""
    with pytest.raises(Unsupported) as caught:
        parse({name: text})
    assert name in str(caught.value)
    assert "expected" in str(caught.value)


def test_an_unknown_extension_names_the_nearest_and_all() -> None:
    """It is an error, never ignored."""
    with pytest.raises(Unsupported) as caught:
        parse({"partition": "1"})
    assert "did you mean 'partitions'?" in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)
