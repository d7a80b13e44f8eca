"""`featstore extract`: images to features."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from featstore.cli.arguments import named_words
from featstore.cli.output import echo_json, echo_note, echo_table, json_option
from featstore.numerals import size

if TYPE_CHECKING:
    from featstore.workers import Engine

_OF_FOLDERS_AND_TABLES = (
    "unlabelled",
    "root",
    "path_column",
    "split_column",
    "multilabel",
    "separator",
    "missing_labels",
    "weight_column",
)


@click.command()
@click.argument("images")
@click.option(
    "--backbone",
    "-b",
    "backbones",
    multiple=True,
    required=True,
    metavar="[NAME=]SOURCE",
    help="torchvision/resnet50[@WEIGHTS], timm/NAME, onnx:FILE[#OUTPUT], "
    "checkpoint:FILE?arch=ARCH or random/ARCH, each with an optional #layer; repeat it to "
    "extract several in one decoding pass.",
)
@click.option("--out", "-o", required=True, help="The store: a path, or a URL (s3://…).")
@click.option(
    "--transform",
    type=click.Choice(["own", "paper"]),
    default="own",
    show_default=True,
    help="The weights' own transform, or the paper's centre crop of 87.5 % of the short side.",
)
@click.option(
    "--corrupt",
    multiple=True,
    metavar="NAME",
    help="Corrupt the images first: jpeg10, downsample2, gaussian_noise-3, paper (all five of the "
    "paper's), common-3; repeat it, also with 'clean'. The feature is called resnet50-jpeg10.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="Stored precision.",
)
@click.option(
    "--numerics",
    type=click.Choice(["exact", "fp32", "bf16", "fp16", "fast"]),
    default="exact",
    show_default=True,
    help="Precision of the forward pass: exact is fp32 by the backbone's own library; fast is fp32 "
    "by whichever of torch, ONNX Runtime and OpenVINO a trial finds fastest.",
)
@click.option(
    "--decode",
    type=click.Choice(["exact", "fast", "dct", "cuda"]),
    default="exact",
    show_default=True,
    help="Pixels: exact are Pillow's; fast are within a level; dct decodes large JPEG files "
    "at a reduced scale, cuda JPEG files on the GPU. docs/extraction.md has the effects.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:N, or one for each process: cuda:0,cuda:1.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=128,
    show_default=True,
    help="Images per batch; halved by itself where memory does not suffice.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Decoding threads of each process [default: its cores].",
)
@click.option(
    "--engine",
    type=click.Choice(["inline", "processes", "ray"]),
    help="Compute in this process, in processes that are replaced when they die, or on a Ray "
    "cluster [default: inline, or processes where their number or several devices are said].",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="Of the engines processes and ray [default: one per GPU, or per machine].",
)
@click.option("--address", help="Of the Ray cluster [default: RAY_ADDRESS, or this machine].")
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="Stop at an unreadable image, or record and exclude its row.",
)
@click.option(
    "--pretrained-on",
    "pretrained_on",
    multiple=True,
    metavar="[NAME=]DATASET[,…]",
    help="Data sets that the weights were learned from, for `featstore cross-domain`; repeat it.",
)
@click.option(
    "--decode-timeout",
    type=click.FloatRange(0, min_open=True),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="An image that takes longer to read and decode counts as unreadable.",
)
@click.option(
    "--rank",
    default="auto",
    show_default=True,
    metavar="INDEX/COUNT",
    help="Compute every COUNT-th part alone; auto asks RANK and WORLD_SIZE, or a Slurm array. "
    "0/1 computes everything.",
)
@click.option(
    "--hash",
    "hash_content",
    is_flag=True,
    help="Remember a hash of every image in the new store, not just its size and time.",
)
@click.option(
    "--ignore-times",
    is_flag=True,
    help="Go on though images were changed since, if their sizes are the same (copies).",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say how many rows, bytes and seconds it would be, by a trial of 10 s; write nothing.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="Label column of a table (repeat it; default: all), or the name of a folder's labels.",
)
@click.option("--multilabel", multiple=True, help="Label column whose cells hold several labels.")
@click.option("--separator", default=";", show_default=True, help="Between those labels.")
@click.option("--path-column", default="path", show_default=True, help="Of a table.")
@click.option("--split-column", default="split", show_default=True, help="Of a table.")
@click.option(
    "--root", type=click.Path(path_type=Path), help="Folder of a table's paths [default: its own]."
)
@click.option(
    "--missing-labels",
    type=click.Choice(["raise", "keep"]),
    default="raise",
    show_default=True,
    help="An empty label in a table is an error, or an unlabelled sample.",
)
@click.option("--weight-column", help="Of a table: how much each sample counts.")
@click.option("--unlabelled", is_flag=True, help="Take all images of a folder, without labels.")
@click.option(
    "--hold-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of each class that becomes the test split where the images come without splits.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the hold-out."
)
@click.option(
    "--group-column",
    help="Label column whose groups (patients, sites) the hold-out keeps together.",
)
@click.option(
    "--bands",
    metavar="R,G,B",
    help="Of images with other bands than RGB, which are shown; counted from 1.",
)
@click.option(
    "--range",
    "value_range",
    metavar="LOW,HIGH",
    help="Values that become black and white [default: the whole range of 8 or 16 bits].",
)
@json_option
def command(images: str, backbones: tuple[str, ...], out: str, **options: Any) -> None:
    """Turn IMAGES into features in a Zarr store.

    IMAGES is a folder (root/class/… or root/{train,val,test}/class/…), a CSV / Parquet table (a
    path, a split and any number of label columns), tar files, a published data set as it was
    unpacked, or KIND:PLACE?key=value; docs/data-sources.md lists the kinds. Running the same
    command again does nothing; after an interruption it goes on where it stopped.

    \b
    featstore extract birds/ -b torchvision/resnet50 -b timm/vit_small_patch14_dinov2 -o birds.zarr
    featstore extract birds.csv --multilabel habitat -b dino=onnx:dino.onnx -o birds.zarr
    featstore extract birds/ -b 'checkpoint:simclr.pth?arch=resnet50' -o birds.zarr
    featstore extract birds/ -b torchvision/resnet50 --corrupt clean --corrupt paper -o birds.zarr
    featstore extract 'inat21:inat?ranks=genus' -b torchvision/resnet50 -o inat.zarr
    """
    from featstore.allocator import keep_freed_memory
    from featstore.extraction import extract
    from featstore.rank import Rank

    keep_freed_memory()
    if options["hash_content"] and options["ignore_times"]:
        raise click.UsageError("--hash asks no times; leave --ignore-times away")
    several = bool(options["processes"]) or "," in options["device"]
    engine: Engine = options["engine"] or ("processes" if several else "inline")
    given = options["rank"]
    rank: Rank | None = None
    if given != "auto":
        rank = Rank.parse(given)
    elif engine == "inline":  # the others divide the work themselves
        rank = Rank.from_environment()
    if rank is not None and given == "auto":
        echo_note(f"rank {rank}, as the environment says; --rank 0/1 computes everything")
        options["device"] = _device_of_rank(options["device"])
    dataset = _dataset(images, options)
    shared: dict[str, Any] = {
        name: options[name]
        for name in (
            "corrupt",
            "transform",
            "dtype",
            "numerics",
            "decode",
            "device",
            "batch_size",
            "workers",
            "decode_timeout",
        )
    }
    shared["fingerprint"] = (
        "content" if options["hash_content"] else "size" if options["ignore_times"] else "time"
    )
    if options["dry_run"]:
        _rehearse(dataset, backbones, out, shared, as_json=options["as_json"])
        if engine == "inline":
            _note_idle_gpus(options["device"])
        return
    result = extract(
        dataset,
        backbones,
        out,
        on_error=options["on_error"],
        pretrained_on=_origins(options["pretrained_on"], backbones),
        rank=rank,
        engine=engine,
        processes=options["processes"],
        address=options["address"],
        **shared,
    )
    rate = result.images / result.seconds if result.images else 0.0
    if options["as_json"]:
        document = {
            "store": str(out),
            "samples": result.store.n_samples,
            "computed": result.computed,
            "unchanged": result.unchanged,
            "images": result.images,
            "seconds": round(result.seconds, 3),
            "images_per_second": round(rate, 2),
            "excluded": result.excluded,
            "unfinished": result.unfinished,
            "replaced": result.replaced,
            "trials": [] if result.trials is None else result.trials.to_dict("records"),
        }
        echo_json(document)
        return
    from featstore.cli.ls import features_frame

    if result.trials is not None:
        echo_table(result.trials, title="backends tried")
    echo_table(features_frame(result.store), title=f"{out}: {result.store.n_samples} samples")
    if result.images:
        click.echo(f"{result.images} images in {result.seconds:.1f} s ({rate:.1f} images/s)")
    elif not result.unfinished:
        click.echo("nothing to do: every feature is complete and made in this way")
    if result.images and engine == "inline" and rank is None:
        _note_idle_gpus(options["device"])
    for name, shards in result.unfinished.items():
        echo_note(f"{name}: shards left to other ranks: {shards}; the last one completes it")
    if result.replaced:
        echo_note(f"{result.replaced} processes died and were replaced")
    if "split" in result.store.attributes["source"]:
        echo_note(f"test split: {result.store.attributes['source']['split']}")
    if result.excluded:
        first = next(iter(result.excluded.values()))
        echo_note(f"{len(result.excluded)} unreadable images are excluded, e.g. {first}")


def _device_of_rank(device: str) -> str:
    import torch

    from featstore.workers import rank_device

    return rank_device(device, gpus=torch.cuda.device_count())


def _note_idle_gpus(device: str) -> None:
    import torch

    gpus = torch.cuda.device_count()
    if gpus > 1 and device in ("auto", "cuda"):
        echo_note(f"1 of {gpus} GPUs computes; --engine processes has a process for each")


def _origins(texts: tuple[str, ...], backbones: tuple[str, ...]) -> dict[str, list[str]]:
    """Read NAME=DATASET,…; without a name it is said of every backbone."""
    from featstore.registry import backbones as backbone_loader

    if not texts:
        return {}
    names = [backbone_loader().feature_name(source) for source in backbones]
    unnamed = [text for text in texts if "=" not in text]
    common = [word for text in unnamed for word in named_words(f"all={text}")[1]]
    origins = dict.fromkeys(names, common) if common else {}
    return origins | dict(named_words(text) for text in texts if "=" in text)


def _rehearse(
    dataset: Any, backbones: tuple[str, ...], out: str, shared: dict[str, Any], *, as_json: bool
) -> None:
    from featstore.rehearsal import rehearse

    plan = rehearse(dataset, backbones, out, **shared)
    if as_json:
        document = {
            "store": out,
            "rows": plan.rows,
            "features": plan.features.to_dict("records"),
            "images": plan.images,
            "nbytes": plan.nbytes,
            "images_per_second": plan.images_per_second,
            "seconds": plan.seconds,
            "trial_images": plan.trial_images,
            "unreadable": plan.unreadable,
        }
        echo_json(document)
        return
    echo_table(plan.features, title=f"{out}: {plan.rows} samples")
    if plan.images:
        click.echo(
            f"{plan.images} images to decode, {size(plan.nbytes)} to write, about "
            f"{timedelta(seconds=round(plan.seconds))} at {plan.images_per_second:.1f} images/s "
            f"(trial of {plan.trial_images} images)"
        )
    else:
        click.echo("nothing to do: every feature is complete and made in this way")
    if plan.unreadable:
        first = next(iter(plan.unreadable.values()))
        echo_note(f"{len(plan.unreadable)} images of the trial are unreadable, e.g. {first}")
    echo_note("dry run: nothing was written")


def _dataset(images: str, options: dict[str, Any]) -> Any:
    from featstore.bands import Bands
    from featstore.datasets import open_dataset
    from featstore.holdout import HoldOut

    bands, value_range = options["bands"], options["value_range"]
    chosen = None
    if bands is not None or value_range is not None:
        chosen = Bands.parse(bands or "1,2,3", value_range)
    context = click.get_current_context()
    # Only what was said is passed on: most kinds of images know none of these.
    given = {
        name: options[name]
        for name in _OF_FOLDERS_AND_TABLES
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    return open_dataset(
        images,
        hold_out=HoldOut(options["hold_out"], options["seed"], options["group_column"]),
        targets=options["targets"] or None,
        bands=chosen,
        **given,
    )
