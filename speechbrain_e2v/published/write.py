"""Writing the published layouts, so that other programs read our encoders."""

import shutil
from pathlib import Path
from typing import Any

import torch
import yaml

from speechbrain_e2v.files.atomic import replace_text, replaced_file
from speechbrain_e2v.published.emotion2vec_names import published_parameters
from speechbrain_e2v.published.load import Pretrained


def write_fairseq(path: str | Path, pretrained: Pretrained) -> Path:
    """Write one file in fairseq's nesting.

    Decoder and teacher (as ``_ema``) are written where present; a head has no
    place in this layout.
    """
    prenet = pretrained.encoder.config["prenet_depth"]
    state: dict[str, Any] = _renamed(
        pretrained.encoder.state_dict(), prenet, ""
    )
    if pretrained.decoder:
        state |= _renamed(pretrained.decoder, prenet, "decoder.")
    if pretrained.teacher:
        state["_ema"] = _renamed(pretrained.teacher, prenet, "context.")
    task = {"_name": "audio_pretraining", "normalize": True}
    model = {"_name": "data2vec_multi", **official_config(pretrained)}
    content: dict[str, Any] = {
        "args": None,
        "cfg": {"_name": None, "task": task, "model": model},
        "model": state,
        "criterion": None,
        "optimizer_history": [],
        "task_state": {},
        "extra_state": {},
        "last_optimizer_state": None,
    }
    _save(path, content)
    return Path(path)


def write_funasr(folder: str | Path, pretrained: Pretrained) -> Path:
    """Write a FunASR folder: model.pt, config.yaml, tokens.txt with a head.

    Decoder and teacher have no place in this layout.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    prefix = "d2v_model."
    prenet = pretrained.encoder.config["prenet_depth"]
    renamed = _renamed(pretrained.encoder.state_dict(), prenet, "")
    state = {prefix + name: value for name, value in renamed.items()}
    config = {
        "model": "Emotion2vec",
        "model_conf": {**official_config(pretrained), "normalize": True},
        "scope_map": [prefix, "none"],
    }
    head = pretrained.head
    if head is not None:
        state |= {"proj.weight": head.weight, "proj.bias": head.bias}
        lines = [label.published for label in head.labels]
        replace_text(folder / "tokens.txt", "\n".join(lines) + "\n")
        config["tokenizer"] = "CharTokenizer"
        config["tokenizer_conf"] = {"unk_symbol": "<unk>"}
    _save(folder / "model.pt", {"model": state})
    text = yaml.safe_dump(config, sort_keys=False)
    replace_text(folder / "config.yaml", text)
    return folder


def official_config(pretrained: Pretrained) -> dict[str, Any]:
    """Describe an encoder by the official names, as emotion2vec_sizes reads."""
    sizes = pretrained.encoder.config
    heads = sizes["num_heads"]
    convolutions = zip(
        [sizes["conv_channels"]] * len(sizes["conv_kernels"]),
        sizes["conv_kernels"],
        sizes["conv_strides"],
        strict=True,
    )
    audio = {
        "type": "AUDIO",
        "prenet_depth": sizes["prenet_depth"],
        "prenet_layerdrop": sizes["prenet_layerdrop"],
        "prenet_dropout": sizes["prenet_dropout"],
        "num_extra_tokens": sizes["num_extra_tokens"],
        "init_extra_token_zero": True,
        "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0,
        "mask_prob": 0.5,
        "mask_prob_adjust": 0.05,
        "mask_length": 5,
        "mask_noise_std": 0.01,
        "local_grad_mult": 1.0,
        "use_alibi_encoder": True,
        "alibi_scale": 1.0,
        "learned_alibi": False,
        "learned_alibi_scale": True,
        "learned_alibi_scale_per_head": True,
        "learned_alibi_scale_per_layer": False,
        "num_alibi_heads": heads,
        "model_depth": sizes["depth"],
        "extractor_mode": "layer_norm",
        "feature_encoder_spec": str(list(convolutions)),
        "conv_pos_width": sizes["pos_conv_width"],
        "conv_pos_groups": sizes["pos_conv_groups"],
        "conv_pos_depth": sizes["pos_conv_depth"],
        "conv_pos_pre_ln": False,
        "decoder": None,
    }
    if pretrained.decoder_sizes:
        decoder = pretrained.decoder_sizes
        audio["decoder"] = {
            "decoder_dim": decoder["channels"],
            "decoder_groups": decoder["groups"],
            "decoder_kernel": decoder["kernel"],
            "decoder_layers": decoder["num_layers"],
            "input_dropout": 0.1,
            "decoder_residual": True,
            "projection_layers": 1,
        }
    return {
        "depth": sizes["depth"],
        "num_heads": heads,
        "norm_eps": sizes["norm_eps"],
        "norm_affine": True,
        "encoder_dropout": sizes["dropout"],
        "post_mlp_drop": sizes["post_mlp_dropout"],
        "attention_dropout": sizes["attention_dropout"],
        "activation_dropout": sizes["activation_dropout"],
        "dropout_input": 0.0,
        "layerdrop": sizes["layerdrop"],
        "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0,
        "embed_dim": sizes["embed_dim"],
        "mlp_ratio": sizes["mlp_ratio"],
        "layer_norm_first": False,
        "average_top_k_layers": sizes["depth"],
        "instance_norm_target_layer": True,
        "modalities": {"_name": None, "audio": audio},
        "supported_modality": "AUDIO",
    }


def _renamed(
    state: dict[str, torch.Tensor], prenet_depth: int, part: str
) -> dict[str, torch.Tensor]:
    names = published_parameters(state, prenet_depth, part)
    return {
        published: state[ours].detach().cpu().reshape(shape).contiguous()
        for published, (ours, shape) in names.items()
    }


def _save(path: str | Path, content: dict[str, Any]) -> None:
    with replaced_file(path) as unfinished:
        try:
            # Into an open file: torch writes the name of a path into it.
            with open(unfinished, "wb") as file:
                torch.save(content, file)
        except RuntimeError as error:  # torch's way to say so
            free = shutil.disk_usage(unfinished.parent).free
            raise OSError(
                f"{path} could not be written: {str(error).splitlines()[0]}; "
                f"{free / 1e6:,.0f} MB are free there, make room or choose "
                "another disk"
            ) from error
