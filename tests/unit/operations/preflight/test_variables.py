"""Variables: a name that no role knows is found, and a value that its role does not take."""

from typing import Any

import pytest

from workflow_backend.operations.preflight import variables
from workflow_backend.operations.preflight.catalogue import RENAMED, Catalogue
from workflow_backend.operations.preflight.findings import Level
from workflow_backend.operations.preflight.inventory import Inventory

from .inventories import CATALOGUE, PREFIXES, host, only, preflight, problem, warning


def test_misspelt_name_is_reported_with_the_one_that_is_meant() -> None:
    finding = only(preflight(host(xian_node_block_polcy="on_demand")))
    assert (finding.check, finding.level) == ("variables", Level.PROBLEM)
    assert finding.what == "no role knows xian_node_block_polcy"
    assert finding.hint == "is it xian_node_block_policy?"


def test_name_like_no_other_is_reported_too() -> None:
    finding = only(preflight(host(preflight_party="tonight")))
    assert finding.what == "no role knows preflight_party"
    assert "another prefix" in finding.hint


def test_names_that_begin_otherwise_are_the_operators_own() -> None:
    assert preflight(host(my_release="1", xiannode="2", node_xian_node_x="3")) == []


def test_renamed_variable_is_reported_with_its_new_name() -> None:
    renamed = {"xian_node_policy": "xian_node_block_policy"}
    catalogue = Catalogue({}, {}, list(CATALOGUE.options), renamed)
    one = host(xian_node_policy="on_demand", catalogue=catalogue)
    inventory = Inventory({"one": one}, frozenset({"one"}))
    finding = only(list(variables.check(inventory, catalogue, PREFIXES, rehearsal=False)))
    assert finding.what == "xian_node_policy has another name now"
    assert finding.hint == "rename it to xian_node_block_policy"


def test_variable_that_was_renamed_has_its_new_name_in_the_catalogue() -> None:
    assert not RENAMED.keys() & CATALOGUE.options.keys()
    assert set(RENAMED.values()) <= CATALOGUE.options.keys()


def test_variables_that_can_not_be_evaluated_are_one_finding() -> None:
    lost = ("workflow_services_report", "workflow_contract_workers")
    what = problem(preflight(host(lost=lost)), "variables")
    assert what == "can't be evaluated: workflow_contract_workers, workflow_services_report"


@pytest.mark.parametrize("name", variables.FILES)
def test_file_that_is_named_and_not_there(name: str) -> None:
    given = {"workflow_services_api_key": "-----BEGIN PRIVATE KEY-----", name: "/no/such"}
    what = problem(preflight(host(**given), absent=["/no/such"]), "variables")
    assert what == f"{name}: there is no file /no/such"
    assert CATALOGUE.options[name].kind == "path"


def test_rehearsal_may_come_before_the_network_and_its_files() -> None:
    findings = preflight(
        host(lost=("workflow_contract_workers",)), networks={"/net": None}, rehearsal=True
    )
    assert [finding.level for finding in findings] == [Level.WARNING] * 2
    findings = preflight(host(lost=("workflow_contract_workers",)), rehearsal=True)
    assert problem(findings, "variables")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("xian_node_keep_blocks", "many"),
        ("xian_node_keep_blocks", 1.5),
        ("xian_node_keep_blocks", True),
        ("xian_node_private_network", "perhaps"),
        ("xian_node_peers", {"a": 1}),
        ("workflow_contract_workers", 5),
        ("workflow_contract_fund_target", "much"),
        ("workflow_contract_fund_target", "inf"),
        ("workflow_services_expected", "A=1"),
        ("workflow_contract_name", ["con_a"]),
        ("xian_node_profile", "single"),
        ("workflow_services_names", ["handlers", "ui"]),
    ],
)
def test_value_of_another_kind_is_reported(name: str, value: Any) -> None:
    what = next(f.what for f in preflight(host(**{name: value})) if f.check == "variables")
    assert what.startswith(f"{name} must be of ")
    assert what.endswith(f"it is {value!r}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("xian_node_keep_blocks", "5"),
        ("xian_node_private_network", "yes"),
        ("xian_node_peers", "a,b"),
        ("workflow_contract_fund_target", "1e6"),
        ("workflow_contract_name", 5),
        ("workflow_services_names", ["handlers"]),
    ],
)
def test_value_that_ansible_would_take_is_taken(name: str, value: Any) -> None:
    assert preflight(host(**{name: value})) == []


def test_secret_is_not_repeated() -> None:
    findings = preflight(host(workflow_services_keys="hunter2"))
    assert "hunter2" not in str(findings)
    assert problem(findings, "variables").startswith("workflow_services_keys must be of")


def test_variables_of_hosts_outside_the_play_do_not_count() -> None:
    hosts = host("one"), host("four", preflight_party="tonight")
    assert preflight(*hosts, play=("one",)) == []
    assert preflight(*hosts, play=("four",)) != []


def test_default_comes_from_the_spec_the_profile_or_another_variable() -> None:
    default = CATALOGUE.default
    assert default("workflow_services_api_port", {}) == 8000
    assert default("xian_node_block_policy", {}) == "idle_interval"
    chosen = {"xian_node_profile": "single-node-indexed"}
    assert default("xian_node_block_policy", chosen) == "on_demand"
    specs: dict[str, Any] = {"role_": {"argument_specs": {"main": {"options": {
        "role_a": {"default": "{{ role_b }}"}, "role_b": {"default": 1},
        "role_c": {"default": "{{ role_b + 1 }}"},
    }}}}}  # fmt: skip
    small = Catalogue(specs, {})
    assert (small.default("role_a", {}), small.default("role_a", {"role_b": 2})) == (1, 2)
    assert small.default("role_c", {}) is None
    assert small.default("role_d", {}) is None


def test_options_own_role_has_the_last_word() -> None:
    options: dict[str, Any] = {"main": {"options": {"owner_x": {"required": True}}}}
    own = {"main": {"options": {"owner_x": {"default": 5, "type": "int"}}}}
    specs: dict[str, Any] = {
        "another": {"argument_specs": options},
        "owner": {"argument_specs": own},
    }
    specs["zealous"] = {"argument_specs": options}
    assert Catalogue(specs, {}).options["owner_x"].kind == "int"
    assert Catalogue(specs, {}).default("owner_x", {}) == 5


def test_warnings_are_not_problems() -> None:
    assert warning(preflight(host(), networks={"/net": None}, rehearsal=True), "network")
