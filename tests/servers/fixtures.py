"""The servers as fixtures, one of each for the session, started in parallel once it is known which are needed.

`kafka`, `rabbitmq`, `mosquitto` and `nats` give a server that runs, with its network whole, whatever the test before
did to it. `secure_kafka` and so on want `USER` and `PASSWORD`, and deny channels whose names begin with `forbidden`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest

from tests.servers.external import External
from tests.servers.kafka import Kafka
from tests.servers.mosquitto import Mosquitto
from tests.servers.nats import Nats
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.server import Server

_MAKERS: dict[str, Callable[[], Server]] = {
    "kafka": Kafka,
    "rabbitmq": RabbitMQ,
    "mosquitto": Mosquitto,
    "nats": Nats,
    "secure_kafka": partial(Kafka, auth=True),
    "secure_rabbitmq": partial(RabbitMQ, auth=True),
    "secure_mosquitto": partial(Mosquitto, auth=True),
    "secure_nats": partial(Nats, auth=True),
}
_SCHEMES = {"kafka": "kafka", "rabbitmq": "amqp", "mosquitto": "mqtt", "nats": "nats"}


class Fleet:
    """The servers of a session, each started at most once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(len(_MAKERS))
        self._starting: dict[str, Future[Server | External]] = {}

    def begin(self, name: str) -> Future[Server | External]:
        """Start the server of that name, if it was not asked for before."""
        if name not in self._starting:
            self._starting[name] = self._pool.submit(_start, name)
        return self._starting[name]

    def begun(self, names: Iterable[str]) -> list[Future[Server | External]]:
        """Those of these names that were asked for before."""
        return [self._starting[name] for name in names if name in self._starting]

    def close(self) -> None:
        """End all of them."""
        ends = [self._pool.submit(_end, starting) for starting in self._starting.values()]
        for end in ends:
            end.result()
        self._pool.shutdown()


def _start(name: str) -> Server | External:
    if name in _SCHEMES and (external := External.named(name, _SCHEMES[name])):
        return external.__enter__()
    return _MAKERS[name]().__enter__()


def _end(starting: Future[Server | External]) -> None:
    if starting.exception() is None:
        starting.result().close()


def servers_by_name(item: object) -> set[str]:
    """The servers that a test has as parameters, by their names: it gets them by `request.getfixturevalue`."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return _MAKERS.keys() & {each for each in parameters.values() if isinstance(each, str)}


_FLEET = pytest.StashKey[Fleet]()


def _fleet(config: pytest.Config) -> Fleet:
    return config.stash.setdefault(_FLEET, Fleet())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start what the collected tests need, while other tests run."""
    if session.config.option.collectonly or hasattr(session.config, "workerinput"):
        return  # of several processes each collects everything, and runs the tests of few servers
    for item in session.items:
        for name in _MAKERS.keys() & set(getattr(item, "fixturenames", ())):
            _fleet(session.config).begin(name)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End them, also after an interruption."""
    if fleet := config.stash.get(_FLEET, None):
        fleet.close()


@pytest.fixture(autouse=True)
def whole_servers(request: pytest.FixtureRequest) -> None:
    """Each test finds its servers running and reachable, whatever the test before did to them."""
    fleet = _fleet(request.config)
    wanted = [fleet.begin(name) for name in _MAKERS.keys() & set(request.fixturenames)]
    for starting in (*wanted, *fleet.begun(servers_by_name(request.node))):
        server = starting.result()
        if isinstance(server, Server):
            if not server.running:
                server.start()
            server.restore()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Server | External:
    """Apache Kafka, one node, which makes topics of four partitions when asked for one."""
    return _fleet(request.config).begin("kafka").result()


@pytest.fixture(scope="session")
def rabbitmq(request: pytest.FixtureRequest) -> Server | External:
    """RabbitMQ, one node."""
    return _fleet(request.config).begin("rabbitmq").result()


@pytest.fixture(scope="session")
def mosquitto(request: pytest.FixtureRequest) -> Server | External:
    """An MQTT broker."""
    return _fleet(request.config).begin("mosquitto").result()


@pytest.fixture(scope="session")
def nats(request: pytest.FixtureRequest) -> Server | External:
    """nats-server with JetStream."""
    return _fleet(request.config).begin("nats").result()


@pytest.fixture(scope="session")
def secure_kafka(request: pytest.FixtureRequest) -> Server | External:
    """Apache Kafka with a password (SASL PLAIN) and forbidden topics."""
    return _fleet(request.config).begin("secure_kafka").result()


@pytest.fixture(scope="session")
def secure_rabbitmq(request: pytest.FixtureRequest) -> Server | External:
    """RabbitMQ with a password and forbidden queues and exchanges."""
    return _fleet(request.config).begin("secure_rabbitmq").result()


@pytest.fixture(scope="session")
def secure_mosquitto(request: pytest.FixtureRequest) -> Server | External:
    """An MQTT broker with a password and forbidden topics."""
    return _fleet(request.config).begin("secure_mosquitto").result()


@pytest.fixture(scope="session")
def secure_nats(request: pytest.FixtureRequest) -> Server | External:
    """nats-server with a password and forbidden subjects."""
    return _fleet(request.config).begin("secure_nats").result()
