"""A whole control plane with prompts in Git, on both databases."""

from tests.control.releases.conftest import control as control
from tests.control.releases.conftest import postgres_server as postgres_server
from tests.control.releases.conftest import workspace as workspace
