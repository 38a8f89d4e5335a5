"""Every code that `tidegate prompt lint` can give, whether it is an error or a warning, and what it means."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

__all__ = ["CODES", "Code", "is_error"]


class Code(NamedTuple):
    """An error keeps a version from being served; a warning does not."""

    severity: Literal["error", "warning"]
    meaning: str


def _error(meaning: str) -> Code:
    return Code("error", meaning)


def _warning(meaning: str) -> Code:
    return Code("warning", meaning)


CODES: Mapping[str, Code] = {
    # the file as text and YAML
    "not_utf8": _error("The file is not UTF-8."),
    "file_link": _error("The file is a symbolic link. Links are refused wherever they lead."),
    "file_name": _error("The file does not stand at `prompts/NAME/vMAJOR.MINOR.PATCH.yaml`."),
    "yaml_syntax": _error("The file is not YAML, or holds a control character."),
    "yaml_too_large": _error("The file is over 1 MiB."),
    "yaml_too_deep": _error("Values are nested deeper than 64."),
    "yaml_too_many": _error("With aliases written out, over 20,000 values or 4 MiB of text."),
    "yaml_alias": _error("An alias without an anchor before it, or inside its own anchor."),
    "yaml_documents": _error("A second document begins in the file."),
    "yaml_duplicate_key": _error("A key stands twice in one map."),
    "yaml_key": _error("A key that is not text, carries an anchor, or is the merge key `<<`."),
    "yaml_number": _error("A number that is infinite, not a number, or over 64 bits."),
    "yaml_tag": _error("An explicit tag such as `!!python/object`."),
    "yaml_two_faced": _error("A word that YAML 1.1 and 1.2 read differently: `no`, `010`, `12:30`, `1_000`, `1e3`."),
    # the shape
    "unknown_field": _error("A field that the format does not have."),
    "missing_field": _error("A field that is required is not there."),
    "wrong_type": _error("A value of the wrong type."),
    "wrong_value": _error("A value outside of what the field allows."),
    "name_mismatch": _error("`name` is not the name of the folder."),
    "version_mismatch": _error("`version` is not the version of the file's name."),
    "body": _error("Not exactly one of `messages` and `template` is there; a fragment has a `template`."),
    "model_missing": _error("A prompt without `model`, or a fragment with one."),
    "model_extra": _error("`model.extra` holds a field that Tidegate sets itself."),
    # templates
    "template_syntax": _error("A template that cannot be read, with the line in the file."),
    "template_forbidden": _error("Something that prompt templates may not do: calls, attributes, imports, macros."),
    "template_too_large": _error("A template of over 256 KiB, or one that cannot be compiled with its fragments."),
    # parameters and output
    "param_name": _error("A parameter whose name a template cannot write."),
    "param_unused": _error("A parameter that is declared and used nowhere."),
    "param_undeclared": _error("A variable that is used and not declared in `params.properties`."),
    "param_required": _error("A name in `params.required` that is not in `params.properties`."),
    "param_default": _error("A default that its own parameter's schema refuses."),
    "param_unguarded": _warning("An optional parameter without a default, used without `is defined` or `default`."),
    "schema_invalid": _error("`params` or `output.schema` is not a JSON Schema 2020-12 that can be used."),
    "schema_reference": _error("A reference that leads out of the schema, nowhere, in a circle, or too far."),
    "schema_keyword": _warning("A keyword that JSON Schema does not have, most likely misspelt."),
    # includes
    "include_syntax": _error('An include that is not written `{% include "name" %}`.'),
    "include_undeclared": _error("An include in a template that is not listed under `includes`."),
    "include_unused": _error("An entry under `includes` that no template includes, or that is there twice."),
    "include_missing": _error("An included fragment that does not exist."),
    "include_kind": _error("An include of a prompt instead of a fragment, or of another template format."),
    "include_hash": _error("`sha256` is not the content hash of the included fragment."),
    "include_unpinned": _warning("An include without `sha256`."),
    "include_cycle": _error("Fragments that include each other in a circle, or deeper than 8."),
    "include_broken": _error("An included fragment that has errors of its own."),
    # around the file
    "dataset_missing": _error("The dataset of `tests.golden` does not exist."),
    "dataset_path": _error("The dataset's path leads out of the repository."),
    "gate_unit": _error("A gate whose name does not end with a unit, such as `_drop`, `_ratio`, `_rate`."),
    "gate_bounds": _error("A gate without `max` and `min`, or with `min` above `max`."),
    "model_unknown": _warning("`model_id` is neither a route nor a model of tidegate.yaml."),
    "published_version_edited": _error("A version that was released has changed since."),
}


def is_error(code: str) -> bool:
    """Whether a fault keeps its version from being served; a code that is not listed does."""
    known = CODES.get(code)
    return known is None or known.severity == "error"
