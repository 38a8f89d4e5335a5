"""One POST to an address of the configuration. Redirects are not followed and no proxy of the environment is used: it
goes to the address that an admin wrote, or nowhere.
"""

from collections.abc import Callable, Mapping

import httpx

from tidegate.kernel.errors import ProviderFailed, ProviderUnreachable

__all__ = ["Client", "new_client", "post"]

TIMEOUT = httpx.Timeout(10.0, connect=5.0)

Client = Callable[[], httpx.AsyncClient]


def new_client() -> httpx.AsyncClient:
    """A client for one POST."""
    return httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)


async def post(client: Client, url: str, body: bytes, headers: Mapping[str, str], *, shown: str) -> None:
    """Deliver; raises ProviderUnreachable without an answer and ProviderFailed for any answer but 2xx. `shown` names
    the receiver in what is raised: an address may be a secret.
    """
    try:
        async with client() as opened:
            request = opened.build_request("POST", url, content=body, headers=dict(headers))
            answer = await opened.send(request, stream=True, follow_redirects=False)
            await answer.aclose()  # the status is all that counts; a huge body is never read
    except httpx.HTTPError as error:
        raise ProviderUnreachable(
            f"{shown} gave no answer ({type(error).__name__}).",
            mend="Check the notifier's url in tidegate.yaml; it is tried again.",
            code="webhook_unreachable",
        ) from error
    if not answer.is_success:
        raise ProviderFailed(
            f"{shown} answered {answer.status_code}.",
            status=answer.status_code,
            mend="Check the receiver; it is tried again. Redirects are not followed.",
            code="webhook_failed",
        )
