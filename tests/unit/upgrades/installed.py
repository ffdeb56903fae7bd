"""Hosts with their releases for the tests."""

from workflow_backend.operations.upgrades.releases import InstalledReleases

VERSIONS = {"cometbft": "v1", "xian-tech-abci": "1.0", "python": "3.14.8", "uvicorn": "1"}


def host(current: str | None, previous: str | None = None, **versions: str) -> InstalledReleases:
    """A host with its releases."""
    names = {name for name in (current, previous) if name}
    return InstalledReleases(
        current=current,
        previous=previous,
        releases=dict.fromkeys(names, VERSIONS | versions),
    )
