"""The page beside a saved adapter, README.md: what it is, what it stands on, how it was trained and how it is loaded.

It states what is known and leaves no blanks, and it names no folder of the machine that wrote it. A page that somebody
else wrote stays, with a section on loading added.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import peft
from huggingface_hub import ModelCard, ModelCardData
from peft import PeftConfig

import ketune

MARK = "<!-- Written by ketune at every save; delete this line to keep a page of your own. -->"
BLANK = "[More Information Needed]"  # of the hub's form
FACTS = {"base_model", "library_name", "pipeline_tag", "tags"}  # that peft writes into it
LOADING = "## Loading this adapter"
PIPELINES = {"CAUSAL_LM": "text-generation", "SEQ_CLS": "text-classification", "TOKEN_CLS": "token-classification"}


def write(folder: Path, config: PeftConfig, use: str, training: Mapping[str, object] | None = None) -> None:
    """Write or renew README.md in `folder`.

    Args:
        folder: where the adapter lies.
        config: its configuration.
        use: Markdown on what the adapter needs and what it can become.
        training: what is known of its training, by name.
    """
    path = folder / "README.md"
    before = path.read_text(encoding="utf-8") if path.exists() else MARK
    loading = f"{LOADING}\n\n{use}\n\n```python\nimport ketune\n\nmodel = ketune.load(folder, base_model)\n```\n"
    if MARK in before or _untouched(before):
        path.write_text(f"{_page(config, training or {})}\n{loading}", encoding="utf-8")
    elif LOADING not in before:
        path.write_text(f"{before.rstrip()}\n\n{loading}", encoding="utf-8")


def _untouched(page: str) -> bool:
    """Whether it is the hub's empty form, as peft saves it: with its own version below, and some facts above."""
    card, template = ModelCard(page), ModelCard.from_template(ModelCardData())
    form = {*template.text.splitlines(), "### Framework versions"}
    empty = all(line in form or line.startswith("- PEFT ") for line in card.text.splitlines())
    return empty and BLANK in card.text and card.data.to_dict().keys() <= FACTS


def _page(config: PeftConfig, training: Mapping[str, object]) -> str:
    kind, base = str(config.peft_type).rpartition(".")[2], _public(config.base_model_name_or_path)
    pipeline = PIPELINES.get(str(config.task_type))
    head = [f"base_model: {base}"] if base else []
    head += ["library_name: peft", *([f"pipeline_tag: {pipeline}"] if pipeline else []), f"tags: [{kind.lower()}]"]
    facts = {
        "base model": base or "not named",
        "adapter": kind,
        "settings": ", ".join(f"{key} = {value}" for key, value in _settings(config).items()),
        "adapted maps": _listed(getattr(config, "target_modules", None)),
        **training,
        "written by": f"ketune {ketune.__version__}, peft {peft.__version__}",
    }
    rows = [f"| {key} | {value} |" for key, value in facts.items() if value != ""]
    title = f"# {kind} adapter{f' of {base}' if base else ''}"
    return "\n".join(["---", *head, "---", "", MARK, "", title, "", "| | |", "|---|---|", *rows, ""])


def _listed(targets: str | Iterable[str] | None) -> str:
    return targets if isinstance(targets, str) else ", ".join(sorted(targets or []))


def _public(name: str | None) -> str | None:
    """The name of the base model where it is one, as on the hub, and no folder of this machine."""
    if not name or Path(name).exists() or name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        return None
    return name


def _settings(config: PeftConfig) -> dict[str, object]:
    """What the adapter was configured with: ketune's settings; of another adapter, plain values that are no default."""
    values = config.to_dict()
    own = getattr(config, "settings", None)
    if own is not None:
        return {key: values[key] for key in own() if key in values}
    default = type(config)().to_dict()
    plain = {key: value for key, value in values.items() if isinstance(value, (int, float, str)) and key in default}
    about = ("peft_type", "peft_version", "task_type", "base_model_name_or_path", "inference_mode")
    return {key: value for key, value in plain.items() if value != default[key] and key not in about}
