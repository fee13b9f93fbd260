"""The embedded model in a process of its own: a fault in native code stays there.

    python -m brain_tumor.explanation.rationale.providers.embedded_worker MODEL.gguf THREADS

Reads one JSON request a line from standard input ({"prompt", "grammar", "max_tokens"}) and answers
with one JSON line ({"text"} or {"error"}). Ends when its input ends.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import sys
from typing import Any

RUNTIME = "xllamacpp"
CONTEXT_TOKENS = 2048
NICENESS = 5


def load(path: str, threads: int) -> Any:
    """The model in memory.

    The runtime always opens a port on the loopback address; a random key that nobody is told
    closes it to others.

    Args:
        path: Weights, GGUF.
        threads: Threads to compute with.
    """
    runtime = importlib.import_module(RUNTIME)
    parameters = runtime.CommonParams()
    parameters.model.path = path
    parameters.n_ctx, parameters.n_parallel, parameters.n_gpu_layers = CONTEXT_TOKENS, 1, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.cpuparams.poll = parameters.cpuparams_batch.poll = 0  # wait without spinning
    parameters.sampling.temp = 0.0
    parameters.warmup, parameters.ui, parameters.verbosity = False, False, -1
    parameters.hostnames, parameters.port = ["127.0.0.1"], 0
    parameters.api_keys = [secrets.token_urlsafe(32)]
    return runtime.Server(parameters)


def answer(server: Any, request: dict[str, Any]) -> dict[str, str]:
    """Text of the model for a request."""
    reply = server.handle_chat_completions(
        {
            "messages": [{"role": "user", "content": request["prompt"]}],
            "grammar": request["grammar"],
            "max_tokens": request["max_tokens"],
            "temperature": 0.0,
        }
    )
    try:
        return {"text": str(reply["choices"][0]["message"]["content"])}
    except (KeyError, IndexError, TypeError):
        return {"error": f"no answer: {str(reply)[:200]}"}


def main() -> None:
    """Serve requests until the input ends."""
    # Native code prints to the standard output; the answers keep a channel of their own.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.nice(NICENESS)
    server = load(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        answers.write(json.dumps(answer(server, json.loads(line))) + "\n")
        answers.flush()
    answers.close()
    os._exit(0)  # the runtime's threads crash now and then when the interpreter tears them down


if __name__ == "__main__":
    main()
