"""`OneShotTrainer`: TRL's GRPO loop with the paper's loss, on rollouts that share a prompt.

The loop, the reference model, the optimiser and the mixed precision are TRL's. Overridden are
leaf methods only, each for one reason given at the method; a test pins their signatures.

The loss is the paper's token mean inside micro-batches, weighted per term by the recipe
(`loss`). It is computed in chunks of rollouts of one prompt, sorted by length, under a
budget of tokens; the prompt runs through the model once per chunk, with gradient, and its keys
and values serve all rollouts of the chunk. Chunks change the memory and the time, not the value.

Covered: one process, or several with replicated or sharded weights (`sharding`). With
`updates_per_step` above 1, which rollouts share an update depends on the number of processes.
"""

import math
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
import trl.trainer.utils
from transformers import DynamicCache, PrinterCallback
from trl import GRPOTrainer

from onerl.recipe import Recipe
from onerl.rollouts import backends
from onerl.rollouts.draws import stream_seed
from onerl.rollouts.merged import plain
from onerl.runs import files, run
from onerl.training import checkpoints, loss, metrics, processes, sampling, sharding
from onerl.training.batches import DataOrder, chunks, fingerprints, pass_tokens, token_weights
from onerl.training.config import lora_config, trl_config
from onerl.training.rewards import reward_function


@contextmanager
def head_tiles(vocabulary: int):
    """No wider than the vocabulary; TRL's fused head takes 4096 x 32768 floats for any."""
    utils, width = trl.trainer.utils, trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE
    utils._CHUNKED_LOGPROB_CHUNK_SIZE = min(width, vocabulary)
    try:
        yield
    finally:
        utils._CHUNKED_LOGPROB_CHUNK_SIZE = width


