"""The services of a host as programs, accounts and folders."""

from typing import Any

from tests.unit.modules.loading import filters

FILTERS = filters("service_programs")
NAMES = ["handlers", "projector", "processor", "api"]


def plan(**given: Any) -> dict[str, Any]:
    limits = {"network": "local", "groups": [], "writable": [], "umask": "0077"}
    return {
        "command": "/opt/workflow-backend",
        "directory": "/data",
        "run": "/run/handlers",
        "accounts": {name: f"account-{name}" for name in NAMES},
        "build": "build-1",
        "settings": {},
        "descriptions": {name: f"The {name}" for name in NAMES},
        "environments": {name: {"COMMON": "1"} for name in NAMES},
        "credentials": {name: {} for name in NAMES},
        "limits": dict.fromkeys(NAMES, limits),
        "handlers": "[job]",
        "projection": "/data/projection",
        "clients": "projection-clients",
        **given,
    }


def programs(**given: Any) -> dict[str, dict[str, Any]]:
    return {
        program["name"]: program for program in FILTERS["service_programs"](NAMES, plan(**given))
    }


def test_handlers_restart_with_their_file_and_no_other_service_does() -> None:
    revisions = {name: program["revision"] for name, program in programs().items()}
    assert revisions.pop("handlers") == "build-1[job]"
    assert set(revisions.values()) == {"build-1"}


def test_processor_starts_after_the_handlers() -> None:
    after = {name: program["after"] for name, program in programs().items()}
    assert after["processor"] == ["postgres", "abci", "cometbft", "handlers"]
    assert after["api"] == ["postgres", "abci", "cometbft"]


def test_setting_of_the_operator_wins_but_not_over_the_state_folder() -> None:
    settings = {"api": {"COMMON": "2", "XIAN_WORKFLOW_STATE_DIR": "/elsewhere"}}
    assert programs(settings=settings)["api"]["environment"] == {
        "COMMON": "2",
        "XIAN_WORKFLOW_STATE_DIR": "/data/api",
    }


def test_service_has_time_to_stop_beyond_its_drain() -> None:
    settings = {name: {"XIAN_WORKFLOW_DRAIN_SECONDS": "300"} for name in NAMES}
    assert programs(settings=settings)["processor"]["stop_seconds"] == 320
    settings["processor"] = {"XIAN_WORKFLOW_DRAIN_SECONDS": "5"}
    assert programs(settings=settings)["processor"]["stop_seconds"] == 30
    settings["processor"] = {"XIAN_WORKFLOW_DRAIN_SECONDS": "soon"}
    assert "stop_seconds" not in programs(settings=settings)["processor"]
    assert "stop_seconds" not in programs()["api"]


def test_program_without_secrets_has_no_credentials() -> None:
    credentials: dict[str, dict[str, str]] = {name: {} for name in NAMES} | {
        "api": {"wallet_key": "hush"}
    }
    given = programs(credentials=credentials)
    assert given["api"]["credentials"] == {"wallet_key": "hush"}
    assert "credentials" not in given["handlers"]


def test_folder_of_the_projection_is_shared_by_its_clients() -> None:
    folders = {folder["path"]: folder for folder in FILTERS["service_folders"](NAMES, plan())}
    assert folders["/data/projection"] == {
        "path": "/data/projection",
        "owner": "account-projector",
        "group": "projection-clients",
        "mode": "2770",
    }
    assert folders["/data/api"]["mode"] == "0700"
    assert folders["/run/handlers"]["owner"] == "account-handlers"


def test_host_without_projector_or_with_a_database_has_no_such_folder() -> None:
    alone = FILTERS["service_folders"](["api"], plan())
    assert [folder["path"] for folder in alone] == ["/data/api"]
    database = FILTERS["service_folders"](NAMES, plan(projection=""))
    assert "/data/projection" not in {folder["path"] for folder in database}


def test_account_has_the_groups_of_its_service() -> None:
    limits = {**plan()["limits"], "api": {"groups": ["clients"]}}
    accounts = FILTERS["service_accounts"](["api"], plan(limits=limits))
    assert accounts == [{"name": "account-api", "groups": ["clients"]}]
