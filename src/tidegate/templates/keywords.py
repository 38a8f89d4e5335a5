"""The words of JSON Schema 2020-12: which exist, where a schema stands in them, and which a prompt does not read."""

from collections.abc import Mapping

__all__ = ["DIALECT", "KEYWORDS", "LISTS_OF_SCHEMAS", "MAPS_OF_SCHEMAS", "REFUSED", "SCHEMAS", "TYPES"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

TYPES: Mapping[str, str] = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a map",
    "string": "text",
}
"""Each type in the words that users read."""

SCHEMAS = frozenset(
    (
        *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames"),
        *("then", "unevaluatedItems", "unevaluatedProperties"),
    )
)
"""Keywords whose value is a schema."""

LISTS_OF_SCHEMAS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
MAPS_OF_SCHEMAS = frozenset(("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"))

REFUSED = frozenset(
    ("$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef", "$vocabulary")
)
"""Keywords that let a schema reach out of its file, or name places in a way that is hard to follow."""

KEYWORDS = (
    SCHEMAS
    | LISTS_OF_SCHEMAS
    | MAPS_OF_SCHEMAS
    | REFUSED
    | frozenset(
        (
            *(
                "$comment",
                "$ref",
                "$schema",
                "const",
                "contentEncoding",
                "contentMediaType",
                "default",
                "dependentRequired",
            ),
            *("deprecated", "description", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format"),
            *(
                "maxContains",
                "maxItems",
                "maxLength",
                "maxProperties",
                "maximum",
                "minContains",
                "minItems",
                "minLength",
            ),
            *(
                "minProperties",
                "minimum",
                "multipleOf",
                "pattern",
                "readOnly",
                "required",
                "title",
                "type",
                "uniqueItems",
            ),
            "writeOnly",
        )
    )
)
