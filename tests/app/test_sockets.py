"""Listening sockets: bound, inherited, looked for."""

import os
import socket

import pytest

from tidegate.app.sockets import bind, free_port, inherited, is_listening
from tidegate.kernel.errors import Conflict, Invalid

HOST = "127.0.0.1"


def test_a_taken_port_is_named_with_the_setting_that_moves_it():
    with bind(HOST, 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict) as caught:
            bind(HOST, port, setting="server.control_port")
    assert caught.value.code == "port_taken"
    assert str(port) in caught.value.message
    assert "server.control_port" in caught.value.mend


def test_an_inherited_socket_serves():
    with bind(HOST, 0) as parent:
        with inherited(os.dup(parent.fileno())) as child:
            assert child.getsockname() == parent.getsockname()
            assert not os.get_inheritable(child.fileno())
        assert is_listening(HOST, parent.getsockname()[1])


def test_what_is_no_listening_socket_is_refused():
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(Invalid, match="no listening socket"):
        inherited(reading)
    os.close(reading)
    with pytest.raises(Invalid, match="no listening socket"):
        inherited(987)
    with socket.socket() as idle:
        descriptor = os.dup(idle.fileno())
        with pytest.raises(Invalid, match="no listening socket"):
            inherited(descriptor)


def test_nobody_listens_on_a_port_that_is_free():
    assert not is_listening(HOST, free_port(HOST, 0))


def test_the_wanted_port_is_taken_when_it_is_free_and_another_one_when_not():
    port = free_port(HOST, 0)
    assert free_port(HOST, port) == port
    assert free_port(HOST, port, frozenset({port})) != port
    with bind(HOST, port):
        assert free_port(HOST, port) != port
