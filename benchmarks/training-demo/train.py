#!/usr/bin/env python3
"""Trains the model of the demonstration and writes the checkpoints that `make demo-training` uses.

    ./fetch-text.sh > kjv.txt
    ./train.py kjv.txt -o checkpoints

A Llama of ten blocks and width 48 learns the King James Version from scratch, on one processor within minutes. Checkpoints
are written at steps on a logarithmic scale, each a Hugging Face folder of half-precision weights that includes its tokenizer.
Beside them, training.json holds all settings, versions and the loss on the held-out books, and losses.csv the
loss of every step. Needs torch, transformers, tokenizers and safetensors.
"""

import argparse
import hashlib
import json
import math
import pathlib
import platform
import re
import time

import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

CHECKPOINTS = [0, 16, 64, 128, 256, 512, 1024, 2048]
HELD_OUT = ["Ruth", "Jonah", "Jas"]  # 241 of 31 102 verses; the prompts are taken from them
SETTINGS = dict(
    seed=1,
    blocks=10,
    width=48,
    hidden_width=96,
    heads=3,
    vocabulary=512,
    initial_deviation=0.02,
    sequences=16,
    tokens=64,
    steps=CHECKPOINTS[-1],
    learning_rate=3e-3,
    warmup=100,
    betas=[0.9, 0.95],
    weight_decay=0.1,
    gradient_norm=1.0,
)


def read_verses(path):
    """Training text and held-out text, one verse per line, without the leading names and numbers."""
    parts = {False: [], True: []}
    for line in path.read_text(encoding="ascii").splitlines():
        book, verse = re.fullmatch(r"(\d?[A-Za-z]+)\d+:\d+ (.*)", line).groups()
        parts[book in HELD_OUT].append(verse)
    return "\n".join(parts[False]), "\n".join(parts[True])


def train_tokenizer(text, size):
    """Byte pairs learnt from the text itself."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return tokenizer


def make_model(s):
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=s["vocabulary"],
            hidden_size=s["width"],
            intermediate_size=s["hidden_width"],
            num_hidden_layers=s["blocks"],
            num_attention_heads=s["heads"],
            num_key_value_heads=s["heads"],
            max_position_embeddings=s["tokens"],
            initializer_range=s["initial_deviation"],
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def make_optimizer(model, s):
    """AdamW; matrices decay, the gains of norms do not."""
    groups = [
        dict(params=[p for p in model.parameters() if (p.dim() > 1) == decays], weight_decay=decay)
        for decays, decay in [(True, s["weight_decay"]), (False, 0.0)]
    ]
    return torch.optim.AdamW(groups, lr=s["learning_rate"], betas=s["betas"])


def rate(step, s):
    """The factor of the learning rate at a step from 1: a linear rise, then half a cosine down to a tenth."""
    if step <= s["warmup"]:
        return step / s["warmup"]
    share = (step - s["warmup"]) / (s["steps"] - s["warmup"])
    return 0.1 + 0.45 * (1 + math.cos(math.pi * share))


def loss_of(model, ids):
    """Mean cross-entropy in nats per token of ids (sequences, tokens + 1)."""
    logits = model(ids[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model, ids, tokens):
    model.eval()
    whole = ids[: (len(ids) - 1) // tokens * tokens + 1]
    value = loss_of(model, whole.unfold(0, tokens + 1, tokens)).item()
    model.train()
    return value


def save_checkpoint(model, tokenizer, folder):
    folder.mkdir(parents=True)
    # The tied head is not stored a second time.
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_diff_dict() | {
        "architectures": ["LlamaForCausalLM"],
        "dtype": "float16",
        "model_type": "llama",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    # Over one line: most of it is a list of 512 pieces.
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=False) + "\n")


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("text", type=pathlib.Path, help="what fetch-text.sh printed")
    arguments.add_argument("-o", "--output", type=pathlib.Path, required=True, help="must not exist")
    # A model this small is slower on two threads.
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--steps", type=int, help="stop early, with the same schedule")
    options = arguments.parse_args()
    s = SETTINGS
    torch.set_num_threads(options.threads)
    torch.manual_seed(s["seed"])

    text, held_out = read_verses(options.text)
    tokenizer = train_tokenizer(text, s["vocabulary"])
    ids = torch.tensor(tokenizer.encode(text).ids)
    held_out_ids = torch.tensor(tokenizer.encode(held_out).ids)
    model = make_model(s)
    optimizer = make_optimizer(model, s)
    options.output.mkdir(parents=True)

    losses, saved = [], {}
    start = time.process_time()
    for step in range((options.steps or s["steps"]) + 1):
        if step > 0:
            for group in optimizer.param_groups:
                group["lr"] = s["learning_rate"] * rate(step, s)
            at = torch.randint(len(ids) - s["tokens"], (s["sequences"], 1))
            loss = loss_of(model, ids[at + torch.arange(s["tokens"] + 1)])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), s["gradient_norm"])
            optimizer.step()
            losses.append(loss.item())
        if step in CHECKPOINTS:
            saved[step] = round(held_out_loss(model, held_out_ids, s["tokens"]), 4)
            save_checkpoint(model, tokenizer, options.output / f"step{step}")
            print(f"step {step}: held-out loss {saved[step]}, {time.process_time() - start:.0f} s", flush=True)

    (options.output / "losses.csv").write_text(
        "step,loss\n" + "".join(f"{i},{loss:.4f}\n" for i, loss in enumerate(losses, 1))
    )
    record = {
        "settings": s,
        "parameters": sum(p.numel() for p in model.parameters()),
        "training_tokens": len(ids),
        "held_out": {"books": HELD_OUT, "tokens": len(held_out_ids), "bytes": len(held_out)},
        # Nats per token, by step.
        "held_out_loss": saved,
        "text_sha256": hashlib.sha256(options.text.read_bytes()).hexdigest(),
        "processor_seconds": round(time.process_time() - start),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "safetensors": safetensors.__version__,
        },
    }
    (options.output / "training.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
