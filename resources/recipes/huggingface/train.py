"""Stable fine-tuning of a speech encoder, then interpolation with its pre-trained weights (Speech-FT).

    python train.py                      # reads recipe.json and training_args.json beside this file
    python train.py --max_steps 20       # any field of transformers' TrainingArguments

What it does (Lin et al., Speech-FT, arXiv 2502.12672): the conv encoder stays frozen; for the first 10 % of the steps only the new head
learns; the learning rate warms up over those 10 %, stays until half of the steps, then falls linearly to 0. The result is in
`output_dir/finetuned`; the encoder with theta_0 + alpha (theta' - theta_0) in `output_dir/speech-ft`, without the head.
"""

import csv
import json
import sys
from pathlib import Path

import soundfile
import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForCTC,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    Wav2Vec2CTCTokenizer,
)

here = Path(__file__).resolve().parent
recipe = json.loads((here / "recipe.json").read_text(encoding="utf-8"))


def training_arguments():
    """training_args.json, with what the command line says instead."""
    values = json.loads((here / "training_args.json").read_text(encoding="utf-8"))
    words = sys.argv[1:]
    if len(words) % 2 or any(not word.startswith("--") for word in words[::2]):
        sys.exit("Give options as pairs, such as --max_steps 20.")
    for name, text in zip(words[::2], words[1::2]):
        try:
            values[name[2:]] = json.loads(text)
        except json.JSONDecodeError:
            values[name[2:]] = text
    return TrainingArguments(**values)


def read_manifest():
    """Rows (audio file, label or text) of the manifest; relative files are looked for beside it."""
    manifest = Path(recipe["manifest"])
    separator = "\t" if manifest.suffix == ".tsv" else ","
    with open(manifest, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter=separator))
    kept = [row for row in rows if not recipe["split_column"] or row[recipe["split_column"]] == recipe["train_split"]]
    return [(manifest.parent / row[recipe["audio_column"]], row[recipe["label_column"]]) for row in kept]


class Clips(torch.utils.data.Dataset):
    def __init__(self, rows, rate, encode):
        self.rows, self.rate, self.encode = rows, rate, encode

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        path, label = self.rows[index]
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        if rate != self.rate:
            raise ValueError(f"{path} has {rate} Hz, the model expects {self.rate}; resample the audio first.")
        return {"samples": samples.mean(axis=1), "label": self.encode(label)}


class StableFineTuning(TrainerCallback):
    """Only the head learns at first, then everything but the conv encoder."""

    def __init__(self, model, head_steps):
        self.model, self.head_steps = model, head_steps

    def set_encoder(self, learns):
        for name, parameter in self.model.base_model.named_parameters():
            parameter.requires_grad = learns and not name.startswith("feature_extractor.")

    def on_train_begin(self, args, state, control, **kwargs):
        self.set_encoder(state.global_step >= self.head_steps)

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.head_steps:
            self.set_encoder(True)


class ThreeStageTrainer(Trainer):
    """Linear warm-up, a plateau, linear decay to 0."""

    def create_scheduler(self, num_training_steps, optimizer=None):
        if self.lr_scheduler is None:
            warm = max(1, round(recipe["warmup_share"] * num_training_steps))
            decay = round(recipe["decay_from_share"] * num_training_steps)

            def factor(step):
                if step < warm:
                    return step / warm
                return 1.0 if step < decay else max(0.0, (num_training_steps - step) / max(1, num_training_steps - decay))

            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, factor)
        return self.lr_scheduler


def main():
    args = training_arguments()
    torch.manual_seed(args.seed)
    base = recipe["base"]
    extractor = AutoFeatureExtractor.from_pretrained(base)
    rows = read_manifest()
    if not rows:
        sys.exit(f"{recipe['manifest']} has no row of the split {recipe['train_split']!r}.")
    config = AutoConfig.from_pretrained(base)
    # As s3prl runs its upstreams: no layer is dropped and nothing is masked while the encoder is fine-tuned.
    overrides = {"layerdrop": 0.0, "apply_spec_augment": False}

    if recipe["task"] == "ctc":
        characters = sorted({character for _, text in rows for character in text.replace(" ", "|")} | {"|"})
        vocabulary = {token: index for index, token in enumerate(["<pad>", "<unk>", *characters])}
        output = Path(args.output_dir)
        output.mkdir(parents=True, exist_ok=True)
        (output / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        tokenizer = Wav2Vec2CTCTokenizer(str(output / "vocab.json"), pad_token="<pad>", unk_token="<unk>", bos_token=None, eos_token=None)
        encode = lambda text: [vocabulary[character] for character in text.replace(" ", "|")]
        model = AutoModelForCTC.from_pretrained(
            base, vocab_size=len(vocabulary), pad_token_id=0, ctc_loss_reduction="mean", ctc_zero_infinity=True, **overrides
        )
    else:
        classes = sorted({label for _, label in rows})
        tokenizer = None
        encode = classes.index
        model = AutoModelForAudioClassification.from_pretrained(
            base,
            num_labels=len(classes),
            id2label=dict(enumerate(classes)),
            label2id={name: index for index, name in enumerate(classes)},
            **overrides,
        )
    # Some checkpoints are stored in half precision; training in it would lose small steps.
    model = model.float()

    def collate(items):
        # Encoders with a group norm over time were trained without an attention mask.
        batch = extractor(
            [item["samples"] for item in items],
            sampling_rate=extractor.sampling_rate,
            padding=True,
            return_attention_mask=getattr(config, "feat_extract_norm", "layer") == "layer",
            return_tensors="pt",
        )
        if recipe["task"] == "ctc":
            longest = max(len(item["label"]) for item in items)
            batch["labels"] = torch.tensor([item["label"] + [-100] * (longest - len(item["label"])) for item in items])
        else:
            batch["labels"] = torch.tensor([item["label"] for item in items])
        return batch

    head_steps = round(recipe["head_only_share"] * args.max_steps)
    trainer = ThreeStageTrainer(
        model=model,
        args=args,
        train_dataset=Clips(rows, extractor.sampling_rate, encode),
        data_collator=collate,
        callbacks=[StableFineTuning(model, head_steps)],
    )
    trainer.train()

    finetuned = Path(args.output_dir) / "finetuned"
    trainer.save_model(str(finetuned))
    extractor.save_pretrained(finetuned)
    if tokenizer is not None:
        tokenizer.save_pretrained(finetuned)

    encoder = AutoModel.from_pretrained(base).float()
    alpha = recipe["alpha"]
    tuned = model.base_model.state_dict()
    merged = {
        name: value + alpha * (tuned[name].to(value.device) - value) if value.is_floating_point() and name in tuned else value
        for name, value in encoder.state_dict().items()
    }
    encoder.load_state_dict(merged)
    encoder.save_pretrained(Path(args.output_dir) / "speech-ft")
    extractor.save_pretrained(Path(args.output_dir) / "speech-ft")
    print(f"Fine-tuned: {finetuned}\nSpeech-FT, alpha {alpha}: {Path(args.output_dir) / 'speech-ft'}")


if __name__ == "__main__":
    main()
