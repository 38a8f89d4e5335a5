"""What a target is, the upstream it stands before, and the two targets that nginx gives: direct and nginx."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bench.gateway import canned
from bench.gateway.load import HERE, Answer, Endpoint, ask, modules_folder, tool_versions
from bench.processes import BenchError, Command, Cores, running, until


@dataclass(frozen=True)
class Site:
    """What a target is given: the cores, the upstream, a folder for the run, where peers are installed."""

    cores: Cores
    upstream_port: int
    run: Path
    home: Path

    @property
    def upstream_url(self) -> str:
        return f"http://127.0.0.1:{self.upstream_port}/v1"


@dataclass(frozen=True)
class Start:
    """A target ready to be started. Without a command there is no process: the upstream itself answers."""

    endpoint: Endpoint
    command: Command | None = None
    ready_s: float = 60.0
    warm_s: float = 0.0  # a gateway with a compiler at run time needs long to warm up
    least_window_s: float = 0.0  # a slow gateway needs long windows: wrk counts only what ends inside one
    proof: Callable[[int], str] | None = None  # once stopped: what it kept of the calls answered, as evidence
    url_file: Path | None = None  # a target that chooses its port itself writes its URL here

    def located(self) -> "Start":
        """The same with the endpoint that the target has told of, if it has."""
        if self.url_file is None or not self.url_file.exists():
            return self
        url = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/.*)", self.url_file.read_text().strip())
        if url is None:
            return self
        return replace(self, endpoint=replace(self.endpoint, port=int(url[1]), path=url[2]), url_file=None)


class Target(Protocol):
    """One column of the comparison."""

    @property
    def name(self) -> str: ...

    def missing(self, home: Path) -> str | None:
        """The command that installs it, or None when it is installed."""

    def had_on(self, home: Path) -> str:
        """In one line, what it did for a request."""

    def versions(self, home: Path) -> Mapping[str, str]: ...

    def prepare(self, site: Site, port: int) -> Start:
        """Writes its configuration into `site.run` and says how to start it on `port`."""


def filled(name: str, run: Path, **values: object) -> Path:
    """The template `name`, its @NAMES@ filled in, written to `run`."""
    text = (HERE / name).read_text()
    for key, value in {"run": run, "here": HERE, **values}.items():
        text = text.replace(f"@{key.upper()}@", str(value))
    path = run / name
    path.write_text(text)
    return path


def _nginx(config: Path, run: Path) -> Command:
    log = run / f"{config.stem}.log"
    return Command(("nginx", "-e", str(log), "-c", str(config)), log)


@contextlib.contextmanager
def upstream(cores: Cores, port: int, run: Path) -> Iterator[None]:
    """The canned model server, on the core of the load."""
    canned.write_answers(run)
    config = filled("upstream.conf", run, port=port, modules=modules_folder())
    with running(_nginx(config, run), cores.load):
        endpoint = Endpoint(port)
        if not until(lambda: is_true(answer_of(endpoint)), 10):
            raise BenchError(f"the upstream does not answer: {(run / 'upstream.log').read_text()[-300:]}")
        yield


def answer_of(endpoint: Endpoint) -> Answer | None:
    """One answer, or None while nobody listens."""
    with contextlib.suppress(OSError, BenchError):
        return ask(endpoint)
    return None


def is_true(answer: Answer | None) -> bool:
    """Whether it is the canned completion."""
    return answer is not None and answer.status == 200 and canned.MARK.encode() in answer.body


@dataclass(frozen=True)
class Direct:
    """The load against the upstream itself: what is left when there is no gateway."""

    name: str = field(default="direct", init=False)

    def missing(self, home: Path) -> str | None:
        return None

    def had_on(self, home: Path) -> str:
        return "no gateway: the canned upstream (nginx + Lua) answers the caller"

    def versions(self, home: Path) -> Mapping[str, str]:
        return tool_versions()

    def prepare(self, site: Site, port: int) -> Start:
        return Start(Endpoint(site.upstream_port))


@dataclass(frozen=True)
class Nginx:
    """The limit: a relay in C that looks at nothing."""

    name: str = field(default="nginx", init=False)

    def missing(self, home: Path) -> str | None:
        return None

    def had_on(self, home: Path) -> str:
        return "a bare relay over kept connections: no keys, no metering, no records, no log"

    def versions(self, home: Path) -> Mapping[str, str]:
        return tool_versions()

    def prepare(self, site: Site, port: int) -> Start:
        config = filled("relay.conf", site.run, port=port, upstream_port=site.upstream_port)
        return Start(Endpoint(port), _nginx(config, site.run))
