"""What the blocks of `tidegate.yaml` say of each other: every name that is named must be there, and no chain may bite
its own tail.

It reads the names as written, so that a model with a fault of its own is still a model.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from tidegate.control.policies.addresses import public_address
from tidegate.control.policies.reading import Complaint, complain, name_hint
from tidegate.kernel.documents import Document, Path
from tidegate.kernel.errors import InvalidDocument
from tidegate.live.snapshot import ANY

__all__ = ["dangling"]

_ENVIRONMENTS = ("dev", "staging", "production")


def dangling(document: Document) -> Iterator[InvalidDocument]:
    """Yield a fault for each name that leads nowhere, each loop of fallbacks, each host that is not allowed, and each
    limit whose name is taken.
    """
    names = _Names(document)
    yield from names.in_routes()
    yield from names.loops()
    yield from names.in_limits()
    yield from names.hosts()


class _Names:
    """The names of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.models = _block(document.value, "models")
        self.routes = _block(document.value, "routes")
        self.environments = _block(document.value, "environments") or dict.fromkeys(_ENVIRONMENTS)

    def in_routes(self) -> Iterator[InvalidDocument]:
        for alias, route in self.routes.items():
            if not isinstance(route, dict):
                continue
            path: Path = ("routes", alias)
            yield from self._model((*path, "model"), route.get("model"))
            for at, choice in enumerate(_list(route, "models")):
                inner = (*path, "models", at)
                if isinstance(choice, dict):
                    yield from self._model((*inner, "model"), choice.get("model"))
                else:
                    yield from self._model(inner, choice)
            for environment, model in _block(route, "environments").items():
                yield from self._model((*path, "environments", environment), model)
                yield from self._environment((*path, "environments", environment), environment)
            yield from self._model((*path, "shadow", "model"), _block(route, "shadow").get("model"))
            for at, name in enumerate(_list(route, "fallbacks")):
                yield from self._model((*path, "fallbacks", at), name, aliases=True)
            yield from self._regions(path, route)

    def loops(self) -> Iterator[InvalidDocument]:
        """Each fallback that leads back to where the chain came from, once for each loop."""
        done: set[str] = set()

        def walk(alias: str, above: tuple[str, ...]) -> Iterator[InvalidDocument]:
            if alias in done:
                return
            for at, name in enumerate(_list(self.routes.get(alias), "fallbacks")):
                if name == alias or name in above:
                    way = " -> ".join((*above[above.index(name) :], alias, name) if name in above else (alias, name))
                    message = "is the route itself" if name == alias else f"closes a loop: {way}"
                    complaint = Complaint("fallback_loop", message, "Leave it out, or fall back on a model.")
                    yield complain(self.document, ("routes", alias, "fallbacks", at), complaint)
                elif isinstance(name, str) and name in self.routes:
                    yield from walk(name, (*above, alias))
            done.add(alias)

        for alias in self.routes:
            yield from walk(alias, ())

    def in_limits(self) -> Iterator[InvalidDocument]:
        taken: set[object] = set()
        for block in ("limits", "budgets"):
            for at, limit in enumerate(_list(self.document.value, block)):
                if not isinstance(limit, dict):
                    continue
                name, match = limit.get("name"), _block(limit, "match")
                if isinstance(name, str) and name in taken:
                    complaint = Complaint("duplicate", f"is {name!r}, like another limit", "Choose another name.")
                    yield complain(self.document, (block, at, "name"), complaint)
                taken.add(name if isinstance(name, str) else None)
                if match.get("model") not in (None, ANY):
                    yield from self._model((block, at, "match", "model"), match["model"], aliases=True)
                if match.get("environment") not in (None, ANY):
                    yield from self._environment((block, at, "match", "environment"), match["environment"])

    def hosts(self) -> Iterator[InvalidDocument]:
        allowed = _list(_block(self.document.value, "policies"), "allowed_hosts")
        for name, model in self.models.items() if allowed else ():
            host = _host(model)
            if host is not None and host not in allowed:
                where = "base_url" if isinstance(model, dict) and model.get("base_url") else "provider"
                complaint = Complaint(
                    "host_not_allowed",
                    f"leads to {host}, which is not in `policies.allowed_hosts`",
                    f"Allowed: {', '.join(map(str, allowed))}.",
                )
                yield complain(self.document, ("models", name, where), complaint)

    def _model(self, path: Path, name: object, *, aliases: bool = False) -> Iterator[InvalidDocument]:
        known = {**self.routes, **self.models} if aliases else self.models
        if not isinstance(name, str) or name in known or (aliases and name.partition(":")[0] in known):
            return
        place = "`routes` or `models`" if aliases else "`models`"
        hint = name_hint(name, known, "Routes and models" if aliases else "Models")
        yield complain(
            self.document, path, Complaint("dangling_model", f"leads to {name!r}, which is not under {place}", hint)
        )

    def _environment(self, path: Path, name: object) -> Iterator[InvalidDocument]:
        if name in self.environments:
            return
        hint = name_hint(str(name), self.environments, "Environments")
        yield complain(self.document, path, Complaint("unknown_environment", "is no environment", hint))

    def _regions(self, path: Path, route: Mapping[str, object]) -> Iterator[InvalidDocument]:
        """A route whose regions leave none of its own models would refuse every call."""
        regions = _list(route, "regions")
        chosen = [one.get("model") if isinstance(one, dict) else one for one in _list(route, "models")]
        own = [self.models.get(name) for name in (route.get("model"), *chosen) if isinstance(name, str)]
        found = {str(one["region"]) for one in own if isinstance(one, dict) and one.get("region")}
        if regions and own and not found.intersection(map(str, regions)):
            mend = f"Its models' regions: {', '.join(sorted(found))}." if found else "Give its models a `region`."
            yield complain(
                self.document, (*path, "regions"), Complaint("no_region", "leaves none of the route's models", mend)
            )


def _host(model: object) -> str | None:
    if not isinstance(model, dict):
        return None
    url = model.get("base_url") or public_address(str(model.get("provider")), _block(model, "options"))
    try:
        return urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return None


def _block(value: object, name: str) -> dict[str, object]:
    inner = value.get(name) if isinstance(value, dict) else None
    return {str(key): one for key, one in inner.items()} if isinstance(inner, dict) else {}


def _list(value: object, name: str) -> list[object]:
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, list) else []
