"""Pub/Sub at its worst: messages that change places, come again and come late, from the real emulator."""

from __future__ import annotations

import random
from collections.abc import Sequence

from workbook.cdc.pubsub import Message, PubSub


class Unruly:
    """Stands in front of `PubSub.publish`: of each request some messages are held back, repeated and shuffled."""

    def __init__(self, seed: int, late: float = 0.5, again: float = 0.5):
        self._dice = random.Random(seed)
        self._late, self._again = late, again
        self.losing = 0  # so many messages that come next are lost
        self._held: list[Message] = []
        self.published = self.repeated = self.delayed = self.dropped = 0

    def __call__(self, pubsub: PubSub, messages: Sequence[Message], dead: bool = False) -> None:
        if dead:
            _publish(pubsub, messages, dead)
            return
        dice = self._dice
        now, self._held = [*self._held, *messages], []
        if messages and dice.random() < 0.8:
            self._held = [message for message in now if dice.random() < self._late]
            self.delayed += len(self._held)
        going = [message for message in now if message not in self._held]
        if self.losing and going:
            lost = min(self.losing, len(going))
            going = going[lost:]
            self.losing -= lost
            self.dropped += lost
        repeated = [message for message in going if dice.random() < self._again]
        self.published += len(going)
        self.repeated += len(repeated)
        going += repeated
        dice.shuffle(going)
        _publish(pubsub, going)

    def publish(self, pubsub: PubSub, messages: Sequence[Message]) -> None:
        """As they are."""
        _publish(pubsub, messages)


_publish = PubSub.publish
