"""The demonstration: a story played against the running stack, each step of it checked."""

from image_catalog.local.demo.playing import StoryFailedError, play
from image_catalog.local.demo.registries import EmbeddedControl, PushOnlyControl, RegistryControl
from image_catalog.local.demo.subscriber import EventSubscriber
from image_catalog.local.demo.world import World

__all__ = [
    "EmbeddedControl",
    "EventSubscriber",
    "PushOnlyControl",
    "RegistryControl",
    "StoryFailedError",
    "World",
    "play",
]
