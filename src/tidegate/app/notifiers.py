"""Which notifier a line of the configuration stands for, and the key with which it signs."""

from collections.abc import Mapping

from tidegate.adapters.notifiers.slack import Slack
from tidegate.adapters.notifiers.webhook import Webhook, webhook_key
from tidegate.control.policies.model import NotifierSpec
from tidegate.jobs.notifications import Notifier
from tidegate.kernel.clock import SystemClock
from tidegate.kernel.errors import Invalid

__all__ = ["notifier_key", "open_notifier"]


def open_notifier(spec: NotifierSpec, master_key: str, environ: Mapping[str, str]) -> Notifier:
    """The notifier of a spec; raises Invalid when its address stands in a variable that is not set."""
    url = spec.url or environ.get(spec.url_env or "", "")
    if not url:
        raise Invalid(
            f"The notifier {spec.name!r} has no address: the variable {spec.url_env} is not set where control runs.",
            mend=f"Set {spec.url_env}, or give `url` in tidegate.yaml.",
            code="notifier_address",
        )
    if spec.kind == "slack":
        return Slack(url, spec.name)
    return Webhook(url, notifier_key(master_key, spec.name), clock=SystemClock())


def notifier_key(master_key: str, name: str) -> str:
    """The key that signs what the notifier `name` sends, for its receiver to check with."""
    return webhook_key(master_key, name)
