"""`featstore extract --corrupt`, `corrupt`, `corruptions`, `pool` and `probe --test-feature`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from corrupted_store import make_corrupted_store

import featstore as fs
from featstore.cli.main import group


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(group, list(map(str, arguments)))


@pytest.fixture(scope="module")
def store(few_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corrupted_store(few_photos, tmp_path_factory.mktemp("cli") / "s.zarr").path


def test_corrupted_features_lie_beside_clean_ones(few_photos: Path, tmp_path: Path) -> None:
    place = tmp_path / "s.zarr"
    options = ["-b", "r=random/resnet18?size=32", "--corrupt", "clean", "--corrupt", "jpeg10"]
    result = run("extract", few_photos, *options, "-o", place, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["computed"] == ["r", "r-jpeg10"]
    assert "nothing to do" in run("extract", few_photos, *options, "-o", place).stdout
    listed = json.loads(run("ls", place, "--json").stdout)["features"]
    assert [one["corruption"] for one in listed] == ["", "jpeg10"]
    info = json.loads(run("info", place, "--feature", "r-jpeg10", "--json").stdout)
    assert info["spec"]["corruption"] == {"name": "jpeg", "quality": 10}
    refused = run("extract", few_photos, "-b", "random/resnet18", "--corrupt", "x", "-o", place)
    assert refused.exit_code == 2
    assert "no corruption 'x'" in refused.stderr


def test_the_report_says_how_to_make_them_again(store: Path, tmp_path: Path) -> None:
    probed = run(
        "probe", store, "-f", "a", "-C", "0.1", "--test-feature", "a-jpeg10", "--name", "shift"
    )
    assert probed.exit_code == 0, probed.output
    n_test = len(fs.open(store).rows("test"))
    assert f"{n_test} tested on, as a-jpeg10" in probed.stdout
    run("probe", store, "-f", "a", "-C", "0.1", "--name", "clean")
    again = run(
        "probe", store, "-f", "a-jpeg10", "-C", "0.1", "--name", "trained on jpeg".replace(" ", "-")
    )
    assert again.exit_code == 0, again.output
    page = tmp_path / "r.html"
    assert run("report", store, "--out", page).exit_code == 0
    text = page.read_text()
    assert "--test-feature a-jpeg10" in text
    assert "on a-jpeg10" in text
    assert "--corrupt jpeg10" in text
    for name in ("clean", "shift", "trained-on-jpeg"):
        run("rm", store, name, "--run")


def test_drops_are_shown_drawn_and_written(store: Path, tmp_path: Path) -> None:
    plot = tmp_path / "drop.svg"
    shown = run("corruptions", store, "-f", "a", "-f", "b", "-C", "0.1", "--plot", plot)
    assert shown.exit_code == 0, shown.output
    for word in ("downsample4", "jpeg10", "on clean images", "mean corruption error"):
        assert word in shown.stdout
    assert plot.read_text().startswith("<svg")
    result = run("corruptions", store, "-f", "a", "--baseline", "b", "-C", "0.1", "--json")
    (found,) = json.loads(result.stdout)
    assert [row["corruption"] for row in found["drops"]] == ["downsample4", "jpeg10"]
    assert "mCE" in [row["measure"] for row in found["summary"]]
    runs = fs.open(store).runs
    clean = next(name for name in runs if name.startswith("logistic-a-label"))
    jpeg = next(name for name in runs if name.startswith("logistic-a-on-a-jpeg10"))
    stored = run("corruptions", store, "--clean", clean, "--corrupted", f"jpeg10={jpeg}", "--json")
    (compared,) = json.loads(stored.stdout)
    assert compared["drops"][0]["drop"] == pytest.approx(found["drops"][1]["drop"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say what to compare"),
        (("-f", "a", "--clean", "x", "--corrupted", "j=y"), "say what to compare"),
        (("--clean", "x"), "say what to compare"),
        (("--clean", "x", "--corrupted", "y"), "LABEL=RUN"),
        (("-f", "a", "--only", "fog-1"), "has no features of a on images with fog-1"),
        (("-f", "a", "--plot", "x.gif"), "must end in .svg"),
    ],
)
def test_what_makes_no_sense_is_refused(
    store: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = run("corruptions", store, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_copy_is_written_once(few_photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    first = run("corrupt", few_photos, "--corrupt", "jpeg10", "--out", out)
    assert first.exit_code == 0, first.output
    assert "60 images, 60 of them now" in first.stdout
    again = run("corrupt", few_photos, "--corrupt", "jpeg10", "--out", out)
    assert "nothing to do" in again.stdout
    other = run("corrupt", few_photos, "--corrupt", "resize", "--out", out)
    assert other.exit_code == 2
    document = json.loads(
        run("corrupt", few_photos, "--corrupt", "jpeg10", "--out", out, "--json").stdout
    )
    assert document["written"] == 0


def test_stores_are_pooled(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "street.zarr"
    shutil.copytree(store, other)
    out = tmp_path / "p.csv"
    result = run("pool", f"shop={store}", other, "--total", "31", "-o", out, "--json")
    assert result.exit_code == 0, result.output
    parts = {one["store"]: one["images"] for one in json.loads(result.stdout)["parts"]}
    assert parts == {"shop": 16, "street": 15}
    assert len(out.read_text().splitlines()) == 32
    shown = run("pool", f"shop={store}", other, "--sizes", "5,6", "-o", out)
    assert "11 images" in shown.stdout
    for arguments, message in (
        ((store, store), "two stores would be called 's'"),
        ((store,), "two or more"),
        ((store, other, "--root", "x=y"), "the stores are s, street"),
        ((store, other, "--root", "x"), "NAME=PLACE"),
        ((store, other, "--total", "many"), "no number of rows"),
    ):
        refused = run("pool", *arguments, "-o", out)
        assert refused.exit_code == 2
        assert message in refused.output
