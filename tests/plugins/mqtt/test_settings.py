"""Settings: mistakes are found when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dragoman.errors import BrokerError
from dragoman_mqtt import slots
from dragoman_mqtt.adapter import connect
from dragoman_mqtt.settings import MqttSettings


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "amqp://host"},
        {"url": "mqtt://user:secret@host"},
        {"url": "mqtt://"},
        {"qos": 3},
        {"protocol": "4"},
        {"client_id": ""},
        {"password": "secret"},
        {"tls_key": "key.pem"},
        {"will": {"topic": "a/#"}},
        {"reply_topic": "replies/+"},
        {"envelope": True},
        {"protocol": "3.1.1", "mandatory": True},
        {"qoss": 1},
    ],
)
def test_a_mistake_is_refused_and_no_secret_told(wrong: dict[str, Any]) -> None:
    """One at a time."""
    with pytest.raises(ValidationError) as failed:
        MqttSettings(**wrong)
    assert "secret" not in str(failed.value)


def test_the_port_follows_from_the_scheme() -> None:
    """1883, and 8883 for TLS."""
    assert MqttSettings(url="mqtt://broker").where == "broker:1883"
    assert MqttSettings(url="mqtts://[::1]").address == ("::1", 8883, True)


def test_without_a_client_id_it_is_the_same_after_a_restart() -> None:
    """Or else nobody would ever get what the broker kept."""
    assert MqttSettings().client_id == MqttSettings().client_id


async def test_a_missing_file_is_not_taken_for_a_broker_that_is_away(tmp_path: Path) -> None:
    """It is nothing that another try would cure."""
    with pytest.raises(BrokerError, match="TLS") as failed:
        await connect(MqttSettings(tls_ca=tmp_path / "none.pem"))
    assert not failed.value.retryable


def test_a_slot_has_one_holder_and_is_taken_again_when_it_is_free(tmp_path: Path) -> None:
    """The lowest first."""
    name = str(tmp_path)
    first, second = slots.take(name), slots.take(name)
    assert (first.number, second.number) == (0, 1)
    first.release()
    first.release()
    third = slots.take(name)
    assert third.number == 0
    for slot in (second, third):
        slot.release()
