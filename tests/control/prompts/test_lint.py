"""What lint finds: each code by an example, all faults of a file at once, and good files beside broken ones."""

import re
from pathlib import Path

import pytest

from tests.control.prompts.examples import BESIDE, CHAIN, CYCLE, EXAMPLES, GOOD, PATH, PIN, includes, link
from tests.support.promptfiles import codes, fragment_text, library_of, prompt_text, tree_file
from tidegate.control.prompts.codes import CODES, is_error
from tidegate.control.prompts.library import Library, read_library
from tidegate.control.prompts.lint import Surroundings
from tidegate.control.prompts.ports import TreeFile
from tidegate.control.prompts.published import seal

AROUND = Surroundings(exists=lambda path: False, models=frozenset({"chat", "small"}))
ELSEWHERE = {"file_link", "published_version_edited"}


@pytest.mark.parametrize("code", EXAMPLES)
def test_each_code_by_an_example(code: str) -> None:
    library = library_of(EXAMPLES[code], AROUND)
    found = [fault for fault in library.faults if fault.code == code]
    assert found, codes(library)
    for fault in found:
        assert fault.line is not None
        assert fault.mend or code in ("wrong_type", "wrong_value")
        assert fault.message.endswith((".", "?"))
    served = "greeting" in library.versions
    assert served == (not is_error(code)), codes(library)


def test_every_code_has_an_example_here() -> None:
    assert CODES.keys() - ELSEWHERE == EXAMPLES.keys()


def test_every_code_in_the_sources_is_listed() -> None:
    source = Path(__file__).parents[3] / "src" / "tidegate"
    rooms = [source / "kernel" / name for name in ("documents.py", "nodes.py", "shapes.py")]
    rooms += [*(source / "templates").glob("*.py"), *(source / "control" / "prompts").glob("*.py")]
    written = {code for room in rooms for code in re.findall(r'code="(\w+)"', room.read_text(encoding="utf-8"))}
    not_of_files = {"invalid_prompt", "published_version_edited"}
    assert written - not_of_files <= CODES.keys()


def test_a_good_file_has_no_faults_and_is_served() -> None:
    library = library_of({PATH: GOOD, "prompts/README.md": "x", "prompts/greeting/notes.txt": b"\xff"}, AROUND)
    assert library.faults == ()
    version = library.versions["greeting"]["1.0.0"]
    assert (version.model, version.sampling) == ("chat", {"temperature": 0.2})
    assert version.content_hash == library.hashes["greeting", "1.0.0"]
    assert [message.role for message in version.messages] == ["system", "user"]


def test_all_faults_of_a_file_come_at_once_in_the_order_of_its_lines() -> None:
    text = (
        "apiVersion: prompts/v1\nname: greeting\nversion: 1.0.0\n"
        "model: {model_id: caht, extra: {stream: true}}\n"
        "messages:\n"
        "  - role: system\n"
        "    content: |\n"
        "      Fine {{ tone }}\n"
        "\n"
        "      {{ nmae }}\n"
        "  - {role: user, content: '{{ text }}'}\n"
        "params:\n"
        "  type: object\n"
        "  required: [name, zip]\n"
        "  properties:\n"
        "    name: {type: strng}\n"
        "    text: {type: string, default: 5}\n"
        "    tone: {type: string}\n"
        "tests: {golden: {dataset: /etc/passwd}}\n"
        "gates:\n"
        "  cost: {}\n"
    )
    library = library_of({PATH: text}, AROUND)
    assert [(fault.line, fault.code) for fault in library.faults] == [
        (4, "model_unknown"),
        (4, "model_extra"),
        (8, "param_unguarded"),
        (10, "param_undeclared"),
        (14, "param_required"),
        (16, "param_unused"),
        (16, "schema_invalid"),
        (17, "param_default"),
        (19, "dataset_path"),
        (21, "gate_unit"),
        (21, "gate_bounds"),
    ]
    assert "Did you mean `name`?" in next(f.mend for f in library.faults if f.code == "param_undeclared")


def test_a_fault_in_a_template_stands_at_its_line_in_the_file() -> None:
    text = GOOD.replace(
        "Hello {{ name }}.", "Hello {{ name }}.\n\n      {% if name %}\n      {{ name | uper }}\n      {% endif %}"
    )
    (fault,) = library_of({PATH: text}).faults
    assert (fault.line, fault.column, fault.code) == (13, 7, "template_forbidden")
    assert text.splitlines()[12].strip() == "{{ name | uper }}"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1.10", "three parts: 1.10.0"),
        ("2", "three parts: 2.0.0"),
        ("1.", "three parts: 1.0.0"),
        ("1.0", "three parts: 1.0.0"),
        ("v1.0.0", "Write MAJOR.MINOR.PATCH"),
        ("1.0.0-rc1", "Write MAJOR.MINOR.PATCH"),
    ],
)
def test_a_version_that_is_none_is_told_how_to_write_it(written: str, said: str) -> None:
    (fault,) = library_of({PATH: GOOD.replace("version: 1.0.0", f"version: {written}")}).faults
    assert fault.line == 3
    assert said in fault.mend


def test_good_files_are_served_beside_every_kind_of_broken_one() -> None:
    broken: list[TreeFile] = []
    for number, example in enumerate(EXAMPLES.values()):
        text = example.get(PATH)
        if text is not None:
            broken.append(tree_file(f"prompts/p{number}/v1.0.0.yaml", text))
    good = [
        tree_file(BESIDE, prompt_text("other")),
        tree_file("prompts/third/v0.1.0.yaml", prompt_text("third", "0.1.0")),
    ]
    library = read_library([*broken, *good])
    assert {"other", "third"} <= library.versions.keys()
    assert not any(fault.file in (BESIDE, good[1].path) for fault in library.faults)


