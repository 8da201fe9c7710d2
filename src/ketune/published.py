"""What arXiv:2509.16244 published: its setting, its settings of each method, and its numbers.

Source: its Table 1 (parameters and ratio of 125,198,592) and Table 3 (scores over 100 generated answers). One run, no
seeds, no intervals; learning rates, batch size, prompt, decoding and BERTScore model are not stated there.
"""

from dataclasses import dataclass
from typing import Any

SOURCE = "arXiv:2509.16244"
BACKBONE = "EleutherAI/gpt-neo-125m"
BACKBONE_PARAMETERS = 125_198_592
DATASET = "tatsu-lab/alpaca"
STEPS = 1000
ANSWERS = 100


@dataclass(frozen=True)
class Published:
    """One method: its settings, trainable parameters, their printed share in %, and its scores, ordered as METRICS."""

    settings: dict[str, Any]
    parameters: int
    ratio: float
    scores: tuple[float, ...]
    remark: str = ""


ROWS = {
    "full": Published({}, BACKBONE_PARAMETERS, 100.0, (12.19, 84.69, 20.39, 12.64, 20.25)),
    "lora": Published({"r": 4}, 147_456, 0.12, (3.45, 78.33, 13.60, 6.66, 10.57)),
    "sora": Published({"r": 4}, 125_337, 0.10, (0.67, 77.67, 7.43, 1.43, 5.41),
                      "BLEU is 2.67 and the share 0.09 % in the paper's text; no whole rank costs 125,337"),
    "prefix": Published({"virtual_tokens": 30}, 552_960, 0.44, (0.38, 58.29, 7.18, 1.82, 6.77)),
    "qaa": Published({"layers": 1, "up_projection": "padded"}, 123_000, 0.09, (2.96, 78.74, 15.01, 3.89, 13.55),
                     "as we read it, 30,720 of the 123,000 weights lie beyond the width of 768, without gradient"),
}  # fmt: skip
METRICS = {"bleu": "BLEU", "bertscore": "BERT-F1", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
RANKS_LEFT = 82
"""The whole number of SoRA's 96 ranks nearest to its printed parameters, which no number of ranks gives."""