class OneShotTrainer(GRPOTrainer):
    """Trains `model` (a folder or hub id) on `examples`, rows of {"prompt": str, "answer": str}.

    Writes metrics.jsonl, rollouts/, checkpoints/ and state/ into the folder `out`.
    `trainer.train(resume_from_checkpoint=...)` takes a folder of state/ (see `checkpoints`).

    Raises ValueError for a backend that is not installed, or that this model does not support.
    """

    def __init__(self, recipe: Recipe, model: str, examples, out: Path, callbacks=()):
        backends.backend_for(recipe.backend, recipe.model)  # before the model is loaded
        self.recipe, self.out, self.update_norm = recipe, Path(out), metrics.UpdateNorm(self)
        torch.manual_seed(recipe.seed)  # adapters begin at random, before TRL sets its seed
        super().__init__(
            model=str(model),
            reward_funcs=reward_function(recipe),
            args=trl_config(recipe, out),
            train_dataset=examples,
            callbacks=[self.update_norm, *callbacks],
            peft_config=lora_config(recipe),
        )
        self.remove_callback(PrinterCallback)
        policy = plain(self.accelerator.unwrap_model(self.model))
        self.vocabulary = policy.config.get_text_config().vocab_size
        self.sharded, self.largest_pass = sharding.is_fsdp(self.accelerator), 0
        sharding.check(recipe, self.accelerator)
        self.own_sampler = sampling.training_sampler(recipe, policy, self)

    @property
    def shares_prompt(self) -> bool:
        """Whether a chunk's prompt goes through the model once, into a cache.

        Checkpointing forbids a cache; sharded weights are gathered only in a call of the model.
        """
        return not (self.args.gradient_checkpointing or self.sharded)

    @property
    def kl_coefficient(self) -> float:
        """Of the KL term of the loss."""
        return self.recipe.beta

    @property
    def rollout_step(self) -> int:
        """Rollout steps done; `_step` counts the updates begun."""
        return self._step // self.args.steps_per_generation

    def create_accelerator_and_postprocess(self):
        """Under FSDP, sums and outputs are in float32, as in the released code."""
        super().create_accelerator_and_postprocess()
        sharding.sum_in_float32(self.accelerator)

    # -- data and optimiser ---------------------------------------------------------------------

    def _get_train_sampler(self, dataset=None):
        """TRL's own order trains nothing on one row and is not the same after a resume."""
        return DataOrder(self.recipe, len(dataset if dataset is not None else self.train_dataset))

    def get_decay_parameter_names(self, model):
        """All of them, as in the released code; transformers leaves out biases and norms."""
        return [name for name, _ in model.named_parameters()]

    # -- rollouts and rewards -------------------------------------------------------------------

    def _tokenize_prompts(self, prompts: list):
        """The rendered prompt is final: a begin-of-sequence token is in its text if wanted."""
        encoded = self.processing_class(text=prompts, add_special_tokens=False)
        return encoded["input_ids"], None, {}

    def _generate_single_turn(
        self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False
    ):
        """Samples with the recipe's backend, each rollout from its own stream."""
        started = time.perf_counter()
        if self.own_sampler is None:
            completions, logprobs = super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        else:
            self.own_sampler.sync(self.model)
            sampled = backends.sample_rows(
                self.own_sampler,
                prompt_ids,
                seed=self.recipe.seed,
                step=self.rollout_step,
                first=self.accelerator.process_index * len(prompt_ids),
                max_new_tokens=self.max_completion_length,
                temperature=self.temperature,
                eos_ids=set(self.eos_token_ids),
            )
            completions = [rollout.token_ids for rollout in sampled]
            logprobs = [rollout.logprobs for rollout in sampled]
        self.seconds["rollout"] = time.perf_counter() - started
        return completions, logprobs

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        """Hands TRL advantages with the paper's 1e-6; TRL then only subtracts a mean of zero."""
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self.rewards = rewards[:, 0]
        return loss.group_advantages(self.rewards, self.num_generations)[:, None]

    # -- scoring --------------------------------------------------------------------------------

    def _score(self, model, prompt, completions, mask):
        """Log-probabilities and entropies, (B, T), of B completions of one prompt.

        `prompt` is (P,), completions and mask (B, T), padded on the right. The entropies are None
        for the reference model.
        """
        cache, head = None, prompt
        passed = pass_tokens(len(prompt), *mask.shape[::-1], self.shares_prompt)
        self.largest_pass = max(self.largest_pass, passed)
        if len(prompt) > 1 and self.shares_prompt:
            cache, head = DynamicCache(), prompt[-1:]
            backbone = self.accelerator.unwrap_model(model).get_decoder()
            with self.accelerator.autocast():
                past = backbone(input_ids=prompt[None, :-1], use_cache=True).past_key_values
            for index, layer in enumerate(past.layers):
                keys, values = (x.expand(len(mask), -1, -1, -1) for x in (layer.keys, layer.values))
                cache.update(keys, values, index)
        ids = torch.cat([head.expand(len(mask), -1), completions], 1)
        labels = torch.full_like(ids, -100)
        labels[:, len(head) :] = completions.masked_fill(mask == 0, -100)
        # no mask: padding comes last, so nothing sees it
        with self.accelerator.autocast(), head_tiles(self.vocabulary):
            out = model(input_ids=ids, labels=labels, past_key_values=cache, fused_lm_head=True)
        width = completions.shape[1]
        return out.log_probs[:, -width:], None if out.entropy is None else out.entropy[:, -width:]

    def _chunks(self, prompt_ids, prompt_mask, completion_mask, rows, shared=None):
        """Rows, their prompt without padding, and the width of their longest completion."""
        shared = self.shares_prompt if shared is None else shared
        pairs = zip(prompt_ids, prompt_mask, strict=True)
        prompts = [tuple(ids[mask == 1].tolist()) for ids, mask in pairs]
        lengths, device = completion_mask.sum(1).tolist(), prompt_ids.device
        for group in chunks(prompts, lengths, rows, self.recipe.token_budget, shared):
            prompt = torch.tensor(prompts[group[0]], device=device)
            yield torch.tensor(group, device=device), prompt, max(lengths[group[-1]], 1)

    def _get_per_token_logps_and_entropies(
        self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, **_
    ):
        """The passes without gradient (old policy, reference), in the same chunks as the loss."""
        split = input_ids.shape[1] - logits_to_keep
        prompt_ids, completions = input_ids[:, :split], input_ids[:, split:]
        prompt_mask, mask = attention_mask[:, :split], attention_mask[:, split:]
        logps = torch.zeros(completions.shape, device=input_ids.device)
        plan = list(self._chunks(prompt_ids, prompt_mask, mask, range(len(mask))))
        for (rows, prompt, width), _ in sharding.equal_passes(self.accelerator, plan):
            scored, _ = self._score(model, prompt, completions[rows, :width], mask[rows, :width])
            logps[rows, :width] = scored.float()
        return logps, None, None

    # -- one update -----------------------------------------------------------------------------

    def training_step(self, model, inputs, num_items_in_batch=None):
        """Rollouts if none are left, then backward through one update; returns the loss, ()."""
        self.started, self.terms, self.largest_pass = time.perf_counter(), defaultdict(float), 0
        if self._step % self.args.steps_per_generation == 0:
            self.seconds = {"rollout": 0.0}
        # TRL shuffles rollouts with the global generator; seeded per step it needs no saving
        torch.manual_seed(stream_seed(self.recipe.seed, self.rollout_step, -1))
        model.train()
        batch = self._prepare_inputs(inputs)
        updating = time.perf_counter()
        total = self.backward(model, batch)
        self.batch = batch
        self.seconds["update"] = time.perf_counter() - updating
        self._step += 1
        return total

    def backward(self, model, batch) -> torch.Tensor:
        """Adds the gradient of the loss of `batch` to the parameters; returns the loss, ().

        `batch` has ids and masks of prompts (B, P) and completions (B, T), log-probabilities
        (B, T) and advantages (B,). Rollouts without a gradient are only scored for the metrics.
        """
        recipe, mask = self.recipe, batch["completion_mask"]
        batch = {**batch, "weights": self._token_weights(batch)}
        learns = (batch["advantages"] != 0) & (recipe.policy_loss != 0)  # (B,)
        learns |= "token_advantages" in batch  # of PPO: hardly one is 0
        learns |= recipe.beta != 0 or recipe.entropy_coef != 0 or self.accelerator.num_processes > 1
        total, plan = torch.zeros((), device=mask.device), []
        for with_gradient in (False, True):
            rows = (learns == with_gradient).nonzero().squeeze(1).tolist()
            found = self._chunks(batch["prompt_ids"], batch["prompt_mask"], mask, rows)
            plan += [(chunk, with_gradient) for chunk in found]
        plan = sharding.equal_passes(self.accelerator, plan)
        for i, (((rows, prompt, width), with_gradient), counts) in enumerate(plan):
            part = {"prompt": prompt}
            for key, value in batch.items():
                if torch.is_tensor(value) and value.ndim and not key.startswith("prompt"):
                    part[key] = value[rows, :width] if value.ndim == 2 else value[rows]
            part["weights"] = part["weights"] * counts
            reduced = sharding.gradients(model, self.accelerator, last=i + 1 == len(plan))
            with reduced, torch.set_grad_enabled(with_gradient):
                part_loss = self._compute_loss(model, part)
                if with_gradient:
                    self.accelerator.backward(part_loss)
            total += part_loss.detach()
        for parameter in model.parameters():  # so that weight decay acts without a gradient too
            if sharding.is_deepspeed(self.accelerator):
                break  # it keeps the gradients elsewhere, and has stepped already
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return total

    def _token_weights(self, batch) -> torch.Tensor:
        """For this rank's rollouts, (B,); the micro-batches are packed from those of all ranks."""
        keys = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")
        columns = [batch[key].sum(1) for key in keys[1::2]]
        columns += [fingerprints(*(batch[key] for key in keys))]
        columns += [batch["advantages"].float().view(torch.int32).long()]
        rows = self.accelerator.gather(torch.stack(columns, 1)).tolist()
        prompts, completions = ([row[i] for row in rows] for i in (0, 1))
        weights = token_weights(prompts, completions, self.recipe.micro_batch_tokens, rows)
        mine = len(columns[0])
        weights = weights[self.accelerator.process_index * mine :][:mine]
        # gradients are averaged over ranks
        return torch.tensor(weights, device=columns[0].device) * self.accelerator.num_processes

    def _compute_loss(self, model, inputs):
        """The chunk's share of the loss, (); adds each term to `self.terms`."""
        recipe, mask = self.recipe, inputs["completion_mask"]
        logps, entropies = self._score(model, inputs["prompt"], inputs["completion_ids"], mask)
        weights = inputs["weights"][:, None] * mask  # (B, T)
        old = inputs.get("old_per_token_logps", logps.detach())
        advantages = inputs.get("token_advantages", inputs["advantages"][:, None])
        policy, clipped = loss.policy_term(logps, old, advantages, recipe.epsilon)
        kl = loss.kl_term(logps, inputs["ref_per_token_logps"], recipe.kl_clamp)
        parts = {
            "policy_loss": (policy, recipe.policy_loss),
            "kl": (kl, self.kl_coefficient),
            "entropy": (entropies, -recipe.entropy_coef),
            "clip_frac": (clipped.float(), 0.0),
        }
        if "sampling_per_token_logps" in inputs:  # not with backend transformers
            mismatch = (old - inputs["sampling_per_token_logps"]).abs()
            parts["sampler_mismatch"] = mismatch, 0.0
        total = torch.zeros((), device=mask.device)
        for name, (values, coefficient) in parts.items():
            term = (values * weights).sum()
            self.terms[name] += term.detach()
            if coefficient != 0:
                total = total + coefficient * term
        return total

    def _get_grad_norm(self, model, grad_norm=None):
        """A gradient that is not finite ends the run before the optimiser uses it."""
        norm = torch.tensor(float(super()._get_grad_norm(model, grad_norm)))
        # the same on all ranks, unless one of them has diverged: then all of them stop
        norm = self.accelerator.reduce(norm.to(self.accelerator.device), "mean").item()
        if not math.isfinite(norm):
            self.update_norm.value = 0.0
            logs = {"grad_norm": norm, "learning_rate": self._get_learning_rate()}
            self.log({"loss": self.accelerator.reduce(self._tr_loss, "mean").item(), **logs})
        return norm

    # -- records --------------------------------------------------------------------------------

    def log(self, logs, start_time=None):
        """A row of metrics.jsonl per update; TRL's own metrics go to its log as ever.

        Raises ValueError, on every rank, when a number of the row is not finite or the sampler is
        far from the trainer; nothing of the update is saved.
        """
        if "loss" in logs:
            row = metrics.row(self, logs)
            metrics.record(row, self.out, self.recipe.max_sampler_mismatch)
            logs.update(row)
            for name in row:  # TRL's "reward" is the mean advantage here
                self._metrics["train"].pop(name, None)
        super().log(logs, start_time)

    # -- checkpoints and resume -----------------------------------------------------------------

    def _save_checkpoint(self, model, trial):
        """Whole or invisible, in the layout of a run folder instead of TRL's."""
        step, policy = self.rollout_step, self.accelerator.unwrap_model(self.model)
        weights = sharding.gathered_weights(policy, self.accelerator)
        moments = sharding.gathered_moments(policy, self.optimizer, self.accelerator)

        def write() -> None:
            own = self.own_state()
            metrics.check_state(step, (weights or policy.state_dict(), own), moments)
            self._save_rollouts(step)
            checkpoints.save_checkpoint(self.out, step, policy, self.processing_class, weights)
            checkpoints.save_state(self.out, step, policy, moments, self.state, own)

        processes.on_main_process(write)

    def own_state(self) -> dict[str, dict[str, torch.Tensor]]:
        """What a method trains beside the policy: tensors by name, by file of the state."""
        return {}

    def _save_rollouts(self, step: int) -> None:
        logs = self._logs
        columns = {
            "prompt": logs["prompt"],
            "completion": logs["completion"],
            "reward": self.rewards.tolist(),
            "advantage": logs["advantages"],
            **dict(sorted(logs["extra"].items())),
        }
        table = pd.DataFrame({"step": step} | {name: list(x) for name, x in columns.items()})
        folder = self.out / "rollouts"
        folder.mkdir(exist_ok=True)
        with files.atomic_file(folder / f"{run.folder_name(step)}.parquet") as aside:
            table.to_parquet(aside)

    def _prepare_for_training(self, max_steps, train_dataloader, resume_from_checkpoint):
        """DeepSpeed's own way to resume reads DeepSpeed's own files."""
        state, prepare = resume_from_checkpoint, super()._prepare_for_training
        if not sharding.is_deepspeed(self.accelerator) or state is None:
            return prepare(max_steps, train_dataloader, state)
        self._load_from_checkpoint(state)
        prepared = prepare(max_steps, train_dataloader, None)
        weights = checkpoints.read_weights(self.out, Path(state))
        sharding.set_weights(self.model, self.accelerator, weights)
        self._load_optimizer_and_scheduler(state)
        return prepared

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        folder = Path(resume_from_checkpoint)
        if sharding.is_fsdp(self.accelerator):
            weights = checkpoints.read_weights(self.out, folder)
            sharding.set_weights(self.model, self.accelerator, weights)
        else:
            checkpoints.load_weights(model or self.model, self.out, folder)

    def _load_optimizer_and_scheduler(self, checkpoint):
        """Also restores TRL's count of updates, which it forgets (the rate is constant)."""
        if checkpoint is not None:
            moments = checkpoints.read_moments(Path(checkpoint))
            sharding.set_moments(self.model, self.optimizer, self.accelerator, moments)
            self._step = self.state.global_step