def test_a_link_is_refused_wherever_it_leads() -> None:
    for path in (PATH, "prompts/greeting", "prompts/secret.txt", "prompts/."):
        library = read_library([TreeFile(path=path, data=None, size=0, link=True)])
        assert codes(library) == ["file_link"]
        assert library.versions == {}


def test_a_released_version_that_changed_is_no_longer_served_from_its_file() -> None:
    library = library_of({PATH: GOOD, BESIDE: prompt_text("other")})
    place = ("greeting", "1.0.0")
    assert seal(library, {place: library.hashes[place], ("gone", "1.0.0"): "x"}) == library
    sealed = seal(library, {place: "another hash"})
    assert codes(sealed) == ["published_version_edited"]
    assert sealed.faults[0].file == PATH
    assert "tidegate prompt new greeting --bump patch" in sealed.faults[0].mend
    assert sealed.versions.keys() == {"other"}


# ------------------------------------------------------------------------------------------------- includes


def test_an_included_fragment_is_woven_in() -> None:
    library = library_of(includes(f"{{name: shared.rules, version: 1.0.0, sha256: {PIN}}}"))
    assert library.faults == ()
    assert library.fragments == {"shared.rules": ("1.0.0",)}
    assert library.versions["greeting"]["1.0.0"].messages[1].content == "{{ name }} Never guess.\n\n"
    assert "shared.rules" not in library.versions


def test_a_fragment_of_a_fragment_is_woven_in_too_and_changes_every_hash_above_it() -> None:
    def chain(innermost: str) -> Library:
        return library_of(
            {
                "prompts/a/v1.0.0.yaml": fragment_text("a", says=innermost),
                "prompts/b/v1.0.0.yaml": fragment_text(
                    "b", says='B {% include "a" %}', more="includes: [{name: a, version: 1.0.0}]\n"
                ),
                PATH: prompt_text(says='{{ name }} {% include "b" %}', more="includes: [{name: b, version: 1.0.0}]\n"),
            }
        )

    one, other = chain("One."), chain("Two.")
    assert "B One." in one.versions["greeting"]["1.0.0"].messages[1].content
    assert one.hashes.keys() == other.hashes.keys()
    assert all(one.hashes[place] != other.hashes[place] for place in one.hashes)
    assert set(codes(one)) == {"include_unpinned"}


def test_variables_of_a_fragment_must_be_declared_by_the_prompt_too() -> None:
    fragment = fragment_text(
        says="Speak for {{ company }}.",
        more="params: {type: object, required: [company], properties: {company: {type: string}}}\n",
    )
    prompt = includes("{name: shared.rules, version: 1.0.0}")[PATH]
    library = library_of({PATH: prompt, "prompts/shared.rules/v1.0.0.yaml": fragment})
    assert sorted(codes(library)) == ["include_unpinned", "param_undeclared"]
    assert "used by an included fragment" in library.faults[-1].message + library.faults[0].message
    declared = (
        str(prompt)
        .replace("required: [name]", "required: [name, company]")
        .replace("    name: {type: string}\n", "    name: {type: string}\n    company: {type: string}\n")
    )
    assert codes(library_of({PATH: declared, "prompts/shared.rules/v1.0.0.yaml": fragment})) == ["include_unpinned"]


def test_circles_end_and_are_told_with_their_way() -> None:
    library = library_of(CYCLE)
    told = next(fault for fault in library.faults if fault.code == "include_cycle")
    assert "a 1.0.0 -> b 1.0.0 -> a 1.0.0" in told.message
    itself = fragment_text("a", says='{% include "a" %}', more="includes: [{name: a, version: 1.0.0}]\n")
    assert "include_cycle" in codes(library_of({"prompts/a/v1.0.0.yaml": itself}))


def test_chains_of_includes_have_an_end() -> None:
    assert "include_cycle" in codes(library_of(CHAIN))
    short = {path: text for path, text in CHAIN.items() if path > "prompts/f2"}
    assert "include_cycle" not in codes(library_of(short))
    long: dict[str, str | bytes] = {}
    for number in range(600):
        long |= link(number, number + 1)
    assert "include_cycle" in codes(library_of(long))


def test_fragments_that_double_are_stopped() -> None:
    doubling: dict[str, str | bytes] = {"prompts/f0/v1.0.0.yaml": fragment_text("f0", says="x" * 100)}
    for number in range(1, 8):
        doubling |= link(number, number - 1, times=30)
    library = library_of(doubling)
    assert "template_too_large" in codes(library)


def test_the_mends_of_includes_name_what_to_write() -> None:
    def mend(code: str) -> str:
        return next(fault.mend for fault in library_of(EXAMPLES[code]).faults if fault.code == code)

    assert mend("include_unpinned") == f"Add `sha256: {PIN}`."
    assert mend("include_missing") == "shared.rules has 1.0.0."
    assert "List it" in mend("include_undeclared")
    misspelt = includes("{name: shared.rule, version: 1.0.0}", says='{{ name }} {% include "shared.rule" %}')
    assert "Did you mean `shared.rules`?" in next(
        f.mend for f in library_of(misspelt).faults if f.code == "include_missing"
    )


def test_an_include_of_another_format_is_refused() -> None:
    plain = fragment_text(more="template_format: plain\n")
    library = library_of(
        {PATH: includes("{name: shared.rules, version: 1.0.0}")[PATH], "prompts/shared.rules/v1.0.0.yaml": plain}
    )
    assert codes(library) == ["include_kind"]
