"""A prompt's parameters: a JSON Schema (2020-12), compiled once and held against every caller's variables."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from tidegate.kernel.errors import InvalidVariables
from tidegate.templates.schemas import compile_schema, explain
from tidegate.templates.values import flaw_of

__all__ = ["Parameters"]


class Parameters:
    """The variables that a prompt takes."""

    def __init__(self, prompt: str, schema: Mapping[str, object]) -> None:
        """`prompt` is what errors call it; the schema must be one that `schema_faults` finds no fault in."""
        properties = schema.get("properties")
        known = properties if isinstance(properties, dict) else {}
        self.prompt = prompt
        self.names = frozenset(known)
        self._check = compile_schema(schema)
        self._defaults = {
            name: rule["default"] for name, rule in known.items() if isinstance(rule, dict) and "default" in rule
        }
        required = schema.get("required")
        self._required = frozenset(required) if isinstance(required, list) else frozenset()

    def check(self, variables: Mapping[str, object]) -> Mapping[str, object]:
        """Return the variables, with the defaults of those not given; raises InvalidVariables naming every fault."""
        try:
            good = variables.keys() <= self.names and self._check.is_valid(variables)
            if not good or any(map(flaw_of, variables.values())):
                raise self.complaint(self._faults(variables))
        except (AttributeError, ValueError, TypeError) as error:
            raise self.complaint(self._faults(variables)) from error
        return {**self._defaults, **variables} if self._defaults else variables

    def complaint(self, reasons: Iterable[str]) -> InvalidVariables:
        """The error that names the prompt and every reason. What the caller's values say is not in it."""
        names = sorted(self.names)
        takes = f"It takes: {', '.join(names)}." if names else "It takes no variables."
        return InvalidVariables(
            f"The variables do not fit prompt {self.prompt}: {'; '.join(reasons)}.", mend=takes, param="variables"
        )

    def _faults(self, variables: object) -> list[str]:
        if not isinstance(variables, Mapping):
            return ["they must be a map of names to values"]
        missing = sorted(self._required - variables.keys())
        reasons = [f"`{name}` is missing" for name in missing]
        reasons += [self._unknown(name) for name in variables if name not in self.names]
        flaws = {name: flaw for name, value in variables.items() if name in self.names and (flaw := flaw_of(value))}
        reasons += [f"`{name}` {flaw}" for name, flaw in flaws.items()]
        sound = {name: value for name, value in variables.items() if name in self.names and name not in flaws}
        return reasons + list(dict.fromkeys(self._broken(sound)))

    def _unknown(self, name: object) -> str:
        near = get_close_matches(str(name), self.names, n=1)
        return f"`{str(name)[:60]}` is unknown" + (f" (did you mean `{near[0]}`?)" if near else "")

    def _broken(self, variables: dict[str, object]) -> Iterator[str]:
        for error in self._check.iter_errors(variables):
            path = ".".join(str(step) for step in error.instance_path)
            if path:
                yield f"`{path}` {explain(error)}"
            elif error.kind.name != "required" or error.kind.as_dict()["property"] not in self._required:
                yield f"together they break a rule: the map {explain(error)}"
