"""Where a call may go."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tidegate.live.plans import adapters_of, make_plan, may_use
from tidegate.live.snapshot import Choice, Deployment, Route, Snapshot

NAMES = ["a", "b", "c", "d"]
ALIASES = ["x", "y", "z"]
REGIONS = ["eu", "us", ""]


def a_deployment(name: str, region: str, adapters: dict[str, str] | None = None) -> Deployment:
    return Deployment(
        name=name, provider="openai", base_url="http://h/v1", upstream_model=f"m-{name}", region=region,
        adapters=adapters or {},
    )  # fmt: skip


routes = st.builds(
    lambda alias, deployment, choices, fallbacks, regions, own: Route(
        alias=alias,
        deployment=deployment,
        choices=tuple(Choice(name) for name in choices),
        fallbacks=tuple(fallbacks),
        regions=tuple(regions),
        by_environment={"staging": own} if own else {},
    ),
    st.sampled_from(ALIASES),
    st.sampled_from([*NAMES, "gone"]),
    st.lists(st.sampled_from([*NAMES, "gone"]), max_size=3, unique=True),
    st.lists(st.sampled_from([*NAMES, *ALIASES]), max_size=4),
    st.lists(st.sampled_from(["eu", "us"]), max_size=1),
    st.none() | st.sampled_from(NAMES),
)
snapshots = st.builds(
    lambda regions, adapters, found: Snapshot(
        deployments={
            name: a_deployment(name, region, {"lora": "l"} if with_ else {})
            for name, region, with_ in zip(NAMES, regions, adapters, strict=True)
        },
        routes={route.alias: route for route in found},
    ),
    st.tuples(*[st.sampled_from(REGIONS)] * 4),
    st.tuples(*[st.booleans()] * 4),
    st.lists(routes, max_size=3),
)


@given(
    snapshot=snapshots,
    alias=st.sampled_from([*ALIASES, *NAMES, "x:lora", "a:lora", "unknown"]),
    environment=st.sampled_from(["production", "staging"]),
    regions=st.lists(st.sampled_from(["eu", "us"]), max_size=2, unique=True),
)
def test_a_key_bound_to_regions_never_reaches_another_one(
    snapshot: Snapshot, alias: str, environment: str, regions: list[str]
) -> None:
    plan = make_plan(snapshot, alias, environment, tuple(regions))
    base = alias if alias in snapshot.routes or alias in snapshot.deployments else alias.partition(":")[0]
    route = snapshot.routes.get(base)
    for candidate in plan.candidates:
        if regions:
            assert candidate.deployment.region in regions
        if route is not None and route.regions:
            assert candidate.deployment.region in route.regions
        if alias.endswith(":lora"):
            assert candidate.upstream_model == "l"
    for step in plan.steps:
        own = snapshot.routes.get(step.alias)
        if own is not None and own.regions:
            assert {one.deployment.region for one in step.candidates} <= set(own.regions)
    assert all(step.candidates for step in plan.steps)
    assert plan.known or not plan.steps


def two(**route: Any) -> Snapshot:
    found = {"deployment": "a", "choices": (Choice("a", 3), Choice("b"))} | route
    return Snapshot(
        deployments={"a": a_deployment("a", "eu", {"shop": "a-shop"}), "b": a_deployment("b", "us")},
        routes={"x": Route(alias="x", **found), "y": Route(alias="y", deployment="b")},
    )


def test_an_adapter_is_served_where_it_is_loaded() -> None:
    plan = make_plan(two(), "x:shop", "production")
    assert [(one.deployment.name, one.upstream_model) for one in plan.candidates] == [("a", "a-shop")]
    assert [one.deployment for one in plan.excluded] == ["b"]
    assert adapters_of(two(), "x", "production") == ("shop",)
    assert not make_plan(two(), "x:unknown", "production").known


@given(snapshots, st.sampled_from(["x:lora", "a:lora", "y:none", "x:none"]), st.sampled_from(["production", "staging"]))
def test_an_adapter_is_known_where_it_is_declared(snapshot: Snapshot, alias: str, environment: str) -> None:
    base, _, adapter = alias.partition(":")
    plan = make_plan(snapshot, alias, environment)
    assert plan.known == (adapter in adapters_of(snapshot, base, environment))
    assert plan.known or not plan.steps


def test_an_adapter_goes_with_its_alias_and_a_name_with_a_colon_stands_alone() -> None:
    world = msgspec.structs.replace(two(), routes={**two().routes, "x:own": Route(alias="x:own", deployment="b")})
    assert may_use(world, ("x",), "x:shop")
    assert may_use(world, ("x:shop",), "x:shop")
    assert not may_use(world, ("x:shop",), "x")
    assert not may_use(world, ("x",), "x:own")


def test_a_fallbacks_own_regions_narrow_its_step_alone() -> None:
    world = two(fallbacks=("y",))
    y = Route(alias="y", deployment="a", choices=(Choice("a"), Choice("b")), regions=("us",))
    world = msgspec.structs.replace(world, routes={**world.routes, "y": y})
    named = [[one.deployment.name for one in step.candidates] for step in make_plan(world, "x", "production").steps]
    assert named == [["a", "b"], ["b"]]
    assert [step.alias for step in make_plan(world, "x", "production", ("eu",)).steps] == ["x"]


def test_an_environment_may_have_its_own() -> None:
    plan = make_plan(two(by_environment={"staging": "b"}), "x", "staging")
    assert [one.deployment.name for one in plan.candidates] == ["b"]


def test_fallbacks_come_in_order_and_each_once() -> None:
    plan = make_plan(two(fallbacks=("y", "x", "y", "b")), "x", "production")
    assert [step.alias for step in plan.steps] == ["x", "y", "b"]
