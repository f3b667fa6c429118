"""Each broker's page is complete: every setting and extension of its adapter, and each of the five questions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dragoman.plugins import load_plugins

PAGES = Path(__file__).parents[1] / "docs" / "brokers"
ADAPTERS = {"kafka": "kafka", "amqp": "amqp", "mqtt": "mqtt", "nats": "nats", "nats-core": "nats"}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_setting_is_on_the_page(adapter: str) -> None:
    """In a table, by its name; and no setting stands there that is none."""
    text = (PAGES / f"{ADAPTERS[adapter]}.md").read_text()
    settings = text.partition("## Settings")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", settings, re.MULTILINE))))
    fields = set(load_plugins().adapter(adapter).config.model_fields)
    assert fields <= named
    same_page = [name for name, page in ADAPTERS.items() if page == ADAPTERS[adapter]]
    others = (set(load_plugins().adapter(name).config.model_fields) for name in same_page)
    assert named <= fields.union(*others)


@pytest.mark.parametrize("page", sorted(set(ADAPTERS.values())))
def test_a_page_answers_each_question(page: str) -> None:
    """What maps to what, settings, guarantees, what it can't do, tuning."""
    headings = re.findall(r"^## (.*)$", (PAGES / f"{page}.md").read_text(), re.MULTILINE)
    asked = ["What maps to what", "Settings", "Guarantees", "What it can't do", "Tuning"]
    assert [name for name in asked if any(heading.startswith(name) for heading in headings)] == asked
