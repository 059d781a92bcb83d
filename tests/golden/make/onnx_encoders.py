"""Makes tests/golden/onnx/: tiny encoders with random weights as exporters write them, and Hugging Face's hidden_states for
one waveform as little-endian float32 [layers, frames, width].

Needs torch 2.13, transformers 5.18, onnx 1.23 and onnxscript 0.7; run from the repository root:
    python tests/golden/make/onnx_encoders.py
"""

import pathlib

import numpy as np
import onnx
import torch
from torch.export import Dim
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model

OUT = pathlib.Path("tests/golden/onnx")
SIZES = dict(
    hidden_size=32,
    num_attention_heads=2,
    intermediate_size=32,
    conv_dim=[8] * 7,
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=4,
    apply_spec_augment=False,
    layerdrop=0.0,
)


def waveform():
    """0.2 s at 16 kHz; the tests compute the same."""
    i = np.arange(3200)
    return (0.3 * np.sin(0.05 * i) + 0.2 * np.sin(0.31 * i + 1) * np.cos(0.003 * i)).astype(np.float32)


def make(kind, layers):
    torch.manual_seed(7)
    if kind == "hubert":
        model = HubertModel(HubertConfig(**SIZES, num_hidden_layers=layers))
    else:
        model = Wav2Vec2Model(
            Wav2Vec2Config(**SIZES, num_hidden_layers=layers, do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True)
        )
    with torch.no_grad():
        # Untrained biases and norms are zeros and ones: move them, so that a mistaken tap cannot go unnoticed.
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


class Plain(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_values):
        return self.model(input_values).last_hidden_state


class HiddenStates(Plain):
    def forward(self, input_values, attention_mask):
        return self.model(input_values, attention_mask=attention_mask, output_hidden_states=True).hidden_states


def legacy(module, inputs, name, outputs, opset):
    names = ["input_values", "attention_mask"][: len(inputs)]
    axes = {n: {0: "batch", 1: "samples"} for n in names} | {n: {0: "batch", 1: "frames"} for n in outputs}
    torch.onnx.export(module, inputs, OUT / name, dynamo=False, opset_version=opset, input_names=names, output_names=outputs, dynamic_axes=axes)


def dynamo(module, inputs, name):
    # LayerDrop draws a number even when it is off, which torch.export refuses.
    draw = torch.rand
    torch.rand = lambda *size, **rest: 1.0 if size == ([],) else draw(*size, **rest)
    axes = {"input_values": {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}}
    torch.onnx.export(
        module, inputs, OUT / name, dynamo=True, external_data=False, input_names=["input_values"], output_names=["last_hidden_state"], dynamic_shapes=axes
    )
    torch.rand = draw
    # Stack traces hold paths of the exporting machine.
    model = onnx.load(OUT / name)
    for thing in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        kept = [(p.key, p.value) for p in thing.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
        del thing.metadata_props[:]
        for key, value in kept:
            thing.metadata_props.add(key=key, value=value)
    onnx.save(model, OUT / name)


def golden(model, name):
    with torch.no_grad():
        result = model(torch.from_numpy(waveform())[None], output_hidden_states=True)
    # Of transformers 5: up to version 4 the last entry of pre-norm encoders was taken after the closing norm.
    states = result.hidden_states
    np.stack([state[0].numpy() for state in states]).astype("<f4").tofile(OUT / name)
    print(name, len(states), tuple(states[0].shape))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    example = torch.randn(2, 3200)
    with torch.no_grad():
        # Hidden states come first: exporting leaves the model changed.
        hubert = make("hubert", 3)
        golden(hubert, "hubert.bin")
        legacy(Plain(hubert), (example,), "hubert-plain.onnx", ["last_hidden_state"], 17)
        stable = make("stable", 2)
        golden(stable, "stable.bin")
        dynamo(Plain(stable), (example,), "stable-dynamo.onnx")
        # Opset 14 has no LayerNormalization: it comes apart into nine operators.
        legacy(Plain(stable), (example,), "stable-opset14.onnx", ["last_hidden_state"], 14)
        named = make("hubert", 2)
        golden(named, "hubert-named.bin")
        outputs = [f"hidden_states.{layer}" for layer in range(3)]
        legacy(HiddenStates(named), (example, torch.ones(2, 3200, dtype=torch.int64)), "hubert-named.onnx", outputs, 17)
