"""Runs s3prl's run_downstream.py with stable fine-tuning (Speech-FT, arXiv 2502.12672), on one device.

    python run_speech_ft.py -m train -u UPSTREAM -k BASE -d DOWNSTREAM -c config.yaml -f -s last_hidden_state -p OUTPUT

The section `speech_ft` of the configuration says when the encoder begins to learn and how the learning rate goes; the conv encoder never
learns. All else is s3prl's own.
"""

import torch
from s3prl import run_downstream
from s3prl.downstream.runner import Runner


def conv_encoder(name):
    return "feature_extractor." in name


class StableRunner(Runner):
    def set_upstream(self, learns):
        for name, parameter in self.upstream.local_model.named_parameters():
            parameter.requires_grad = learns and not conv_encoder(name)

    def _get_scheduler(self, optimizer):
        total = self.config["runner"]["total_steps"]
        plan = self.config["speech_ft"]
        head_steps = round(plan["head_only_share"] * total)
        warm = max(1, round(plan["warmup_share"] * total))
        decay = round(plan["decay_from_share"] * total)
        runner = self

        def factor(step):
            if step < warm:
                return step / warm
            return 1.0 if step < decay else max(0.0, (total - step) / max(1, total - decay))

        class StableSchedule(torch.optim.lr_scheduler.LambdaLR):
            """s3prl steps its scheduler once after each step of the optimizer."""

            def step(self, *args, **kwargs):
                super().step(*args, **kwargs)
                runner.set_upstream(self.last_epoch >= head_steps)

            def load_state_dict(self, state):
                super().load_state_dict(state)
                runner.set_upstream(self.last_epoch >= head_steps)

        scheduler = StableSchedule(optimizer, factor)
        self.set_upstream(scheduler.last_epoch >= head_steps)
        self._load_weight(scheduler, "Scheduler")
        return scheduler


if __name__ == "__main__":
    run_downstream.Runner = StableRunner
    run_downstream.main()
