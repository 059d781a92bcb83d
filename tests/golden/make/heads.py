"""
Makes tests/golden/heads: what transformers gives as logits for the clip of encoders.py. For the models of tests/golden/models that have
a head, and for the demo's, one file <name>.bin each: float32 [frames, vocabulary]. And tiny folders of their own with the heads that are
missing there: classification of the last state and of a weighted sum of layers, before and after norms, and characters behind
convolutions (add_adapter), with logits.bin beside the weights: float32 [classes] or [frames, vocabulary]. Two of them are exported to ONNX
(<name>.onnx), as users' exporters write them.

    python tests/golden/make/heads.py        (torch 2.13, transformers 5.18, safetensors, onnx; after encoders.py)
"""

import shutil
from pathlib import Path

import torch
from transformers import (
    AutoModelForAudioClassification,
    AutoModelForCTC,
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    WavLMConfig,
    WavLMForSequenceClassification,
)

from encoders import LARGE, SAMPLES, SMALL, perturbed, preprocessor, waveform
from encoders import ROOT as MODELS

ROOT = MODELS.parent / "heads"
TINY = {**SMALL, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "conv_dim": [8] * 7}
CLASSES = dict(classifier_proj_size=12, id2label={0: "no", 1: "yes", 2: "stop"})
CTC = ("hubert-large", "wav2vec2-base", "wav2vec2-adapters", "wavlm-large", "data2vec-audio")
NEW = {
    "hubert-classes": (lambda: HubertForSequenceClassification(HubertConfig(**TINY, **CLASSES)), torch.float32),
    "hubert-weighted": (lambda: HubertForSequenceClassification(HubertConfig(**TINY, **CLASSES, use_weighted_layer_sum=True)), torch.float16),
    "wav2vec2-classes": (lambda: Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**TINY, **LARGE, **CLASSES)), torch.float32),
    "wavlm-weighted": (lambda: WavLMForSequenceClassification(WavLMConfig(**TINY, **LARGE, **CLASSES, use_weighted_layer_sum=True)), torch.float32),
    "wav2vec2-conv-adapter": (lambda: Wav2Vec2ForCTC(Wav2Vec2Config(**TINY, **LARGE, add_adapter=True, num_adapter_layers=2, output_hidden_size=12)), torch.float32),
    "wav2vec2-conv-adapter-same": (lambda: Wav2Vec2ForCTC(Wav2Vec2Config(**TINY, add_adapter=True, num_adapter_layers=1, adapter_kernel_size=4, adapter_stride=3)), torch.float16),
}


def golden(auto: type, folder: Path, samples: int, into: Path) -> None:
    """The logits that transformers gives for the folder's weights in float32."""
    model = auto.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(waveform(samples))[None]).logits[0]
    logits.numpy().astype("<f4").tofile(into)
    print(into.relative_to(ROOT), tuple(logits.shape))


class Logits(torch.nn.Module):
    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        return self.model(input_values).logits


def export(auto: type, folder: Path, into: Path) -> None:
    model = auto.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    axes = {"input_values": {0: "batch", 1: "samples"}, "logits": {0: "batch"} | ({1: "frames"} if auto is AutoModelForCTC else {})}
    clip = torch.from_numpy(waveform(SAMPLES))[None]
    torch.onnx.export(
        Logits(model), (clip,), into, dynamo=False, opset_version=17, input_names=["input_values"], output_names=["logits"], dynamic_axes=axes
    )


def main() -> None:
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir()
    for name in CTC:
        golden(AutoModelForCTC, MODELS / name, SAMPLES, ROOT / f"{name}.bin")
    demo = MODELS.parents[2] / "resources" / "demo" / "models" / "tiny-hubert-ft-asr"
    golden(AutoModelForCTC, demo, 4000, ROOT / "tiny-hubert-ft-asr.bin")
    exported = ("hubert-classes", "wav2vec2-conv-adapter-same")
    for seed, (name, (make, dtype)) in enumerate(NEW.items()):
        torch.manual_seed(seed)
        folder = ROOT / name
        perturbed(make(), seed).to(dtype).save_pretrained(folder)
        preprocessor(folder, normalize=False)
        (folder / "generation_config.json").unlink(missing_ok=True)
        auto = AutoModelForCTC if "adapter" in name else AutoModelForAudioClassification
        golden(auto, folder, SAMPLES, folder / "logits.bin")
        for file in folder.iterdir():
            file.chmod(0o644)
        if name in exported:
            export(auto, folder, ROOT / f"{name}.onnx")


if __name__ == "__main__":
    main()
