"""The doctor: what each part says of sound and of ailing systems."""

from __future__ import annotations

import json
import tomllib
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from digits_store import make_digits_store
from PIL import features
from small_store import make_spec

import featstore.installation
from featstore.cgroup import Limits, cgroup_limits
from featstore.cli.main import group
from featstore.cores import available_cores
from featstore.installation import Check, examine
from featstore.installation.decoders import check_decoders
from featstore.installation.disk import check_disk
from featstore.installation.layout import check_layout
from featstore.installation.packages import (
    ENABLES,
    FOR_DEVELOPERS,
    check_extras,
    check_packages,
)
from featstore.installation.processor import check_cores, check_memory, check_threads
from featstore.installation.stored import check_store
from featstore.installation.torch_devices import check_devices, nvidia_driver

REPOSITORY = Path(__file__).resolve().parents[2]


def states(checks: Any) -> dict[str, str]:
    return {check.subject: check.state for check in checks}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_this_installation_is_sound(tmp_path: Path) -> None:
    store = make_digits_store(tmp_path / "d.zarr")
    store.writer("half", make_spec(store.samples, dim=4))
    before = sorted(tmp_path.iterdir())
    checks = list(examine(store=str(store.path)))
    assert [check for check in checks if check.state == "problem"] == []
    assert all(check.advice for check in checks if check.state != "ok")
    found = states(checks)
    assert {"Python", "torch", "faiss-cpu", "CUDA", "cores", "JPEG", "speed"} <= set(found) | {
        "CUDA" if "cuda:0" in found else ""
    }
    assert (found["pixels"], found["half"]) == ("ok", "note")
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_and_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [Check("python", "Python", "ok", "3.12"), Check("disk", "space", "note", "low", "buy")]
    monkeypatch.setattr(featstore.installation, "examine", lambda *_, **__: iter(checks))
    result = CliRunner().invoke(group, ["doctor"])
    assert result.exit_code == 0
    assert "→ buy" in result.output
    assert "1 ok, 1 note, 0 problems" in result.output
    checks.append(Check("torch", "CUDA", "problem", "old driver", "update it"))
    result = CliRunner().invoke(group, ["doctor", "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["problems"] == 1
    assert document["checks"][2]["advice"] == "update it"


@pytest.fixture
def requires(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets what featstore requires."""

    def set_to(*requirements: str, extras: tuple[str, ...] = ()) -> None:
        monkeypatch.setattr(metadata, "requires", lambda _: list(requirements))
        found = SimpleNamespace(get_all=lambda _: list(extras))
        monkeypatch.setattr(metadata, "metadata", lambda _: found)

    return set_to


def test_packages_that_are_missing_or_unfit(requires: Callable[..., None]) -> None:
    version = metadata.version("click")
    requires("click", "no-such-thing>=2", f"click!={version}", "win-only; sys_platform == 'none'")
    sound, missing, unfit = check_packages()
    assert sound == Check("packages", "click", "ok", version)
    assert (missing.state, missing.advice) == ("problem", 'pip install "no-such-thing>=2"')
    assert unfit.state == "problem"
    assert f"{version}: featstore needs !={version}" in unfit.found


def test_a_known_bad_release_is_named_with_its_reason(
    requires: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    requires("torch>=2.6,!=2.13.0")
    monkeypatch.setattr(metadata, "version", lambda _: "2.13.0")
    (check,) = check_packages()
    assert check.state == "problem"
    assert "breaks the import of torchvision" in check.found


def test_a_package_that_cannot_be_imported(
    requires: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    requires("torchvision")
    monkeypatch.setattr("importlib.import_module", broken)
    (check,) = check_packages()
    assert check.state == "problem"
    assert "nms does not exist" in check.found
    assert "--force-reinstall" in check.advice


def test_extras(requires: Callable[..., None]) -> None:
    version = metadata.version("click")
    requires(
        "click; extra == 'timm'",
        "no-such-thing; extra == 'onnx'",
        "click>999; extra == 'new'",
        "featstore[onnx]; extra == 'dev'",
        extras=("timm", "onnx", "new", "dev"),
    )
    timm, onnx, new = check_extras()
    assert (timm.state, timm.found.split(":")[0]) == ("ok", f"click {version}")
    assert onnx.state == "note"
    assert onnx.advice.endswith('pip install "featstore[onnx]"')
    assert new.state == "problem"


def test_every_extra_says_what_it_enables() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    extras = set(settings["project"]["optional-dependencies"])
    assert extras == set(ENABLES) | FOR_DEVELOPERS


def test_running_from_a_folder_that_is_not_installed() -> None:
    (check,) = check_packages("no-such-distribution")
    assert (check.state, check.advice.split(" in ")[0]) == ("problem", "pip install -e .")
    assert list(check_extras("no-such-distribution")) == []


def test_links_that_a_checkout_wrote_as_files(tmp_path: Path) -> None:
    for name in ("probes", "backbones"):
        (tmp_path / name).mkdir()
    assert "lacks cli" in check_layout(tmp_path).found
    (tmp_path / "cli").write_text("../cli")
    check = check_layout(tmp_path)
    assert check.state == "problem"
    assert "core.symlinks=true" in check.advice
    (tmp_path / "cli").unlink()
    (tmp_path / "cli").mkdir()
    assert check_layout(tmp_path).state == "ok"


def test_limits_of_control_groups(tmp_path: Path) -> None:
    assert cgroup_limits(tmp_path) == Limits(None, None)
    write(tmp_path / "proc/self/cgroup", "0::/jobs/mine\n")
    write(tmp_path / "sys/fs/cgroup/jobs/cpu.max", "150000 100000\n")
    write(tmp_path / "sys/fs/cgroup/jobs/mine/cpu.max", "max 100000\n")
    write(tmp_path / "sys/fs/cgroup/jobs/mine/memory.max", "4000000000\n")
    assert cgroup_limits(tmp_path) == Limits(1.5, 4_000_000_000)


def test_limits_of_control_groups_of_version_1(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "4:memory:/of/the/host\n3:cpu,cpuacct:/\n")
    write(tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n")
    write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert cgroup_limits(tmp_path) == Limits(0.5, None)


def test_a_quota_below_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    check = check_cores(Limits(0.5, None))
    assert check.state == "note"
    assert "export OMP_NUM_THREADS=1" in check.advice
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert check_cores(Limits(0.5, None)).state == "ok"


def test_little_memory() -> None:
    assert check_memory(Limits(None, None), available=1 << 40).state == "ok"
    assert check_memory(Limits(None, 1 << 20), available=1 << 40).state == "note"
    assert check_memory(Limits(None, None), available=1 << 20).state == "note"


def test_threads() -> None:
    many = {"OMP_NUM_THREADS": f"{available_cores() + 1},2", "OMP_WAIT_POLICY": "ACTIVE"}
    found = states(check_threads(many))
    assert (found["OMP_NUM_THREADS"], found["OMP_WAIT_POLICY"]) == ("note", "note")
    sound = states(check_threads({"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}))
    assert (sound["OMP_NUM_THREADS"], sound["OMP_WAIT_POLICY"]) == ("ok", "ok")


@pytest.mark.parametrize("missing", ["jpg", "webp", "libjpeg_turbo"])
def test_a_pillow_without(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check = features.check
    monkeypatch.setattr(features, "check", lambda name: name != missing and check(name))
    found = states(check_decoders())
    assert found["JPEG" if "jp" in missing else "WEBP"] == (
        "problem" if missing == "jpg" else "note"
    )
    assert found["PNG"] == "ok"


def test_a_decoder_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featstore.installation.decoders._round_trip", lambda _: 40)
    assert set(states(check_decoders()).values()) <= {"problem", "note"}


def test_a_folder_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (absent,) = check_disk(tmp_path / "none")
    assert absent.state == "problem"

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    assert states(check_disk(tmp_path))["writing"] == "problem"
    assert states(check_disk(tmp_path, reading=True))["writing"] == "note"


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featstore.installation.disk.lock", lambda _: None)
    files = list(check_disk(tmp_path))[-1]
    assert (files.state, files.found) == ("note", "no locks")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store(tmp_path: Path) -> None:
    made = make_digits_store(tmp_path / "d.zarr")
    (made.path / "features" / "pixels" / "zarr.json").write_text("{")
    found = states(check_store(str(made.path)))
    assert (found["pixels"], found["pca"]) == ("problem", "ok")
    (made.path / "zarr.json").write_text("{}")
    (check,) = check_store(str(made.path))
    assert "is not a featstore store" in check.found


class Torch:
    """What `check_devices` asks of torch: a build, and devices that fail or not."""

    __version__ = "2.9.0"

    def __init__(
        self, cuda: str | None, *, devices: int = 0, said: str = "", fails: bool = False
    ) -> None:
        self.version = SimpleNamespace(cuda=cuda, hip=None)
        self.cuda = self
        self.devices, self.said, self.fails = devices, said, fails

    def is_available(self) -> bool:
        if self.said:
            warnings.warn(self.said, stacklevel=1)
        return self.devices > 0

    def device_count(self) -> int:
        return self.devices

    def get_device_properties(self, _: int) -> SimpleNamespace:
        return SimpleNamespace(name="GPU", total_memory=8e9, major=5, minor=0)

    def get_arch_list(self) -> list[str]:
        return ["sm_80"]

    def ones(self, *shape: int, device: str) -> Any:
        if self.fails:
            raise RuntimeError("CUDA error: no kernel image is available\nmore")
        import torch

        return torch.ones(*shape)


def test_devices_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def found(torch: Torch, driver: str | None) -> tuple[str, str]:
        (check,) = check_devices(torch, driver)
        return check.state, check.found

    assert found(Torch(None), None)[0] == "ok"
    assert found(Torch(None), "550.1")[0] == "note"
    assert found(Torch("13.0"), None)[0] == "ok"
    state, text = found(Torch("13.0", said="driver is too old (Triggered there)"), "470.1")
    assert state == "problem"
    assert text.endswith("driver is too old")
    assert found(Torch("13.0", devices=1), "580.1")[0] == "ok"
    state, text = found(Torch("13.0", devices=1, fails=True), "580.1")
    assert state == "problem"
    assert text.endswith("no kernel image is available")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert found(Torch("13.0"), "580.1")[0] == "note"


def test_version_of_the_driver(tmp_path: Path) -> None:
    for text in (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 2024\n",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build\n",
    ):
        write(tmp_path / "proc/driver/nvidia/version", text)
        assert nvidia_driver(tmp_path) == "550.54.15"
