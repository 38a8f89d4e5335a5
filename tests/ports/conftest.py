"""The real stores behind the ports: each suite runs once for every adapter."""

from tests.support.postgres import postgres_server as postgres_server
from tests.support.postgres import postgres_url as postgres_url
from tests.support.redis import redis_server as redis_server
from tests.support.redis import redis_url as redis_url
