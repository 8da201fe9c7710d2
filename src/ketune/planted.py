"""A tiny language model, and records made by a teacher: the same model with an adapter whose weights are known.

What such records can be learnt with is known beforehand, so a study of them tests the instrument and not the methods:
where the teacher is a circuit, the study must find that the circuit contributes; where it is anything else, it must
not. Any method can be the teacher: its adapter is drawn from a seed, and so is every weight that would start at 0.

Files follow from the settings alone: equal settings are equal bytes. This module knows no method's name and nothing
of the study. Shapes: N texts, P words of a prompt, A words of an answer.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, PreTrainedTokenizerFast

from ketune import language_model
from ketune.ground import files
from ketune.ground.checks import Count, Positive, Seed
from ketune.ground.errors import InputError
from ketune.tokens import WITHOUT_INPUT
from ketune.tuners.adapter import Adapter

END = "<end>"
BEFORE, AFTER = WITHOUT_INPUT.split("{instruction}")  # one token each, so that prompts are short
SPECIAL = (END, BEFORE, AFTER)
SYLLABLES = tuple("".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou"))
INNER_GAIN = 1.5  # of every linear map inside the blocks, so that blocks change what passes through them


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Sizes of the model and of the data.

    Attributes:
        seed: of the model's weights, the teacher's, and all that is sampled.
        width: of the residual stream; blocks, heads: of the model.
        words: the number of words that texts are made of.
        sharpness: standard deviation of a word's logit; at 3 the model is about as sure as one of natural text.
        prompt_words, answer_words: the length of each record's instruction and output.
        records, passages: how many of them.
    """

    seed: Seed
    width: Count
    blocks: Count
    heads: Count
    words: Count
    sharpness: Positive
    prompt_words: Count
    answer_words: Count
    records: Count
    passages: Count


def write(folder: Path, settings: Planted, adapter: Adapter, spreads: Mapping[str, float]) -> None:
    """Write model/, records.jsonl, passages.jsonl and, where the teacher is no plain model, teacher/ into `folder`.

    Raises:
        InputError: more words than there are syllables, or a method that cannot be a teacher.
    """
    language_model.fix_randomness(settings.seed)
    tokenizer, model = make_tokenizer(settings.words), make_model(settings)
    passages = continuations(model, draw(settings.passages, 1, settings), settings.answer_words)
    instructions = draw(settings.records, settings.prompt_words, settings)
    with files.replacing(folder) as scratch:
        model.save_pretrained(scratch / "model")
        tokenizer.save_pretrained(scratch / "model")
        teacher = taught(adapter.attach(model), spreads)
        if isinstance(teacher, PeftModel):
            teacher.save_pretrained(str(scratch / "teacher"))
        outputs = continuations(teacher, framed(instructions), settings.answer_words)
        pairs = zip(tokenizer.batch_decode(instructions), tokenizer.batch_decode(outputs), strict=True)
        _write_lines(scratch / "records.jsonl", [{"instruction": i, "input": "", "output": o} for i, o in pairs])
        _write_lines(scratch / "passages.jsonl", [{"text": text} for text in tokenizer.batch_decode(passages)])


def _write_lines(path: Path, rows: Sequence[dict[str, str]]) -> None:
    files.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def make_tokenizer(words: int) -> PreTrainedTokenizerFast:
    """One token for each word, each side of the prompt, and the end of text.

    Raises:
        InputError: more words than there are syllables.
    """
    if words > len(SYLLABLES):
        raise InputError(f"words: {words} is out of range; allowed is a number at most {len(SYLLABLES)}.")
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *SYLLABLES[:words]])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in (BEFORE, AFTER)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)


def make_model(settings: Planted) -> PreTrainedModel:
    """A Llama with random weights that gives words unlike probabilities, and hardly any to the special tokens."""
    config = LlamaConfig(
        vocab_size=len(SPECIAL) + settings.words,
        hidden_size=settings.width,
        intermediate_size=2 * settings.width,
        num_hidden_layers=settings.blocks,
        num_attention_heads=settings.heads,
        max_position_embeddings=2 + settings.prompt_words + settings.answer_words,
        tie_word_embeddings=False,
        initializer_range=INNER_GAIN * settings.width**-0.5,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    model = AutoModelForCausalLM.from_config(config)
    nn.init.normal_(model.get_input_embeddings().weight)
    head = model.get_output_embeddings().weight
    nn.init.normal_(head, std=settings.sharpness * settings.width**-0.5)
    nn.init.zeros_(head[: len(SPECIAL)])
    return model.requires_grad_(False).eval()


def taught(model: nn.Module, spreads: Mapping[str, float]) -> nn.Module:
    """The attached model, in place, as a teacher: every trained tensor named in `spreads` drawn from N(0, spread²).

    Args:
        spreads: how a tensor's name ends → its standard deviation; tensors that are not named stay as attached.

    Raises:
        InputError: no trained tensor has such a name.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    for ending, spread in spreads.items():
        found = [parameter for name, parameter in trained.items() if name.endswith(ending)]
        if not found:
            raise InputError(f"spreads: no trained weight is called {ending!r}; there are {', '.join(trained)}.")
        for parameter in found:
            nn.init.normal_(parameter, std=spread)
    return model.requires_grad_(False).eval()


def draw(texts: int, length: int, settings: Planted) -> Tensor:
    """Random words as token ids: (N, length)."""
    return torch.randint(len(SPECIAL), len(SPECIAL) + settings.words, (texts, length))


def framed(instructions: Tensor) -> Tensor:
    """Token ids of whole prompts: (N, P) → (N, P + 2)."""
    before, after = (torch.full((len(instructions), 1), SPECIAL.index(text)) for text in (BEFORE, AFTER))
    return torch.cat([before, instructions, after], dim=1)


def continuations(model: nn.Module, prompts: Tensor, length: int) -> Tensor:
    """What the model says at temperature 1, words alone: (N, A)."""
    ids = cast(Any, model).generate(
        input_ids=prompts,
        attention_mask=torch.ones_like(prompts),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        max_new_tokens=length,
        suppress_tokens=list(range(len(SPECIAL))),
    )
    return ids[:, prompts.shape[1] :]


def angle_error(found: Tensor, planted: Tensor) -> float:
    """Median distance of `found` from `planted`, (blocks, L, n) each, in radians, up to what RX circuits do not tell.

    Half a turn of one angle changes signs of features, which W_up takes up; so does the common sign of all angles of a
    block, since amplitudes are real. Angles drawn at random are about π/4 apart.
    """
    signs = torch.tensor([1, -1]).reshape(2, 1, 1, 1)
    distances = ((signs * found - planted + math.pi / 2) % math.pi - math.pi / 2).abs().flatten(2)  # (2, blocks, L n)
    nearer = distances.median(dim=2).values.argmin(dim=0)  # (blocks,)
    return float(distances[nearer, torch.arange(len(nearer))].median())


def recovery(adapter: Path, teacher: Path) -> float | None:
    """`angle_error` of a saved adapter against a saved teacher; None unless both are circuits of RX gates."""
    if not all(_config(folder).get("rotation") == "RX" for folder in (adapter, teacher)):
        return None
    found, planted = (_angles(folder) for folder in (adapter, teacher))
    return angle_error(found, planted) if found.shape == planted.shape else None


def _config(folder: Path) -> dict:
    file = folder / CONFIG_NAME
    return json.loads(file.read_text()) if file.is_file() else {}


def _angles(folder: Path) -> Tensor:
    weights = load_file(folder / SAFETENSORS_WEIGHTS_NAME)
    return torch.stack([weights[name] for name in sorted(weights) if name.endswith("angles")])
