"""Subscriptions, and the sessions that they share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Self
from weakref import WeakValueDictionary

from dragoman.adapter import Delivery, Outcome, Release, SubscribeOptions
from dragoman.errors import BrokerError, Unsupported
from dragoman.message import Channel
from dragoman_mqtt.boundary import closed
from dragoman_mqtt.session import Member, Session
from dragoman_mqtt.settings import MqttSettings
from dragoman_mqtt.subscribing import Wanted, wanted


class Sessions:
    """The open sessions of an adapter: one for each queue and group, one for each subscription to a topic."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._shared: dict[str, Session] = {}
        self._open: set[Session] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._closed = False

    async def join(self, wish: Wanted, member: Member) -> Session:
        """The session for a subscription; opened where there is none."""
        if not wish.shared:
            session = await self._opened(wish)
        else:
            async with self._turn(wish.filter):
                found = self._shared.get(wish.filter)
                session = found if found is not None and found.error is None else await self._opened(wish)
                self._shared[wish.filter] = session
        session.join(member)
        return session

    async def _opened(self, wish: Wanted) -> Session:
        self._check_open()
        session = Session(self._settings, wish)
        self._open.add(session)  # so that closing the adapter ends it, also while it opens
        try:
            await session.open()
            self._check_open()
        except BaseException:
            self._forget(session, wish)
            raise
        return session

    def _check_open(self) -> None:
        if self._closed:
            raise closed(self._settings.where)

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    async def leave(self, session: Session, wish: Wanted, member: Member) -> None:
        """End a subscription, and with the last one its session. Closes also when cancelled."""
        session.leave(member)
        try:
            async with self._turn(wish.filter):  # who opens it anew waits until the broker has our last word
                if not session.members:
                    await session.close()
        finally:
            if not session.members:
                self._forget(session, wish)

    def _forget(self, session: Session, wish: Wanted) -> None:
        session.drop()
        self._open.discard(session)
        if self._shared.get(wish.filter) is session:
            del self._shared[wish.filter]

    async def close(self) -> None:
        """End all of them. Idempotent; closes also when cancelled."""
        self._closed = True
        sessions = list(self._open)
        try:
            await asyncio.gather(*(session.close() for session in sessions))
        finally:
            for session in sessions:
                session.drop()


class MqttSubscription:
    """A `dragoman.adapter.Subscription`."""

    def __init__(self, sessions: Sessions, settings: MqttSettings, channel: Channel, options: SubscribeOptions) -> None:
        self._sessions = sessions
        self._wish = wanted(settings, channel, options)
        self._member = Member()
        self._session: Session | None = None

    async def __aenter__(self) -> Self:
        self._session = await self._sessions.join(self._wish, self._member)
        return self

    async def __aexit__(self, *_: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._member.changed.set()
            with suppress(BrokerError):  # it was lost: the broker keeps what is unsettled
                await self._sessions.leave(session, self._wish, self._member)

    def _live(self) -> Session:
        if self._session is None:
            raise closed(self._wish.channel.name)
        if (error := self._session.error) is not None:
            raise type(error)(error.what, where=self._wish.channel.name)
        return self._session

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `dragoman.adapter.Subscription.receive`."""
        unsettled = self._member.unsettled
        while True:
            session = self._live()
            if (room := min(limit, self._wish.prefetch - len(unsettled))) and (batch := session.take(room)):
                unsettled.update(dict.fromkeys(batch))
                return batch
            self._member.changed.clear()
            await self._member.changed.wait()

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """See `dragoman.adapter.Subscription.settle`.

        Returns when they are on their way: MQTT confirms none, and one that is lost only brings the message again.
        """
        session = self._live()
        if any(isinstance(outcome, Release) and outcome.delay > 0 for _, outcome in outcomes):
            raise Unsupported("MQTT has no delayed release", where=self._wish.channel.name)
        unsettled = self._member.unsettled
        for delivery, outcome in outcomes:
            if delivery not in unsettled:
                continue
            del unsettled[delivery]
            if isinstance(outcome, Release):
                session.release(delivery)
            else:
                session.done(delivery)
        if session.arrived:
            self._member.changed.set()
