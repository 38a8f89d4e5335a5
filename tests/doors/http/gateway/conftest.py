"""Both doors of the gateway, in front of a scripted upstream."""

from tests.support.scene import gateway as gateway
from tests.support.scene import start as start
from tests.support.scene import transport as transport
from tests.support.scene import upstream as upstream
