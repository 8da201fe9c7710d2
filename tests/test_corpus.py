"""Data: what is read, what is refused and with which words, what is dropped and counted, what the loss sees."""

import errno
import json
import random
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from conftest import byte_tokenizer, records, tiny_config, tiny_params
from ketune import corpus, generation, sources, tokens
from ketune.ground.errors import InputError
from ketune.ground.params import Data, Generate
from ketune.records.examples import Example, Passage


def data(path: Path, **changes: object) -> Data:
    values = {"source": str(path), "hub": None, "revision": None, "retention": "", "test_fraction": 0.2,
              "validation_fraction": 0.1, "dropped_at_most": 0.01}  # fmt: skip
    return Data(**(values | changes))


def write(path: Path, rows: list[dict]) -> Path:
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", sources.SUFFIXES)
def test_every_kind_of_file_gives_the_same_corpus(tmp_path: Path, kind: str) -> None:
    built = corpus.build(data(write(tmp_path / f"a{kind}", records(40))))
    assert built == corpus.build(data(write(tmp_path / "b.json", records(40))))
    assert built.read == 40 and sum(map(len, built.examples.values())) == 40


def test_adding_records_moves_none(tmp_path: Path) -> None:
    few = corpus.build(data(write(tmp_path / "few.json", records(60))))
    more = corpus.build(data(write(tmp_path / "more.json", records(200))))
    for split, examples in few.examples.items():
        assert {e.id for e in examples} <= {e.id for e in more.examples[split]}


def test_order_of_the_file_does_not_matter(tmp_path: Path) -> None:
    shuffled = records(50)
    random.Random(1).shuffle(shuffled)
    assert corpus.build(data(write(tmp_path / "a.json", shuffled))) == corpus.build(
        data(write(tmp_path / "b.json", records(50)))
    )


def test_same_prompt_never_lies_in_two_splits(tmp_path: Path) -> None:
    rows = records(100)
    rows += [row | {"instruction": row["instruction"].upper() + "  ", "output": "Another answer."} for row in rows[:1]]
    built = corpus.build(data(write(tmp_path / "a.json", rows), dropped_at_most=0.05))
    assert built.dropped == {"duplicate prompt": 1}
    assert sum(map(len, built.examples.values())) == 100


@pytest.mark.parametrize("spelt", ["<noinput>", "No input.", "no input required", "N/A", "< noinput >", "None"])
def test_no_input_means_no_input(tmp_path: Path, spelt: str) -> None:
    rows = [{"instruction": "Name a colour.", "input": spelt, "output": "Blue."}, *records(30)]
    examples = corpus.build(data(write(tmp_path / "a.json", rows))).examples
    [found] = [e for split in examples.values() for e in split if e.instruction == "Name a colour."]
    assert found.input == "" and "### Input" not in tokens.prompt(found)


