"""How far an index may be behind: one number, whoever asks."""

from pathlib import Path

import yaml

from workflow_backend.api import health
from workflow_backend.operations import judge

VARIABLES = Path(__file__).parents[3] / "roles" / "xian_node" / "vars" / "main" / "programs.yml"


def test_health_the_api_and_a_deployment_mean_the_same() -> None:
    deployment = yaml.safe_load(VARIABLES.read_text())["_xian_node_lag_limit"]
    assert deployment == judge.LAG_LIMIT == health.LAG_LIMIT
