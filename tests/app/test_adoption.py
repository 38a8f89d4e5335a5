"""What the gateways of this host serve, as a drill asks: at their /readyz, as many times as there are gateways."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec
import pytest

from tests.support.httpd import Answer, Asked, serve
from tidegate.adapters.metrics.files import hold_alive, write_state
from tidegate.app.adoption import EACH, LocalGateways
from tidegate.control.rollouts.ports import Adopted
from tidegate.gateway.ports import GatewayState
from tidegate.settings import Settings


def living(settings: Settings, count: int) -> list[IO[bytes]]:
    """So many gateways that show that they live."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    locks = []
    for number in range(count):
        name = f"gw_{number}"
        locks.append(hold_alive(settings.run_dir, name))
        write_state(settings.run_dir, GatewayState(gateway_id=name, pid=1000 + number))
    return locks


def telling(generations: Callable[[], int], asked: list[str]) -> Callable[[Asked], Answer]:
    def answer(request: Asked) -> Answer:
        asked.append(request.path)
        return Answer(body=msgspec.json.encode({"generation": generations()}))

    return answer


def settings_at(tmp_path: Path, url: str) -> Settings:
    return Settings(workspace=tmp_path, gateway_host="127.0.0.1", gateway_port=int(url.rpartition(":")[2]))


async def test_without_a_gateway_nothing_is_waited_for(tmp_path: Path) -> None:
    assert await LocalGateways(Settings(workspace=tmp_path)).adopted(7, 5.0) == Adopted(True, 0)


async def test_it_waits_until_the_generation_is_served(tmp_path: Path) -> None:
    asked: list[str] = []
    told = itertools.chain([5, 6], itertools.repeat(7))
    with serve(telling(lambda: next(told), asked)) as url:
        settings = settings_at(tmp_path, url)
        locks = living(settings, 1)
        assert await LocalGateways(settings).adopted(7, 10.0) == Adopted(True, 1)
    assert asked == ["/readyz"] * 3
    for lock in locks:
        lock.close()


async def test_one_of_several_that_is_behind_is_not_overlooked(tmp_path: Path) -> None:
    asked: list[str] = []
    told = itertools.chain([7, 7, 6], itertools.repeat(8))
    with serve(telling(lambda: next(told), asked)) as url:
        settings = settings_at(tmp_path, url)
        locks = living(settings, 3)
        assert await LocalGateways(settings).adopted(7, 10.0) == Adopted(True, 3)
    assert len(asked) == 3 + 3 * EACH, "it counts anew"
    for lock in locks:
        lock.close()


@pytest.mark.parametrize("status", [200, 500])
async def test_what_does_not_come_in_time_is_told(tmp_path: Path, status: int) -> None:
    with serve(lambda request: Answer(status=status, body=b'{"generation": 6}')) as url:
        settings = settings_at(tmp_path, url)
        locks = living(settings, 2)
        assert await LocalGateways(settings).adopted(7, 0.05) == Adopted(False, 2)
    for lock in locks:
        lock.close()
