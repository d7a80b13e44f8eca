"""`featstore backbones`: the list, and what a checkpoint holds."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from click.testing import CliRunner

from featstore.backbones.architectures import untrained
from featstore.cli.main import group


def run(*arguments: str) -> str:
    result = CliRunner().invoke(group, ["backbones", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_search_lists_what_contains_all_words() -> None:
    found = json.loads(run("TORCHVISION", "resnet50", "--json"))
    names = [row["backbone"] for row in found]
    assert "torchvision/resnet50@IMAGENET1K_V2" in names
    assert all("resnet50" in name and name.startswith("torchvision/") for name in names)
    assert all(row["needs"] == "nothing" or "a download" in row["needs"] for row in found)
    assert "checkpoint:FILE" in run("checkpoint")


def test_checkpoints_are_described(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(untrained("resnet18", seed=0).module.state_dict(), path)
    assert "100 tensors -> torchvision/resnet18" in run(f"checkpoint:{path}")
    assert json.loads(run(f"checkpoint:{path}", "--json"))["tensors"] == 100
    gone = CliRunner().invoke(group, ["backbones", f"checkpoint:{tmp_path / 'gone.pth'}"])
    assert gone.exit_code == 2
    assert "there is no file" in gone.output
