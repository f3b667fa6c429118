"""Outbox mode on a real Kafka: what a host sends and what it handled are one, whatever is killed in the middle."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

import dragoman
from dragoman.message import Channel, Message
from tests.killed import answers, host_process, write_host
from tests.servers import Server
from tests.servers.kafka import Kafka

NAMES = [str(number) for number in range(400)]
#: Each has a key of its own, so that all partitions have some.
MESSAGES = [Message.of(name, key=name) for name in NAMES]
QUICK = {"create_topics": True, "timeout": "10s", "session_timeout": "3s", "rebalance_timeout": "6s"}


@pytest.mark.timeout(400)  # hosts that start on a busy machine take their time
async def test_hosts_that_are_killed_have_sent_each_answer_once(
    kafka: Server, channel: Channel, tmp_path: Path
) -> None:
    """Two members of a group, kill -9 of one and then of the other, a new one between: 400 answers for 400 messages.

    Each that comes or goes makes the group share its partitions anew in the middle of the others' work.
    """
    out = f"{channel.name}-out"
    write_host(tmp_path, {"url": kafka.url, **QUICK}, channel.name, out, seconds=0.005)
    async with dragoman.connect({"url": kafka.url, **QUICK}) as client:
        await client.publish(channel, *MESSAGES[:200])
        async with host_process(tmp_path):
            async with host_process(tmp_path):
                await answers(client, out, 50)
            await client.publish(channel, *MESSAGES[200:])
            await answers(client, out, 230)
        async with host_process(tmp_path):
            found = await answers(client, out, len(NAMES), all_of_it=True)
    assert found == Counter(NAMES), (tmp_path / "host.log").read_text()[-5_000:]


@pytest.mark.timeout(400)
async def test_a_broker_that_is_killed_has_each_answer_once(channel: Channel, tmp_path: Path) -> None:
    """Kill -9 of the only broker in the middle; the host goes on by itself."""
    out, loop = f"{channel.name}-out", asyncio.get_running_loop()
    with Kafka() as server:
        settings = {"url": server.url, **QUICK}
        write_host(tmp_path, settings, channel.name, out, seconds=0.005)
        async with dragoman.connect(settings) as client, host_process(tmp_path):
            await client.publish(channel, *MESSAGES)
            await answers(client, out, 50)
            await loop.run_in_executor(None, server.restart)
        async with dragoman.connect(settings) as client, host_process(tmp_path):
            found = await answers(client, out, len(NAMES), all_of_it=True)
    assert found == Counter(NAMES), (tmp_path / "host.log").read_text()[-5_000:]
