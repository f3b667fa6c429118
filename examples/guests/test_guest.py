"""Runs the guest in a host, over an embedded broker, and every case of the table through it: `python test_guest.py`."""

import asyncio
import json
import shutil
import sys
import tempfile
import unittest
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager
from pathlib import Path

import dragoman

HERE = Path(__file__).parent
CASES = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))
BODIES = [bytes.fromhex(case["hex"]) if "hex" in case else case["data"].encode() for case in CASES]
#: Where an order goes that can't be used, and what of it says why.
REFUSED, REASON = "dead.orders", "dragoman-reason"
#: Seconds after which something is wrong.
PATIENCE = 300


class Guest(unittest.IsolatedAsyncioTestCase):
    """The guest as its users run it: `dragoman.toml` says how."""

    async def test_each_case(self):
        """Each order is where the table says, or refused with the reason; nothing is lost, and nothing twice."""
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder, "dragoman.toml")
            shutil.copy(HERE / "dragoman.toml", config)
            shutil.copy(HERE / "guest.wasm", folder)
            async with host(config), dragoman.connect(config, client="shop") as client:
                for number, (case, body) in enumerate(zip(CASES, BODIES, strict=True)):
                    key = case.get("order", {}).get("id")
                    await client.publish("orders", body, key=key, metadata={"message-id": str(number)})
                refused = await received(client, REFUSED, sum("error" in case for case in CASES))
                routed = {}
                for channel in sorted({case["channel"] for case in CASES if "channel" in case}):
                    count = sum(case.get("channel") == channel for case in CASES)
                    routed[channel] = await received(client, channel, count)
        for number, (case, body) in enumerate(zip(CASES, BODIES, strict=True)):
            with self.subTest(case["name"]):
                if "error" in case:
                    (found,) = (one for one in refused if one.id == str(number))
                    self.assertEqual(found.data, body)
                    self.assertTrue(found.get(REASON).endswith(case["error"]), found.get(REASON))
                else:
                    found = [(one.key, json.loads(one.data)) for one in routed[case["channel"]]]
                    self.assertIn((case["order"]["id"], case["order"]), found)


@asynccontextmanager
async def host(config):
    """`dragoman run`, ready inside."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dragoman", "run", "-c", config, "--json", stdout=PIPE, limit=2**20
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while json.loads(await process.stdout.readline() or '{"event": "ended"}')["event"] != "ready":
                if process.stdout.at_eof():
                    raise SystemExit("the host did not start; above it says why")
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def received(client, channel, count):
    """So many messages of a channel, from its beginning."""
    found = []
    async with asyncio.timeout(PATIENCE):
        async with client.subscribe(f"topic:{channel}", start=dragoman.Start()) as messages:
            while len(found) < count:
                deliveries = await messages.receive(100)
                found += [delivery.message for delivery in deliveries]
                await messages.accept(*deliveries)
    return found


if __name__ == "__main__":
    unittest.main()
