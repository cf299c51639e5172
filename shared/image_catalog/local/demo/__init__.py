"""The demonstration: a story played against the running stack, each step of it checked."""

from image_catalog.local.demo.commands import Caib
from image_catalog.local.demo.playing import play
from image_catalog.local.demo.registries import RegistryControl
from image_catalog.local.demo.staging import staged
from image_catalog.local.demo.telling import StoryFailedError
from image_catalog.local.demo.world import World

__all__ = ["Caib", "RegistryControl", "StoryFailedError", "World", "play", "staged"]
