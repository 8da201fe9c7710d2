"""What each method's circuit would cost on a machine: the bills that `make bill` recorded, where they fit the runs."""

from collections.abc import Mapping
from pathlib import Path

from ketune.ground import files, layout
from ketune.records.bills import Bills, circuit
from ketune.report import cells
from ketune.report.cells import Cell, Table, numeral
from ketune.report.results import Results


def read(folder: Path = layout.HARDWARE) -> dict[str, Bills]:
    """method → its record in `folder`; empty where none was written."""
    return {path.stem: files.read_json(path, Bills) for path in sorted(folder.glob("*.json"))}


def fitting(results: Results, bills: Mapping[str, Bills]) -> dict[str, Bills]:
    """The records of the very circuits, on the very model, that ran."""
    found = {}
    for method in results.methods:
        trained, record = results.of(method)[0].training, bills.get(method)
        if record and (record.circuit, record.trainable) == (circuit(trained.card), trained.parameters.trainable):
            found[method] = record
    return found


def table(results: Results, bills: Mapping[str, Bills], *, read: bool = False) -> Table | None:
    """A row for each method and machine; None where no record fits. `read`: a table of losses under shots follows."""
    found, tokens = fitting(results, bills), results.settings.generate.max_new_tokens
    rows = [
        {
            "Method": Cell(results.title(method), method=method),
            "Machine": Cell(machine),
            "Qubits": numeral(bill["qubits"], 0),
            "Two-qubit gates": numeral(bill["two_qubit_gates"], 0),
            "of them to prepare the state": numeral(bill["preparation_two_qubit_gates"], 0),
            "Depth": numeral(bill["depth"], 0),
            "Success": Cell(f"{bill['success']:.2g}", bill["success"]),
            "Shots": numeral(bill["shots"], 0),
            "Shots under noise": Cell(f"{bill['noisy_shots']:.2g}", bill["noisy_shots"]),
            "Circuits a token": numeral(bill["circuits_a_token"], 0),
            "Token, s": numeral(bill["token_seconds"], 2),
            "Answer, s": numeral(tokens * bill["token_seconds"], 1),
        }
        for method, record in found.items()
        for machine, bill in record.bills.items()
    ]
    if not rows:
        return None
    made = by_method(results, {method: _made(record) for method, record in found.items()})
    error = by_method(results, {method: _error(record) for method, record in found.items()})
    caption = (
        f"What one execution of the circuit and one token cost by the machines' stored calibrations ({made}). "
        "Success: the product over all gates and read-outs that none fails. Shots: executions that "
        f"give each expectation a standard error of {error} without noise, and where failures "
        "leave success times the value. Seconds are those of gates and read-out without noise, for a token and for "
        f"an answer of {tokens} tokens, without reset, transfer and queue."
    )
    if "quantum_peft" in results.methods and "quantum_peft" not in found:
        caption += f" {results.title('quantum_peft')}'s circuits make weights before a text is read; no token runs one."
    if read:
        caption += " What so coarse a reading makes of the loss, the next table tells."
    return cells.table("hardware", caption, rows)


def by_method(results: Results, texts: Mapping[str, str]) -> str:
    """What is said of each method: once where it is the same of all, else each text with its methods."""
    saying = {text: [method for method in texts if texts[method] == text] for text in texts.values()}
    if len(saying) == 1:
        return next(iter(saying))
    return " and ".join(f"{text} for {results.named(methods)}" for text, methods in saying.items())


def _made(record: Bills) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(record.packages.items()))
    return f"{packages}, {record.date}"


def _error(record: Bills) -> str:
    return ", ".join(dict.fromkeys(f"{bill['error']:g}" for bill in record.bills.values()))
