"""A `python` whose scripts run in forks of a process that has torch and its friends loaded already.

`python tests/warm.py FOLDER` serves until its standard input closes; it writes FOLDER/python, which a PATH may begin
with. That program hands its arguments, folder, environment and open files to the server and ends as the fork ended, by
exit status or signal. ketune's own code is never loaded beforehand: a fork imports the project's copy. Where a process
itself is what is tested, as when it is killed from outside, tests use the real interpreter.
"""

import array
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import warnings
from contextlib import suppress
from pathlib import Path

LIBRARIES = (
    "torch", "torch.utils.data", "transformers", "transformers.trainer", "transformers.models.llama.modeling_llama",
    "peft", "accelerate", "datasets", "safetensors.torch", "pennylane", "bert_score", "rouge_score.rouge_scorer",
    "sacrebleu", "pandas", "scipy.stats", "seaborn", "jinja2", "ruamel.yaml",
)  # fmt: skip
CLIENT = """#!{python} -SE
import array, json, os, socket, sys
if not sys.argv[1:] or not sys.argv[1].endswith(".py"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
message = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
server.sendmsg([len(message).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
server.sendall(message)
status = int(server.recv(16) or sys.exit("the process that serves warm stages is gone"))
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def serve(folder: Path) -> None:
    """Fork for every client until standard input closes."""
    address = str(folder / "socket")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    program = folder / "python"
    program.write_text(CLIENT.format(python=sys.executable, address=address))
    program.chmod(0o755)
    for library in LIBRARIES:
        importlib.import_module(library)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        client, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            answer(client)
        client.close()


def answer(client: socket.socket) -> None:
    """Run what the client asks for in a fork of this process, and tell the client how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    files = array.array("i")
    head, [(_, _, content)], _, _ = client.recvmsg(8, socket.CMSG_SPACE(3 * files.itemsize))
    files.frombytes(content)
    message = b""
    while len(message) < int.from_bytes(head, "big"):
        message += client.recv(1 << 16)
    child = os.fork()
    if child == 0:
        client.close()
        run(*json.loads(message), list(files))
    _, status = os.waitpid(child, 0)
    with suppress(BrokenPipeError):
        client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def run(arguments: list[str], folder: str, environment: dict[str, str], files: list[int]) -> None:
    """Be the interpreter that runs `arguments`; does not return."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    sys.path[:1] = [str(Path(arguments[0]).resolve().parent), *filter(None, [environment.get("PYTHONPATH")])]
    status: int | str | None = None
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        status = end.code
    except BaseException as error:
        status = 1
        sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(status, str):  # as the interpreter does: last, when progress bars are gone with their frames
        print(status, file=sys.stderr)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(Path(sys.argv[1]))
