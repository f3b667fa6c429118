"""The table of cases, against the logic alone: `python -m unittest test_order`."""

import json
import unittest
from pathlib import Path

import order

HERE = Path(__file__).parent
CASES = next(path for path in (HERE / "cases.json", HERE.parent / "cases.json") if path.exists())


class Cases(unittest.TestCase):
    """Each order is routed, or refused with the reason."""

    def test_each_case(self):
        """As the table says."""
        for case in json.loads(CASES.read_text(encoding="utf-8")):
            data = bytes.fromhex(case["hex"]) if "hex" in case else case["data"].encode()
            with self.subTest(case["name"]):
                if "error" in case:
                    with self.assertRaises(order.InvalidOrder) as raised:
                        order.route(data)
                    self.assertEqual(str(raised.exception), case["error"])
                else:
                    routed = order.route(data)
                    self.assertEqual((routed.channel, json.loads(routed.data)), (case["channel"], case["order"]))
                    self.assertEqual(routed.id, case["order"]["id"])


if __name__ == "__main__":
    unittest.main()
