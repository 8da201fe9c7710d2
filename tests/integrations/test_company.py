"""Other adapters beside ketune's, other tasks than language modelling, quantised weights, and an evaluation harness."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import bitsandbytes
import pytest
import torch
import transformers as t
from peft import LoraConfig, PeftModel, get_peft_model
from test_trainers import ADAPTERS, every_adapter, logits, tokenizer
from torch import nn

import architectures

SIZES = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
_BERT = t.BertConfig(vocab_size=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **SIZES)
_T5 = t.T5Config(vocab_size=64, d_model=24, d_kv=6, d_ff=40, num_layers=2, num_heads=4, dropout_rate=0.0,
                 decoder_start_token_id=0)  # fmt: skip
_VIT = t.ViTConfig(image_size=8, patch_size=4, num_labels=3, hidden_dropout_prob=0.0, **SIZES)
IDS, MASK = architectures.ids(), torch.ones(3, 7, dtype=torch.long)
ENDS = {  # the maps for adapters after a block; those for adapters beside a map
    "sequence classification, BERT": (
        lambda: t.BertForSequenceClassification(_BERT), "SEQ_CLS", ["attention.output.dense"], ["query", "value"],
        {"input_ids": IDS, "attention_mask": MASK, "labels": torch.tensor([0, 1, 0])}),
    "token classification, BERT": (
        lambda: t.BertForTokenClassification(_BERT), "TOKEN_CLS", ["attention.output.dense"], ["query", "value"],
        {"input_ids": IDS, "attention_mask": MASK, "labels": IDS % 2}),
    "encoder and decoder, T5": (
        lambda: t.T5ForConditionalGeneration(_T5), "SEQ_2_SEQ_LM", ["SelfAttention.o"], ["q", "v"],
        {"input_ids": IDS, "attention_mask": MASK, "labels": IDS}),
    "images, ViT": (
        lambda: t.ViTForImageClassification(_VIT), None, None, None,
        {"pixel_values": torch.linspace(0, 1, 3 * 3 * 8 * 8).view(3, 3, 8, 8), "labels": torch.tensor([0, 1, 2])}),
}  # fmt: skip


@every_adapter
@pytest.mark.parametrize("task", ENDS)
def test_other_tasks(task: str, name: str, tmp_path: Path) -> None:
    build, kind, after, beside, batch = ENDS[task]
    torch.manual_seed(0)
    base = build()
    config = copy.deepcopy(ADAPTERS[name])
    names = [key for key, module in base.named_modules() if isinstance(module, nn.Linear) and "layer" in key]
    targets = {True: after, False: beside}[name == "QAA"] or [key for key in names if key.endswith("o_proj")]
    config.task_type, config.target_modules = kind, set(targets or [key for key in names if "attention" in key])
    model = get_peft_model(copy.deepcopy(base), config).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    losses = []
    for _ in range(8):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    model.eval().save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(base, tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model(**batch).logits)


@every_adapter
def test_several_adapters_add_up(name: str) -> None:
    config = copy.deepcopy(ADAPTERS[name])
    config.init_weights = False
    model = get_peft_model(architectures.model("llama"), copy.deepcopy(config))
    model.add_adapter("second", config)
    one = logits(model)
    model.base_model.set_adapter(["default", "second"])
    assert not torch.allclose(logits(model), one)
    model.set_adapter("default")
    assert torch.equal(logits(model), one)


@every_adapter
def test_LoRA_beside_it_is_refused_by_peft_in_a_sentence(name: str) -> None:
    model = get_peft_model(architectures.model("llama"), copy.deepcopy(ADAPTERS[name]))
    with pytest.raises(ValueError, match="Cannot combine adapters with different peft types"):
        model.add_adapter("other", LoraConfig(task_type="CAUSAL_LM"))


@pytest.mark.parametrize("name", ["Quantum-PEFT", "SoRA"])
def test_merge_then_LoRA(name: str) -> None:
    config = copy.deepcopy(ADAPTERS[name])
    config.init_weights = False
    model = get_peft_model(architectures.model("llama"), config)
    tuned = logits(model)
    both = get_peft_model(model.merge_and_unload(), LoraConfig(task_type="CAUSAL_LM"))
    assert torch.allclose(logits(both), tuned, atol=1e-5)


@pytest.mark.parametrize("bits", [8, 4])
@every_adapter
def test_quantised_base_trains_and_refuses_a_merge(name: str, bits: int) -> None:
    kind, options = {
        8: (bitsandbytes.nn.Linear8bitLt, {"has_fp16_weights": False}),
        4: (bitsandbytes.nn.Linear4bit, {"compute_dtype": torch.float32}),
    }[bits]
    torch.manual_seed(0)
    layer, plain = kind(64, 64, **options), nn.Linear(64, 64)
    layer.load_state_dict(plain.state_dict())
    base = nn.Sequential(layer).to("cpu")
    config = copy.deepcopy(ADAPTERS[name])
    config.task_type, config.target_modules = None, {"0"}
    x = torch.randn(8, 64)
    model = get_peft_model(base, config)
    start = model(x).detach()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(3):
        model(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not torch.allclose(model(x), start, atol=1e-3)
    with pytest.raises((ValueError, NotImplementedError), match=r"without quantisation|not a linear map"):
        model.merge_and_unload()


@pytest.mark.parametrize("name", ["QAA", "Quantum-PEFT"])
def test_lm_evaluation_harness_on_a_saved_adapter(name: str, tmp_path: Path) -> None:
    """By the command line, which has no place for an import of ketune: `python -m ketune lm_eval` has."""
    architectures.model("llama").save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    config = copy.deepcopy(ADAPTERS[name])
    config.init_weights = False
    get_peft_model(architectures.model("llama"), config).save_pretrained(tmp_path / "adapter")
    (tmp_path / "data.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in ("one two three", "two"))
    )
    (tmp_path / "counting.yaml").write_text(
        f"task: counting\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path}/data.jsonl}}}}\n"
        "test_split: test\noutput_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: '{{text}}'\n"
        "metric_list: [{metric: word_perplexity}]\n"
    )
    found = {}
    for adapter in ("", f",peft={tmp_path / 'adapter'}"):
        model = f"pretrained={tmp_path / 'base'},dtype=float32{adapter}"
        command = [
            "lm_eval",
            "--model",
            "hf",
            "--model_args",
            model,
            "--tasks",
            "counting",
            "--include_path",
            str(tmp_path),
            "--device",
            "cpu",
            "--output_path",
            str(tmp_path / f"out{bool(adapter)}"),
        ]
        done = subprocess.run([sys.executable, "-m", "ketune", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        [file] = (tmp_path / f"out{bool(adapter)}").rglob("results*.json")
        found[bool(adapter)] = json.loads(file.read_text())["results"]["counting"]["word_perplexity,none"]
    assert found[True] > 0 and found[True] != found[False]
