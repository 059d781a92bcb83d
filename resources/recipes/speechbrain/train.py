"""Stable fine-tuning of a speech encoder with SpeechBrain (Speech-FT, arXiv 2502.12672).

    python train.py hparams.yaml
    python train.py hparams.yaml --max_steps=20 --device=cpu

The conv encoder stays frozen; for the first 10 % of the steps only the new head learns; the learning rate warms up over those, stays until
half of the steps, then falls linearly to 0. The encoder with theta_0 + alpha (theta' - theta_0) is saved in `output_folder/speech-ft`.
"""

import csv
import sys
from pathlib import Path

import soundfile
import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml


def read_manifest(hparams):
    """Rows (audio file, label or text); relative files are looked for beside the manifest."""
    manifest = Path(hparams["manifest"])
    with open(manifest, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if manifest.suffix == ".tsv" else ","))
    column, split = hparams["split_column"], hparams["train_split"]
    kept = [row for row in rows if not column or row[column] == split]
    return [(manifest.parent / row[hparams["audio_column"]], row[hparams["label_column"]]) for row in kept]


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
        return torch.from_numpy(samples.mean(axis=1)), torch.tensor(self.encode(label))


def collate(items):
    """Waveforms padded with zeros, their lengths as shares of the longest, and labels."""
    waves, labels = zip(*items)
    lengths = torch.tensor([len(wave) for wave in waves])
    padded = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    sizes = torch.tensor([label.numel() for label in labels])
    flat = torch.cat([label.reshape(-1) for label in labels])
    return padded, lengths / lengths.max(), flat, sizes


class StableFineTuning(sb.Brain):
    def share_of_steps(self, share):
        return round(share * self.hparams.max_steps)

    def set_encoder(self, learns):
        for name, parameter in self.modules.encoder.named_parameters():
            parameter.requires_grad = learns and "feature_extractor." not in name

    def set_rate(self):
        warm = max(1, self.share_of_steps(self.hparams.warmup_share))
        decay, total = self.share_of_steps(self.hparams.decay_from_share), self.hparams.max_steps
        step = self.optimizer_step
        factor = step / warm if step < warm else 1.0 if step < decay else max(0.0, (total - step) / max(1, total - decay))
        for group in self.optimizer.param_groups:
            group["lr"] = self.hparams.lr * factor

    def on_fit_start(self):
        # Optimizers take all parameters as they are made, whether they learn yet or not.
        super().on_fit_start()
        self.set_encoder(self.share_of_steps(self.hparams.head_only_share) == 0)
        self.set_rate()

    def compute_forward(self, batch, stage):
        waves, lengths = batch[0].to(self.device), batch[1].to(self.device)
        frames = self.modules.encoder(waves, lengths)
        counts = torch.clamp(torch.round(lengths * frames.shape[1]).long(), min=1)
        if self.hparams.task == "ctc":
            return self.modules.head(frames).log_softmax(-1), counts
        mask = (torch.arange(frames.shape[1], device=self.device)[None] < counts[:, None]).unsqueeze(-1)
        return self.modules.head((frames * mask).sum(1) / counts[:, None]), counts

    def compute_objectives(self, predictions, batch, stage):
        scores, counts = predictions
        labels, sizes = batch[2].to(self.device), batch[3]
        if self.hparams.task == "ctc":
            return torch.nn.functional.ctc_loss(scores.transpose(0, 1), labels, counts.cpu(), sizes, zero_infinity=True)
        return torch.nn.functional.cross_entropy(scores, labels)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        if should_step:
            if self.optimizer_step == self.share_of_steps(self.hparams.head_only_share):
                self.set_encoder(True)
            self.set_rate()


def main():
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    with open(hparams_file, encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file, overrides)
    torch.manual_seed(hparams["seed"])
    output = Path(hparams["output_folder"])
    output.mkdir(parents=True, exist_ok=True)
    rows = read_manifest(hparams)
    if not rows:
        sys.exit(f"{hparams['manifest']} has no row of the split {hparams['train_split']!r}.")
    encoder = hparams["encoder"].float()
    pretrained = {name: value.clone() for name, value in encoder.model.state_dict().items()}

    if hparams["task"] == "ctc":
        # 0 is the blank.
        names = ["<blank>", *sorted({character for _, text in rows for character in text})]
        encode = lambda text: [names.index(character) for character in text]
    else:
        names = sorted({label for _, label in rows})
        encode = names.index
    head = torch.nn.Linear(encoder.model.config.hidden_size, len(names))
    (output / "labels.txt").write_text("\n".join(names), encoding="utf-8")

    brain = StableFineTuning(
        modules={"encoder": encoder, "head": head}, opt_class=hparams["opt_class"], hparams=hparams, run_opts=run_opts
    )
    loader = torch.utils.data.DataLoader(
        Clips(rows, hparams["sample_rate"], encode), batch_size=hparams["batch_size"], shuffle=True, collate_fn=collate, drop_last=False
    )
    epochs = -(-hparams["max_steps"] // len(loader))
    brain.fit(range(1, epochs + 1), loader)

    encoder.model.save_pretrained(output / "finetuned")
    encoder.feature_extractor.save_pretrained(output / "finetuned")
    alpha = hparams["alpha"]
    tuned = encoder.model.state_dict()
    merged = {
        name: value + alpha * (tuned[name].to(value.device) - value) if value.is_floating_point() else value
        for name, value in pretrained.items()
    }
    encoder.model.load_state_dict(merged)
    encoder.model.save_pretrained(output / "speech-ft")
    encoder.feature_extractor.save_pretrained(output / "speech-ft")
    print(f"Fine-tuned: {output / 'finetuned'}\nSpeech-FT, alpha {alpha}: {output / 'speech-ft'}")


if __name__ == "__main__":
    main()
