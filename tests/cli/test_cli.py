"""The command line: help, output, errors and exit codes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from digits_store import digits, make_digits_store
from PIL import Image
from small_store import fill, make_spec

from featstore.cli.main import COMMANDS, INTERRUPTED, SECTIONS, group
from featstore.html_report.command import extract_command
from featstore.store import FeatureStore

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def run_json(*arguments: str | Path) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*arguments: str | Path) -> str:
    """Return the message of a command that must fail: one error, exit code 2, no traceback."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith(("error: ", "Usage: "))
    return result.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with two features and runs on each and on both."""
    made = make_digits_store(tmp_path_factory.mktemp("cli") / "digits.zarr")
    for choice in (["--features", "pixels"], ["--features", "pca"], ["--fuse", "pca,pixels"]):
        run_json(
            "probe", made.path, *choice, "--value", "0.1", "--name", choice[1].replace(",", "+")
        )
    return made.path


@pytest.fixture(scope="module")
def taxonomy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("taxonomy") / "digits.csv"
    rows = [(f"digit {d}", "even" if d % 2 == 0 else "odd") for d in range(10)]
    pd.DataFrame(rows, columns=["digit", "parity"]).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_a_place_in_the_docs(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5
    assert f"`featstore {command}`" in (REPOSITORY / "docs" / "commands.md").read_text()


def test_help_and_version() -> None:
    shown = run("--help").output
    assert all(f"\n  {command} " in shown for command in COMMANDS)
    assert all(f"{heading}:" in shown for heading in SECTIONS)
    assert "..." not in shown.replace("[ARGS]...", "")
    assert run("--version").output.startswith("featstore 0.")


def test_a_mistyped_command_is_corrected() -> None:
    assert "Did you mean extract" in refused("extrakt")


def test_import_is_quick_because_it_is_light() -> None:
    heavy = ["torch", "pandas", "zarr", "matplotlib", "sklearn", "faiss"]
    code = f"import sys, featstore.cli; print([m for m in {heavy} if m in sys.modules])"
    light = f"import sys, featstore; print([m for m in {[*heavy, 'numpy']} if m in sys.modules])"
    for line in (light, code.replace("featstore.cli", "featstore.cli.main")):
        out = subprocess.run([sys.executable, "-c", line], capture_output=True, check=True)
        assert out.stdout.decode().strip() == "[]"


def test_a_wrong_name_is_told_before_torch_is_loaded(tmp_path: Path) -> None:
    store = make_digits_store(tmp_path / "d.zarr").path
    code = (
        "import sys\n"
        "from featstore.cli.main import group\n"
        "for command in ('probe', 'few-shot', 'quantity'):\n"
        f"    group.main([command, {str(store)!r}, '-f', 'nope'], standalone_mode=False)\n"
        "print('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert out.stdout.strip() == "False"
    assert out.stderr.count("has no feature 'nope'") == 3


def test_the_package_is_the_command() -> None:
    asked = [sys.executable, "-m", "featstore", "--version"]
    out = subprocess.run(asked, capture_output=True, check=True, text=True)
    assert out.stdout.startswith("featstore 0.")


def test_extract_from_a_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        for i in range(6):
            path = tmp_path / "images" / label / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    command = ["extract", tmp_path / "images", "-b", "random/resnet18?size=32"]
    document = run_json(*command, "-o", tmp_path / "s.zarr")
    assert document["computed"] == ["random_resnet18"]
    assert document["images"] == 12
    again = run(*command, "-o", tmp_path / "s.zarr")
    assert "nothing to do" in again.stdout
    assert "hold-out" in again.stderr
    info = run_json("info", tmp_path / "s.zarr")
    assert info["splits"] == {"test": 2, "train": 10}
    spec = run_json("info", tmp_path / "s.zarr", "--feature", "random_resnet18")["spec"]
    assert spec["backbone"]["dim"] == 512


def test_extract_in_ranks_after_a_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cat/1.png", "dog/1.png", "dog/2.png"):
        image(tmp_path / "images" / name)
    out = tmp_path / "s.zarr"
    command = ["extract", tmp_path / "images", "-b", "random/resnet18?size=32", "-o", out]
    plan = run_json(*command, "--dry-run")
    assert (plan["rows"], plan["images"], plan["features"][0]["dim"]) == (3, 3, 512)
    assert "nothing was written" in run(*command, "--dry-run").stderr
    assert not out.exists()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    second = run(*command)
    assert "rank 1/2, as the environment says" in second.stderr
    assert "shards left to other ranks: 1" in second.stderr
    assert run_json(*command, "--rank", "0/2")["computed"] == ["random_resnet18"]
    assert "nothing to do" in run(*command, "--rank", "0/1", "--dry-run").stdout
    assert "INDEX/COUNT" in refused(*command, "--rank", "first")
    assert "leave --ignore-times away" in refused(*command, "--hash", "--ignore-times")


def test_probe_prints_what_matters(store: Path) -> None:
    result = run("probe", store, "--features", "pixels", "--value", "0.1", "--name", "again")
    assert result.exit_code == 0
    for part in ("top1", "95 % interval", "C = 0.1 (fixed)", "converged", "797 tested on"):
        assert part in result.stdout
    assert run("rm", store, "again").exit_code == 0


def test_ls(store: Path) -> None:
    document = run_json("ls", store)
    assert [feature["feature"] for feature in document["features"]] == ["pca", "pixels"]
    assert [entry["run"] for entry in document["runs"]] == ["pca", "pca+pixels", "pixels"]
    assert "sealed" in run("ls", store).output


def test_per_class(store: Path) -> None:
    document = run_json("per-class", store, "--run", "pixels")
    accuracies = [row["accuracy"] for row in document["classes"]]
    assert accuracies == sorted(accuracies)
    assert len(accuracies) == 10
    limited = run("per-class", store, "--run", "pixels", "--limit", "3")
    assert "7 more" in limited.output
    assert "choose one with --run" in refused("per-class", store)
    assert "no column 'acuracy'" in refused(
        "per-class", store, "--run", "pixels", "--sort", "acuracy"
    )


def test_granularity(store: Path, taxonomy: Path) -> None:
    rows = run_json("granularity", store, "--taxonomy", taxonomy, "--save", "parity")
    pixels = [row for row in rows if row["run"] == "pixels"]
    assert [(row["level"], row["n_classes"]) for row in pixels] == [("digit", 10), ("parity", 2)]
    assert pixels[0]["accuracy"] <= pixels[1]["accuracy"]
    assert run_json("granularity", store, "--taxonomy", "parity") == rows
    assert run_json("ls", store)["taxonomies"] == ["parity"]
    assert "no taxonomy 'party'" in refused("granularity", store, "--taxonomy", "party")
    assert "there is no file party.csv" in refused("granularity", store, "--taxonomy", "party.csv")


def test_compare(store: Path) -> None:
    document = run_json("compare", store, "pca", "pixels")
    assert document["n_common"] == 797
    assert document["low"] <= document["difference"] <= document["high"]
    assert "McNemar" in run("compare", store, "pca", "pixels").output
    assert "Did you mean pixels" in refused("compare", store, "pca", "pixel")
    assert "The runs:\n  pca\n" in refused("compare", store)


def test_verify_and_its_exit_code(tmp_path: Path) -> None:
    made = make_digits_store(tmp_path / "d.zarr")
    assert run("verify", made.path).exit_code == 0
    shard = made.path / "features" / "pixels" / "c" / "2" / "0"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    result = run("verify", made.path)
    assert result.exit_code == 1
    assert "features/pixels/c/2/0: 1 of 1 chunks have another checksum" in result.output
    assert "row 512" in result.output
    document = json.loads(run("verify", made.path, "--repair", "--json").output)
    assert [finding["shard"] for finding in document["findings"]] == [2]
    assert [repair["place"] for repair in document["repairs"]] == [
        "features/pixels/c/2/0",
        "features/pixels/zarr.json",
    ]
    assert not made.feature("pixels").sealed


def test_report(store: Path, tmp_path: Path) -> None:
    result = run("report", store, "--out", tmp_path / "r.html")
    assert result.exit_code == 0, result.output
    assert "pca+pixels" in (tmp_path / "r.html").read_text()


def test_presets() -> None:
    assert "dinov2-logreg" in run("presets").output
    assert {preset["name"] for preset in run_json("presets")} >= {"dinov2-knn", "kornblith"}


def test_ctrl_c(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("featstore.evaluate.probe", interrupted)
    result = run("probe", store, "--features", "pixels")
    assert result.exit_code == INTERRUPTED
    assert "Run the same command again" in result.stderr


def image(path: Path, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20)).save(path, **options)


def test_bad_input_to_extract(tmp_path: Path) -> None:
    out = ["-b", "random/resnet18?size=32", "-o", tmp_path / "s.zarr"]
    images = tmp_path / "images"
    assert "does not exist" in refused("extract", images, *out)
    images.mkdir()
    assert "no images below" in refused("extract", images, *out)
    image(images / "cat" / "1.png")
    assert "of one class, 'cat'" in refused("extract", images, *out)
    image(images / "dog" / "1.png")
    (images / "dog" / "2.jpg").write_bytes(b"\xff\xd8\xff no jpeg")
    message = refused("extract", images, *out)
    assert "dog/2.jpg" in message
    assert "--on-error skip" in message
    assert run("extract", images, *out, "--on-error", "skip").exit_code == 0

    table = tmp_path / "t.csv"
    pd.DataFrame({"path": ["images/cat/1.png", "images/dog/1.png"], "label": ["cat", ""]}).to_csv(
        table, index=False
    )
    assert "1 of 2 rows have no label" in refused("extract", table, *out)


def test_bad_stores(tmp_path: Path) -> None:
    image(tmp_path / "images" / "cat" / "1.png")
    image(tmp_path / "images" / "dog" / "1.png")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")
    command = ["extract", tmp_path / "images", "-b", "random/resnet18?size=32", "-o"]
    assert "is not a featstore store" in refused(*command, other)
    assert (other / "thesis.tex").read_text() == "precious"
    assert "no store at" in refused("ls", tmp_path / "none.zarr")
    assert "is not a featstore store" in refused("ls", other)
    assert "cannot read backbone" in refused(*command[:3], "resnet 50", "-o", tmp_path / "s.zarr")


def test_bad_choices_of_features(store: Path, tmp_path: Path) -> None:
    assert "Did you mean pixels" in refused("probe", store, "--features", "pixls")
    assert "not both" in refused("probe", store, "--features", "pca", "--fuse", "pca,pixels")
    made = make_digits_store(tmp_path / "d.zarr")
    made.writer("half", make_spec(made.samples, dim=4))
    message = refused("probe", made.path, "--fuse", "pixels,half")
    assert "'half' is not finished: 0 of 1797" in message
    assert "no complete features" in refused(
        "probe", FeatureStore.create(tmp_path / "e.zarr", made.samples).path
    )


def test_a_failed_first_attempt_pins_nothing(tmp_path: Path) -> None:
    images = tmp_path / "images"
    for name in ("cat/1.png", "dog/1.png", "dog/2.png"):
        image(images / name)
    broken = images / "cat" / "0.jpg"
    broken.write_bytes(b"no jpeg")
    command = ["extract", images, "-b", "random/resnet18?size=32", "-o", tmp_path / "s.zarr"]
    assert "repair or remove it" in refused(*command)
    broken.unlink()
    assert run_json(*command)["images"] == 3


def test_a_damaged_feature_is_not_called_complete(tmp_path: Path) -> None:
    images = tmp_path / "images"
    for name in ("cat/1.png", "dog/1.png"):
        image(images / name)
    out = tmp_path / "s.zarr"
    command = ["extract", images, "-b", "x=random/resnet18?size=32", "-o", out]
    run_json(*command)
    (out / "features" / "x" / "c" / "0" / "0").unlink()
    assert "featstore verify --repair" in refused(*command)
    found = run("verify", out)
    assert found.exit_code == 1
    assert f"featstore verify {out} --repair\n  then: featstore extract {images}" in found.output
    assert run("verify", out, "--repair").exit_code == 0
    assert run_json(*command)["computed"] == ["x"]
    assert run("verify", out).output == f"{out}: everything is as it was written\n"


def test_rm_checks_every_name_first(tmp_path: Path, taxonomy: Path) -> None:
    made = make_digits_store(tmp_path / "d.zarr")
    run_json("probe", made.path, "--features", "pca", "--value", "1", "--name", "pca")
    run_json("granularity", made.path, "--taxonomy", taxonomy, "--save", "parity")
    assert "no run, feature, subset or taxonomy 'nothing'" in refused(
        "rm", made.path, "parity", "nothing"
    )
    assert "a run and a feature; say which" in refused("rm", made.path, "pca")
    assert run("rm", made.path, "--run", "pca").output.startswith("removed run pca: ")
    assert run("rm", made.path, "parity").output.startswith("removed taxonomy parity: ")
    document = run_json("ls", made.path)
    assert (document["runs"], document["taxonomies"]) == ([], [])
    assert len(document["features"]) == 2


def test_a_name_is_not_given_to_another_run(store: Path) -> None:
    message = refused("probe", store, "--features", "pca", "--value", "1", "--name", "pixels")
    assert "there is a run 'pixels' already: logistic on pixels" in message
    assert "one --name for 2 runs" in refused("probe", store, "--name", "both")


def test_a_damaged_run_is_listed_and_can_be_removed(tmp_path: Path) -> None:
    made = make_digits_store(tmp_path / "d.zarr")
    run_json("probe", made.path, "--features", "pca", "--value", "1", "--name", "old")
    metadata = made.path / "runs" / "old" / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"dims"', '"dim"'))
    assert "(damaged)" in run("ls", made.path).output
    assert "of another version of featstore" in refused("per-class", made.path)
    assert run("rm", made.path, "old").exit_code == 0


def test_fusing_blocks_of_unlike_scale_is_noted(tmp_path: Path) -> None:
    made = make_digits_store(tmp_path / "d.zarr")
    fill(made, "loud", 100 * digits()[0])
    command = ["probe", made.path, "--fuse", "pca,loud", "--value", "0.1"]
    assert "the larger one decides" in run(*command).stderr
    assert "decides" not in run(*command, "--scaling", "l2").stderr


def test_compare_gives_a_verdict(store: Path) -> None:
    output = run("compare", store, "pca", "pca+pixels").output
    assert any(
        verdict in output for verdict in ("b is better", "a is better", "not distinguishable")
    )


def test_the_report_remakes_the_extraction(tmp_path: Path) -> None:
    images = tmp_path / "images"
    rows = []
    for i in range(20):
        image(images / f"{i}.png")
        rows.append((f"images/{i}.png", "cat" if i % 2 else "dog", "wild;big" if i % 3 else ""))
    table = tmp_path / "t.csv"
    pd.DataFrame(rows, columns=["path", "kind", "tags"]).to_csv(table, index=False)
    given = ["--target", "kind", "--multilabel", "tags", "--hold-out", "0.4", "--seed", "3"]
    store = tmp_path / "s.zarr"
    backbone = ["-b", "x=random/resnet18?size=32", "--dtype", "float32"]
    run_json("extract", table, *given, *backbone, "-o", store)
    again = extract_command(FeatureStore.open(store), "x")
    assert again is not None
    words = shlex.split(again)[1:]
    document = run_json(*words[:-1], tmp_path / "again.zarr")
    assert document["computed"] == ["x"]
    samples = [FeatureStore.open(tmp_path / name).samples for name in ("s.zarr", "again.zarr")]
    assert samples[0].differences(samples[1]) == []
    run_json("probe", store, "--value", "1")
    run_json("report", store, "--out", tmp_path / "r.html")
    assert "--hold-out 0.4 --seed 3" in (tmp_path / "r.html").read_text()