BROKEN = {
    "missing file": (None, "no file"),
    "unknown kind": (b"a,b", "of no known kind"),
    "no list": (b'{"instruction": "a"}', "a list of records is expected"),
    "malformed json": (b"[{]", "no valid JSON"),
    "malformed line": (b'{"instruction":"a","output":"b"}\n{"instruction"\n', "line 2: no valid JSON"),
    "missing field": (b'{"instruction":"a","output":"b"}\n{"instruction":"c"}\n', "line 2: no field 'output'"),
    "wrong type": (b'{"instruction":"a","output":7}\n', "line 1: field 'output' is int"),
    "not an object": (b'"text"\n', "line 1: an object"),
    "empty output": (b'{"instruction":"a","output":" "}\n', "1 × empty output, first at"),
    "empty file": (b"", "holds no record"),
    "broken utf-8": (b'{"instruction":"a","output":"b"}\n\xff\xfe\n', "line 2: not UTF-8"),
    "key twice": (b'{"instruction":"a","instruction":"b","output":"c"}\n', "appears twice"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "nul bytes": (b"\x00\x00\x00\n", "no valid JSON"),
    "no parquet": (b"PAR1 and then nothing", "no valid Parquet"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_input_is_one_sentence(tmp_path: Path, case: str) -> None:
    content, words = BROKEN[case]
    suffix = {"unknown kind": ".csv", "no list": ".json", "malformed json": ".json", "no parquet": ".parquet"}
    path = tmp_path / f"a{suffix.get(case, '.jsonl')}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        corpus.build(data(path))
    assert "\n" not in str(error.value)


def damaged_page(path: Path) -> None:
    write(path, records(40))
    content = bytearray(path.read_bytes())
    content[8:200] = bytes(192)
    path.write_bytes(content)


def invalid_text(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    texts = pyarrow.Array.from_buffers(
        pyarrow.string(), 2, [None, pyarrow.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pyarrow.py_buffer(b"a\xff")]
    )
    pyarrow.parquet.write_table(pyarrow.table({"instruction": texts, "output": texts}), path)


def date_beyond_python(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    days = pyarrow.array([2**30], pyarrow.date32())
    texts = pyarrow.array(["a"])
    pyarrow.parquet.write_table(pyarrow.table({"instruction": texts, "output": texts, "made": days}), path)


@pytest.mark.parametrize("damage", [damaged_page, invalid_text, date_beyond_python])
def test_a_damaged_parquet_file_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "a.parquet"
    damage(path)
    with pytest.raises(InputError, match=f"^{path}: no valid Parquet file") as error:
        corpus.build(data(path))
    assert "\n" not in str(error.value)


def test_too_few_records_name_the_split_and_the_key(tmp_path: Path) -> None:
    built = corpus.build(data(write(tmp_path / "a.json", records(20))))
    told = r"generate.prompts: the test split has \d records, and 50 are needed; .* raise data.test_f.* or lower gene"
    with pytest.raises(InputError, match=told):
        corpus.require(built.examples, {"test": (50, "generate.prompts")})
    with pytest.raises(
        InputError, match=r"^data.validation_f.* and 9 are needed; give more .* or raise data.valid[a-z_]*n\.$"
    ):
        corpus.require(built.examples, {"validation": (9, "")})


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_any_bytes_give_a_corpus_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:  # random bytes never hold a record
        corpus.build(data(path))
    assert "\n" not in str(error.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
wild_texts = st.text(max_size=60) | st.sampled_from(
    [
        "### Response:\nignore",
        "<|im_end|>",
        "{input}",
        "{instruction}",
        "\u202eabc",
        "👩‍👩‍👧‍👦",
        "\u2028line",
        "x" * 20_000,
        "\x00\x07",
        "\ud800",
    ]
)


@settings(max_examples=150)
@given(
    st.lists(st.fixed_dictionaries({}, optional={key: json_values | wild_texts for key in corpus.FIELDS}), max_size=4)
)
def test_any_records_are_kept_counted_or_refused(tmp_path_factory: pytest.TempPathFactory, rows: list[dict]) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "a.json"
    path.write_text(json.dumps(rows))
    try:
        built = corpus.build(data(path, dropped_at_most=1.0))
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert built.read == len(rows) == sum(map(len, built.examples.values())) + sum(built.dropped.values())


@settings(max_examples=100)
@given(instruction=wild_texts, given_input=wild_texts, output=wild_texts)
def test_no_text_moves_the_border_between_prompt_and_response(instruction: str, given_input: str, output: str) -> None:
    clean = [text.encode("utf-8", "replace").decode() for text in (instruction, given_input, output)]
    example = Example(id="0", instruction=clean[0], input=clean[1], output=clean[2])
    tokenizer = byte_tokenizer()
    [row] = tokens.tokenize(tokenizer, [example], max_tokens=100_000)
    assert tokenizer.decode(row.ids[row.response : -1]) == example.output
    assert tokenizer.decode(row.ids[: row.response]) == tokens.prompt(example)
    assert row.ids[-1] == tokenizer.eos_token_id and tokenizer.eos_token_id not in row.ids[:-1]


def test_long_records_are_cut_and_long_prompts_counted() -> None:
    tokenizer = byte_tokenizer()
    long_answer = Example(id="a", instruction="Write.", input="", output="y" * 5000)
    long_prompt = Example(id="b", instruction="x" * 5000, input="", output="y")
    [row] = tokens.tokenize(tokenizer, [long_answer, long_prompt], max_tokens=300)
    assert row.id == "a" and len(row.ids) == 300 and row.response < 300
    splits = {"train": [long_answer, long_prompt]}
    assert tokens.too_long(tokenizer, splits, {"train": 1}, 300) == {"train": 1}
    prompt = len(tokens.encode(tokenizer, tokens.prompt(long_prompt)))
    room = [tokens.too_long(tokenizer, splits, {"train": 1}, prompt + more) for more in (1, 2)]
    assert [found.get("train", 0) for found in room] == [1, 0], "one token of the response, and the end of text"
    with pytest.raises(InputError, match=r"train.max_tokens: 300 tokens leave room .* in 1 of 2 records of the train"):
        tokens.too_long(tokenizer, splits, {"train": 2}, 300)


def with_template(bos: str, template: str) -> PreTrainedTokenizerFast:
    """A tokenizer with that BOS token, which puts special tokens around a text as its template says."""
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"bos_token": bos})
    special = [(name, tokenizer.convert_tokens_to_ids(name)) for name in {bos, "<end>"}]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=special)
    return tokenizer


EXAMPLE = Example(id="a", instruction="Name a colour.", input="", output="Blue.")


@pytest.mark.parametrize("template", ["<begin> $A", "<begin> $A <end>"])
def test_where_the_tokenizer_begins_a_text_with_bos_so_do_prompts_and_neutral_texts(template: str) -> None:
    tokenizer, plain, bos = with_template("<begin>", template), byte_tokenizer(), [257]
    [row], [bare] = (tokens.tokenize(one, [EXAMPLE], 300) for one in (tokenizer, plain))
    assert (row.ids, row.response) == (bos + bare.ids, bare.response + 1)
    assert tokens.prompt_ids(tokenizer, [EXAMPLE]) == [row.ids[: row.response]]
    assert tokens.prompt_ids(tokenizer, [EXAMPLE], 20) == [bos + row.ids[row.response - 19 : row.response]]
    found = [tokens.too_long(tokenizer, {"train": [EXAMPLE]}, {"train": 0}, row.response + more) for more in (1, 2)]
    assert found == [{"train": 1}, {"train": 0}] and tokens.tokenize(tokenizer, [EXAMPLE], row.response + 1) == []
    passage = Passage(id="b", text="Moss.")
    told = tokens.tokenize_passage(tokenizer, passage, 300)
    assert (told.ids, told.response) == (bos + tokens.encode(plain, passage.text), 1), "every token of the text counts"
    assert tokens.tokenize_passage(tokenizer, passage, 3).ids == told.ids[:3]
    tokens.require_scored(tokenizer, [Passage(id="c", text="a")])


@pytest.mark.parametrize(("bos", "template"), [("<begin>", "$A"), ("<end>", "$A <end>")])
def test_a_bos_that_the_tokenizer_does_not_put_in_front_is_not_added(bos: str, template: str) -> None:
    assert tokens.tokenize(with_template(bos, template), [EXAMPLE], 300) == tokens.tokenize(
        byte_tokenizer(), [EXAMPLE], 300
    )


def test_answers_follow_the_prompts_that_training_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, asked = with_template("<begin>", "<begin> $A"), []
    monkeypatch.setattr(generation, "decode", lambda _, prompts, **__: asked.extend(prompts) or [[1]])
    settings = Generate(**tiny_params(Path(), ["base"], [0])["generate"])
    generation.answers(LlamaForCausalLM(tiny_config()), tokenizer, [EXAMPLE], settings, 300)
    [row] = tokens.tokenize(tokenizer, [EXAMPLE], 300)
    assert asked == [row.ids[: row.response]]


def test_a_passage_of_one_token_is_refused() -> None:
    tokens.require_scored(byte_tokenizer(), [Passage(id="a", text="ab")])
    with pytest.raises(InputError, match=r"data.retention: the text 'a' is a single token"):
        tokens.require_scored(byte_tokenizer(), [Passage(id="a", text="a")])


def test_passages_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"text": "Moss grows on stones."}\n')
    assert [p.text for p in corpus.read_passages(path)] == ["Moss grows on stones."]
    twice = '{"text": "Moss grows."}\n{"text": "moss  grows."}\n'
    for content, words in (
        ("", "holds no passage"),
        ('{"txt": 1}\n', "line 1: a field 'text'"),
        ('{"text": "\\u0007 \\u0000"}\n', "line 1: a field 'text'"),
        (twice, "line 2: the same text stands above"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=words):
            corpus.read_passages(path)


def test_an_unreachable_hub_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"data.hub: 'no/such' at revision 'abc' cannot be loaded"):
        corpus.build(data(Path("x.json"), hub="no/such", revision="abc"))


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOSPC, "No space left on device")])
def test_what_the_machine_refuses_is_not_told_of_the_hub(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(type(error)):
        corpus.build(data(Path("x.json"), hub="tatsu-lab/alpaca", revision="abc"))
