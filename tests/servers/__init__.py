"""Real brokers for tests, benchmarks and examples: started here, on loopback, in temporary folders, unprivileged.

    with Nats() as server:
        ...  # server.url goes through a proxy, so that server.cut() works; server.direct does not
        server.kill()
        server.restart()  # the same data, the same ports

In tests, the fixtures `rabbitmq`, `mosquitto`, `nats`, `kafka` (and `secure_…` with a password and forbidden channels)
give one server for the session. Every call blocks: call it with `asyncio.to_thread` where a loop must go on.

What is missing on the machine is installed (see `install.py`); `DRAGOMAN_TEST_KAFKA=host:port` and so on take a server
that runs elsewhere instead, which can't be stopped or restarted.
"""

from tests.servers.external import External
from tests.servers.kafka import Kafka
from tests.servers.mosquitto import Mosquitto
from tests.servers.nats import Nats
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.server import PASSWORD, USER, Cluster, Server, ServerError
from tests.servers.tls import Certificates

__all__ = [
    "PASSWORD",
    "USER",
    "Certificates",
    "Cluster",
    "External",
    "Kafka",
    "Mosquitto",
    "Nats",
    "RabbitMQ",
    "Server",
    "ServerError",
]
