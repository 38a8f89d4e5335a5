"""A target writes requests that say where they go, how long they are, and who asks."""

from tidegate.gateway.upstream.target import Target, make_target


class Marked:
    """A signer that shows what it was given."""

    def lines(self, target: Target, path: str, body: bytes) -> str:
        return f"X-Signed: {target.authority} {path} {len(body)}\r\n"


def test_a_request_to_a_path_of_its_own() -> None:
    target = make_target("m", "http://host.example:8000/base/", {}, {"X-Key": "k"})
    assert target.post("/models/a:b?alt=sse", b"{}") == (
        b"POST /base/models/a:b?alt=sse HTTP/1.1\r\nHost: host.example:8000\r\nX-Key: k\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_a_signer_sees_the_request_as_it_is_on_the_wire() -> None:
    target = make_target("m", "https://host.example/base", {}, {})
    target.signer = Marked()
    assert target.post("/x", b"abc") == (
        b"POST /base/x HTTP/1.1\r\nHost: host.example\r\nX-Signed: host.example /base/x 3\r\n"
        b"Content-Length: 3\r\n\r\nabc"
    )


def test_the_address_says_no_name_and_password() -> None:
    target = make_target("m", "https://user:secret@host.example/v1", {"chat": "/chat"}, {})
    assert b"secret" not in target.request("chat", b"") + target.post("/x", b"")
