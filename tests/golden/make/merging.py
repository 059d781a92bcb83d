"""Makes tests/golden/merging: one tiny HuBERT and a fine-tune of it, saved in every layout that is read, and TIES of random vectors by torch.

Run from the repository root with torch, transformers and safetensors: python tests/golden/make/merging.py
"""

import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from transformers import HubertConfig, HubertForCTC, HubertModel

FOLDER = pathlib.Path("tests/golden/merging")
torch.manual_seed(0)
config = HubertConfig(
    hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12, conv_dim=(4, 4), conv_kernel=(10, 3), conv_stride=(5, 2),
    num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, vocab_size=5,
)
base = HubertModel(config)
tuned = HubertForCTC(config)
tuned.hubert.load_state_dict(base.state_dict())
with torch.no_grad():
    for name, parameter in tuned.hubert.named_parameters():
        if not name.startswith("feature_extractor."):
            parameter.add_(0.1 * torch.randn_like(parameter))

for name in ("base", "sharded", "bin"):
    shutil.rmtree(FOLDER / name, ignore_errors=True)
base.save_pretrained(FOLDER / "base")
(FOLDER / "base" / "preprocessor_config.json").write_text('{"do_normalize": true, "sampling_rate": 16000}\n')
tuned.save_pretrained(FOLDER / "sharded", max_shard_size=4000)

# As transformers saved before 4.31: a pickle, and the older names of weight norm.
weights = tuned.state_dict()
(FOLDER / "bin").mkdir()
old = lambda name: name.replace(".parametrizations.weight.original0", ".weight_g").replace(".parametrizations.weight.original1", ".weight_v")
torch.save({old(name): value for name, value in weights.items()}, FOLDER / "bin" / "pytorch_model.bin")
tuned.config.save_pretrained(FOLDER / "bin")


def fairseq(name):
    """fairseq's name of a Hugging Face one: the inverse of transformers' conversion."""
    name = old(name)
    for ours, theirs in [
        ("feature_projection.layer_norm", "layer_norm"),
        ("feature_projection.projection", "post_extract_proj"),
        ("encoder.pos_conv_embed.conv", "encoder.pos_conv.0"),
        ("masked_spec_embed", "mask_emb"),
        (".attention.", ".self_attn."),
        (".feed_forward.intermediate_dense.", ".fc1."),
        (".feed_forward.output_dense.", ".fc2."),
    ]:
        name = name.replace(ours, theirs)
    if name.startswith("feature_extractor."):
        return name.replace(".conv.", ".0.").replace(".layer_norm.", ".2.")
    if name.startswith("encoder.layers."):
        head, layer, number, rest = name.split(".", 3)
        return ".".join([head, layer, number, "self_attn_" + rest if rest.startswith("layer_norm.") else rest])
    return name


upstream = {"model." + fairseq(name.removeprefix("hubert.")): value for name, value in weights.items() if name.startswith("hubert.")}
upstream["model.final_proj.weight"] = torch.randn(3, 8)
torch.save({"Optimizer": {}, "Step": 10, "Upstream": upstream}, FOLDER / "s3prl.ckpt")

plain = {name.removeprefix("hubert."): value.contiguous() for name, value in weights.items() if name.startswith("hubert.")}
save_file(plain, FOLDER / "bare.safetensors")


def ties_global(vectors, keep):
    count = vectors.shape[1]
    threshold = vectors.abs().kthvalue(count - int(count * keep), dim=1, keepdim=True).values
    trimmed = vectors * (vectors.abs() >= threshold)
    sign = trimmed.sum(0).sign()
    sign[sign == 0] = sign.sum().sign()
    agree = torch.where(sign > 0, trimmed > 0, trimmed < 0)
    return (trimmed * agree).sum(0) / agree.sum(0).clamp(min=1)


def ties_tensor(vectors, keep, weights):
    trimmed = torch.zeros_like(vectors)
    for vector, kept in zip(vectors, trimmed):
        chosen = vector.abs().argsort(descending=True, stable=True)[: int(keep * vector.numel())]
        kept[chosen] = vector[chosen]
    weighted = trimmed * weights[:, None]
    agree = weighted.sign() == torch.where(weighted.sum(0) >= 0, 1.0, -1.0)
    divisor = (weights[:, None] * agree).sum(0)
    divisor[divisor == 0] = 1
    return (weighted * agree).sum(0) / divisor


# Multiples of 1/8: many equal magnitudes and exact cancellations.
vectors = (torch.randn(3, 60, dtype=torch.float64) * 8).round() / 8
mixed = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
result = {"vectors": vectors.tolist(), "weights": mixed.tolist(), "global": {}, "tensor": {}}
for keep in (0.1, 0.2, 0.5, 0.9):
    result["global"][str(keep)] = ties_global(vectors, keep).tolist()
    result["tensor"][str(keep)] = ties_tensor(vectors, keep, mixed).tolist()
(FOLDER / "ties.json").write_text(json.dumps(result) + "\n")
