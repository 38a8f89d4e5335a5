"""Events out of errands."""

from tidegate.jobs.notifications import Event, event_of


def test_an_errand_becomes_an_event() -> None:
    event = event_of({"event": "key.created", "at_ms": 5, "actor": "alice", "subject": "key/ci", "detail": {"a": 1}})
    assert event == Event(
        event_id=event.event_id, event="key.created", at_ms=5, actor="alice", subject="key/ci", detail={"a": 1}
    )


def test_fields_that_nobody_named_are_detail() -> None:
    assert event_of({"event": "config.applied", "changes": ["+ a"], "revision": 3}).detail == {
        "changes": ["+ a"],
        "revision": 3,
    }


def test_the_same_errand_keeps_its_id_however_often_it_is_delivered() -> None:
    payload = {"event": "key.created", "subject": "key/ci"}
    assert event_of(payload).event_id == event_of(dict(reversed(payload.items()))).event_id
    assert event_of(payload).event_id != event_of({**payload, "subject": "key/cd"}).event_id
