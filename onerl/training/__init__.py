"""One update, exactly as the paper's.

A training step, phase by phase. The loop is TRL's and transformers'; `trainer.OneShotTrainer`
overrides its leaves. Phases 1 to 6 come once a step, 7 to 12 with each of its `updates_per_step`.

     1  prompts     `batches.DataOrder.__iter__`: the example of each row, from (seed, step)
     2  rollouts    `trainer.OneShotTrainer._generate_single_turn`: the sampler gets the new
                    weights and samples each row from its own stream
     3  old policy  `trainer.OneShotTrainer._get_per_token_logps_and_entropies`, with several
                    updates a step; with one, phase 10 takes its own log-probabilities
     4  reference   the same on the model before training, or with the adapters off
     5  rewards     `rewards.reward_function`: every rollout is graded, and paid
     6  advantages  `loss.group_advantages`, in each group; TRL then shuffles the rollouts, with a
                    seed from `trainer.OneShotTrainer.training_step`, and cuts them into updates
     7  weights     `batches.token_weights`: of each token in the mean over its micro-batch
     8  chunks      `batches.chunks`: rollouts of one prompt that go through the model together
     9  forward     `trainer.OneShotTrainer._score`: log-probabilities and entropies
    10  loss        `loss.policy_term` and `loss.kl_term`, summed by `_compute_loss`
    11  backward    `trainer.OneShotTrainer.backward`: around 7 to 10, chunk by chunk
    12  update      transformers: gradients clipped to `max_grad_norm`, AdamW;
                    `trainer.OneShotTrainer._get_grad_norm` ends a run whose gradient is not
                    finite, `metrics.UpdateNorm` measures how far the weights moved
    13  records     `trainer.OneShotTrainer.log`: a row of metrics.jsonl for each update; a number
                    of it that is not finite ends the run before the checkpoint
    14  checkpoint  `trainer.OneShotTrainer._save_checkpoint`: every `save_every` steps

Before a run: `rows` checks what it needs, `config` puts the recipe in TRL's words, `dry_run` and
`memory` say what it would take, `prospects` whether there is anything to learn. Around it:
`launch` and `processes` for several GPUs, `sharding` for sharded weights, `sampling` for the
rollout backend, `checkpoints` for resuming, `progress` for who watches, `scorer` for a reward of
one's own. Beside it: `sft`, fine-tuning on one solution.
"""
