"""Which addresses may be called: a model of one's own, yes; a cloud's metadata service, under no name."""

import pytest

from tidegate.control.policies.addresses import address_fault


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8082/v1",
        "http://localhost:11434/v1",
        "http://[::1]:8082/v1",
        "http://10.0.0.7:8000/v1",
        "http://vllm.models.svc.cluster.local/v1",
        "https://api.openai.com/v1",
        "https://llm.example:8443",
    ],
)
def test_a_model_server_may_be_called(url: str) -> None:
    assert address_fault(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/v1",
        "http://[fd00:ec2::254]/v1",
        "http://100.100.100.200/v1",
        "http://metadata.google.internal/v1",
        "http://METADATA.google.internal./v1",
        "http://[::ffff:169.254.169.254]/v1",
        "http://[::ffff:127.0.0.1]/v1",
        "http://[2002:a9fe:a9fe::]/v1",
        "http://0x7f000001/v1",
        "http://2130706433/v1",
        "http://0177.0.0.1/v1",
        "http://127.1/v1",
        "http://0xA9.0xFE.0xA9.0xFE/v1",
        "http://0.0.0.0:8082/v1",
        "http://224.0.0.1/v1",
        "ftp://llm.example/v1",
        "file:///etc/passwd",
        "llm.example/v1",
        "http:///v1",
        "http://llm.example:0/v1",
        "http://llm.example:99999/v1",
        "http://llm.example:x/v1",
        "http://[::1/v1",
        "http://user@llm.example/v1",
        "http://llm.example/v1?key=1",
        "http://llm.example/v1#top",
        "http://llm.example/v1/models",
        "http://llm.example/v1 ",
        "http://llm.example/v1\r\nHost: other",
        "http://llm。example/v1",
        "",
    ],
)
def test_anything_else_may_not_and_says_why(url: str) -> None:
    fault = address_fault(url)
    assert fault is not None
    assert all(fault)


def test_a_webhook_may_have_a_query_and_still_no_metadata() -> None:
    assert address_fault("https://hooks.example/in?room=ops", query=True) is None
    assert address_fault("http://169.254.169.254/?room=ops", query=True) is not None
