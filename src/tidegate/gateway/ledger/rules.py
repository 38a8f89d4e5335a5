"""Which limits count a call, found once for calls that are alike."""

from collections.abc import Sequence

from tidegate.gateway.call import Call
from tidegate.gateway.ledger.slices import Slice
from tidegate.live.counting import counter_name, counts
from tidegate.live.rollouts import SHADOW, shadow_origin
from tidegate.live.snapshot import LimitRule

__all__ = ["Counted", "Kind", "Rulebook", "words_of"]

Counted = tuple[LimitRule, str]
"""A rule, and the counter of it that counts the call."""

BOUNDED = ("nano_usd", "tokens")


class Kind:
    """What counts calls that are alike. `bounded`: something counts money or tokens; `clamped`: and blocks.

    `slices` are those of `rules` as the ledger found them last, good until `until_ms` while its epoch is `epoch`.
    """

    __slots__ = ("bounded", "clamped", "epoch", "rules", "slices", "until_ms")

    def __init__(self, rules: tuple[Counted, ...]) -> None:
        self.rules = rules
        self.slices: tuple[Slice, ...] = ()
        self.until_ms = 0
        self.epoch = 0
        self.bounded = any(rule.unit in BOUNDED for rule, _ in rules)
        self.clamped = any(rule.unit in BOUNDED and rule.hard for rule, _ in rules)


NOTHING = Kind(())

MAX_KINDS = 10_000
ORIGIN = "origin"


class Rulebook:
    """The rules of one generation."""

    def __init__(self, rules: Sequence[LimitRule], generation: int) -> None:
        self.generation = generation
        self.rules = {rule.name: rule for rule in rules}
        self._of_users = tuple(rule for rule in rules if ORIGIN not in rule.match)
        self._of_others = tuple(rule for rule in rules if ORIGIN in rule.match)
        self._kinds: dict[tuple[object, ...], Kind] = {}

    def counted(self, call: Call) -> Kind:
        """The rules that count this call: a shadow's, judge's or probe's are never those of users."""
        rules = self._of_users if call.origin == "user" else self._of_others
        if not rules:
            return NOTHING
        grant = call.grant
        kind: tuple[object, ...]
        if grant is not None and call.tags is grant.tags:
            kind = (grant.key_id, call.route, _origin(call))
        else:
            kind = (grant.key_id if grant else None, call.route, _origin(call), *sorted(call.tags.items()))
        found = self._kinds.get(kind)
        if found is None:
            words = words_of(call)
            found = Kind(tuple((rule, counter_name(rule, words)) for rule in rules if counts(rule, words)))
            if len(self._kinds) >= MAX_KINDS:  # callers invent tags: what is forgotten is found again
                self._kinds.clear()
            self._kinds[kind] = found
        return found


def words_of(call: Call) -> dict[str, str]:
    """The words of a call that rules speak of; key, model, environment and origin are never a tag's to say."""
    words = dict(call.tags)
    words[ORIGIN] = _origin(call)
    words["model"] = call.route or ""
    if call.grant is not None:
        words["key"] = call.grant.name
        words["environment"] = call.grant.environment
    return words


def _origin(call: Call) -> str:
    """Whose the call is; a copy for a rollout's candidate is that rollout's, so that no other cap counts it."""
    origin, placed = call.origin, call.placement
    if origin == SHADOW and placed is not None and placed.release.rollout is not None:
        return shadow_origin(placed.release.rollout.rollout_id)
    return origin
