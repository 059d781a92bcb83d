"""
Makes tests/golden/models: tiny speech encoders with random weights, each a Hugging Face folder, and what transformers gives as
hidden_states for one clip (hidden_states.bin: float32 [layers, frames, width]), as well as for two of the demo's models. They differ in everything that a graph has to get
right: family, norms, types, prefixes, files, names of the weight norm.

    python tests/golden/make/encoders.py        (torch 2.13, transformers 5.18, safetensors)
"""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModel,
    Data2VecAudioConfig,
    Data2VecAudioForCTC,
    HubertConfig,
    HubertForCTC,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMForCTC,
    WavLMModel,
)
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

ROOT = Path(__file__).resolve().parents[1] / "models"
SAMPLES = 8000


def waveform(samples: int) -> np.ndarray:
    """Two tones and noise from a linear congruential generator; tests/unit/models/golden.ts has the same formula."""
    values, state = [], 1
    for i in range(samples):
        state = (1664525 * state + 1013904223) % 2**32
        noise = state / 2**32 - 0.5
        values.append(0.3 * math.sin(0.05 * i) + 0.2 * math.sin(0.31 * i + 1) * math.cos(0.003 * i) + 0.1 * noise)
    return np.array(values, dtype=np.float32)


SMALL = dict(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    conv_dim=[16] * 7,
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=4,
    vocab_size=5,
)
LARGE = dict(feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)


def perturbed(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Every parameter away from its initial value: norms that are not 1, biases that are not 0, attention that attends."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith(("running_var", "original0")):
                tensor.mul_(1 + 0.3 * noise.abs())
            elif tensor.dim() >= 2:
                tensor.add_(noise * 0.6 / math.sqrt(tensor[0].numel()))
            else:
                tensor.add_(0.2 * noise)
    return model.eval()


def preprocessor(folder: Path, normalize: bool) -> None:
    Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=16000, do_normalize=normalize).save_pretrained(folder)


def torch_file(folder: Path, model: torch.nn.Module, dtype: torch.dtype) -> None:
    """pytorch_model.bin as older versions wrote it: the weight norm's old names, and a weight that is a transposed view."""
    state = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("parametrizations.weight.original0", "weight_g").replace("parametrizations.weight.original1", "weight_v")
        tensor = tensor.to(dtype)
        state[name] = tensor.t().contiguous().t() if name.endswith("layers.1.attention.q_proj.weight") else tensor
    model.config.save_pretrained(folder)
    torch.save(state, folder / "pytorch_model.bin")


MODELS = {
    # name: (model, dtype, how to save)
    "hubert-base": (lambda: HubertModel(HubertConfig(**{**SMALL, "num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16})), torch.float16, {}),
    "hubert-large": (lambda: HubertForCTC(HubertConfig(**SMALL, **LARGE)), torch.float16, "torch"),
    "hubert-batch-norm": (lambda: HubertModel(HubertConfig(**{**SMALL, "num_conv_pos_embeddings": 19}, conv_pos_batch_norm=True, feat_proj_layer_norm=False)), torch.float32, {}),
    "wav2vec2-base": (lambda: Wav2Vec2ForCTC(Wav2Vec2Config(**SMALL)), torch.bfloat16, {"max_shard_size": "40kB"}),
    "wav2vec2-large": (lambda: Wav2Vec2Model(Wav2Vec2Config(**SMALL, **LARGE)), torch.float32, {}),
    "wav2vec2-adapters": (lambda: Wav2Vec2ForCTC(Wav2Vec2Config(**SMALL, **LARGE, adapter_attn_dim=8, hidden_act="gelu_new")), torch.float16, {}),
    "wavlm-base": (lambda: WavLMModel(WavLMConfig(**{**SMALL, "num_hidden_layers": 3}, num_buckets=16, max_bucket_distance=20)), torch.float32, {}),
    "wavlm-large": (lambda: WavLMForCTC(WavLMConfig(**SMALL, **LARGE)), torch.float16, {}),
    "data2vec-audio": (lambda: Data2VecAudioForCTC(Data2VecAudioConfig(**{**SMALL, "num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 10}, conv_bias=True)), torch.float16, {}),
}


def golden(folder: Path, samples: int, into: Path) -> torch.Tensor:
    """What transformers gives for the folder's weights in float32."""
    reference = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        states = torch.cat(reference(torch.from_numpy(waveform(samples))[None], output_hidden_states=True).hidden_states)
    states.numpy().astype("<f4").tofile(into)
    return states


def main() -> None:
    shutil.rmtree(ROOT, ignore_errors=True)
    for seed, (name, (make, dtype, saving)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        folder = ROOT / name
        folder.mkdir(parents=True)
        model = perturbed(make(), seed)
        if saving == "torch":
            torch_file(folder, model, dtype)
        else:
            model.to(dtype).save_pretrained(folder, **saving)
        if name != "wav2vec2-adapters":
            preprocessor(folder, normalize="large" in name)
        states = golden(folder, SAMPLES, folder / "hidden_states.bin")
        (folder / "generation_config.json").unlink(missing_ok=True)
        for file in folder.iterdir():
            file.chmod(0o644)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(name, tuple(states.shape), f"{size / 1000:.0f} kB", f"rms {states.square().mean((1, 2)).sqrt().tolist()}")
    for name in ("tiny-hubert", "tiny-hubert-ft-asr"):
        golden(ROOT.parents[2] / "resources" / "demo" / "models" / name, 4000, ROOT / f"{name}.bin")
    # WavLM's bucket of every distance from -maximum - 50 to maximum + 50, as runs [bucket, length]; 128 / (32 / 4) has distances
    # that lie on the border of two buckets.
    buckets = {}
    for count, furthest in ((320, 800), (16, 20), (32, 128), (64, 1000), (5, 7)):
        attention = WavLMAttention(8, 2, num_buckets=count, max_distance=furthest)
        runs: list[list[int]] = []
        for bucket in attention._relative_positions_bucket(torch.arange(-furthest - 50, furthest + 51)).tolist():
            if runs and runs[-1][0] == bucket:
                runs[-1][1] += 1
            else:
                runs.append([bucket, 1])
        buckets[f"{count},{furthest}"] = runs
    (ROOT / "distance_buckets.json").write_text(json.dumps(buckets, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
