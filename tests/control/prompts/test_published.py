"""Released versions do not change: release tags, what they say, and the commits that they stand on."""

from tests.support.promptfiles import fragment_text, library_of, prompt_text, tree_of
from tidegate.control.prompts.ports import Commit, Tag, TreeFile
from tidegate.control.prompts.published import hashes_of_tags

PATH = "prompts/greeting/v1.0.0.yaml"
PLACE = ("greeting", "1.0.0")
ONE, TWO = {PATH: prompt_text(says="Hello {{ name }}.")}, {PATH: prompt_text(says="Hi {{ name }}.")}
HASH_ONE, HASH_TWO = library_of(ONE).hashes[PLACE], library_of(TWO).hashes[PLACE]


class Shelf:
    """A repository of commits in memory, which counts how often one was read."""

    def __init__(self, tags: list[Tag], **commits: dict[str, str]) -> None:
        self._tags = tags
        self._commits = commits
        self.read: list[str] = []

    def tags(self, prefix: str) -> list[Tag]:
        return [tag for tag in self._tags if tag.name.startswith(prefix)]

    def files(self, sha: str) -> list[TreeFile]:
        self.read.append(sha)
        return tree_of(self._commits[sha])

    def __getattr__(self, name: str) -> Commit:
        raise AssertionError(f"nobody should need {name}")


def tag(number: int, sha: str, *, version: str = "1.0.0", digest: str | None = None, prompt: str = "greeting") -> Tag:
    lines = [f"deploy {prompt} to {version} in production", "", "actor: alice", f"version: {version}"]
    lines += [f"content-hash: {digest}"] if digest else []
    return Tag(name=f"release/production/{prompt}/{number}", sha=sha, message="\n".join(lines))


def released(shelf: Shelf, now: dict[str, str]) -> dict[tuple[str, str], str]:
    return hashes_of_tags(shelf, library_of(now).hashes)  # type: ignore[arg-type]  # the part of the port that is used


def test_an_unchanged_version_costs_no_reading() -> None:
    shelf = Shelf([tag(number, "c1", digest=HASH_ONE) for number in range(1, 50)], c1=ONE)
    assert released(shelf, ONE) == {PLACE: HASH_ONE}
    assert shelf.read == []


def test_a_changed_version_is_judged_by_the_tagged_commit() -> None:
    shelf = Shelf([tag(1, "c1", digest=HASH_ONE), tag(2, "c1", digest=HASH_ONE)], c1=ONE)
    assert released(shelf, TWO) == {PLACE: HASH_ONE}
    assert shelf.read == ["c1"]


def test_a_tag_that_tells_no_hash_is_judged_by_its_commit() -> None:
    assert released(Shelf([tag(1, "c1")], c1=ONE), ONE) == {PLACE: HASH_ONE}
    assert released(Shelf([tag(1, "c1")], c1=ONE), TWO) == {PLACE: HASH_ONE}


def test_the_commit_has_the_last_word_over_the_tags_own_hash() -> None:
    assert released(Shelf([tag(1, "c1", digest=HASH_TWO)], c1=ONE), ONE) == {PLACE: HASH_ONE}


def test_where_the_commit_has_no_such_file_the_tag_is_believed() -> None:
    assert released(Shelf([tag(1, "c1", digest=HASH_TWO)], c1={}), ONE) == {PLACE: HASH_TWO}
    assert released(Shelf([tag(1, "c1")], c1={}), ONE) == {}


def test_tags_of_others_and_of_versions_that_are_gone_do_not_matter() -> None:
    tags = [
        Tag(name="v1.0.0", sha="c1", message="version: 1.0.0"),
        Tag(name="release/production/greeting", sha="c1", message="version: 1.0.0"),
        Tag(name="release/production/greeting/1", sha="c1"),
        tag(2, "c1", version="9.9.9", digest=HASH_TWO),
        tag(3, "c1", version="none"),
        tag(4, "c1", prompt="other", digest=HASH_TWO),
    ]
    shelf = Shelf(tags, c1=ONE)
    assert released(shelf, ONE) == {}
    assert shelf.read == []


def test_a_changed_fragment_changes_the_version_that_includes_it() -> None:
    def state(says: str) -> dict[str, str]:
        prompt = prompt_text(
            says='{{ name }} {% include "rules" %}', more="includes: [{name: rules, version: 1.0.0}]\n"
        )
        return {PATH: prompt, "prompts/rules/v1.0.0.yaml": fragment_text("rules", says=says)}

    before, after = state("One."), state("Two.")
    shelf = Shelf([tag(1, "c1", digest=library_of(before).hashes[PLACE])], c1=before)
    assert released(shelf, after)[PLACE] != library_of(after).hashes[PLACE]
