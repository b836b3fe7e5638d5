#!/usr/bin/env python3
"""One peer runtime, driven line by line: a JSON request on stdin, a JSON answer on stdout.

    worker.py llama_cpp | ik_llama_cpp
    {"op":"open","model":"m.gguf","threads":2}            -> {"load_s":...,"vocab":...}
    {"op":"first_token","prompt":32}                      -> {"s":...}    context, prefill and logits
    {"op":"prefill","prompt":512,"depth":0}               -> {"tok_s":...}
    {"op":"decode","gen":64,"depth":0,"parallel":1}       -> {"tok_s":...} summed over sequences
    {"op":"eval","ids":[...],"top":256}                   -> {"rows":[[[id,logprob] x top] per id]}
    {"op":"rss"}                                          -> {"bytes":...} peak of this process

Both runtimes are called through their C interface (ctypes), as their own benchmarks do: no Python runs inside what is
timed but the filling of a batch of `parallel` tokens. Every measurement has a context of its own, made and warmed up
before the clock starts.
"""
import ctypes
import json
import os
import resource
import sys
import time

import numpy


class LlamaCpp:
    """llama-cpp-python: llama.cpp as it is now."""

    def __init__(self):
        import llama_cpp.llama_cpp as c
        self.c = c
        self.log = c.llama_log_callback(lambda level, text, user: None)
        c.llama_log_set(self.log, None)

    def model_params(self):
        return self.c.llama_model_default_params()

    def context_params(self):
        return self.c.llama_context_default_params()  # flash attention: its own choice

    def clear(self, context):
        self.c.llama_memory_clear(self.c.llama_get_memory(context), True)


class IkLlamaCpp:
    """ik-llama-cpp-python: the fork with faster quantised products, in its fast mode: weights repacked at load."""

    def __init__(self):
        import ik_llama_cpp._ctypes_api as c
        self.c = c

    def model_params(self):
        p = self.c.llama_model_default_params()
        p.repack_tensors, p.use_mmap = True, False
        return p

    def context_params(self):
        p = self.c.llama_context_default_params()
        p.flash_attn = False  # the wheel is built for AVX2, where it asserts
        return p

    def clear(self, context):
        self.c.llama_kv_cache_clear(context)


RUNTIMES = {"llama_cpp": LlamaCpp, "ik_llama_cpp": IkLlamaCpp}


def draw_ids(n, vocab):
    """The ids that `tenon bench` draws."""
    x, ids = 12345, []
    for _ in range(n):
        x = (x * 1664525 + 1013904223) & 0xffffffff
        ids.append((x >> 8) % vocab)
    return ids


class Peer:
    def __init__(self, runtime):
        self.runtime, self.c = runtime, runtime.c
        self.c.llama_backend_init()
        self.model = None

    def open(self, model, threads):
        start = time.perf_counter()
        self.model = self.c.llama_model_load_from_file(model.encode(), self.runtime.model_params())
        if not self.model:
            raise RuntimeError("the runtime does not load " + model)
        self.threads = threads
        self.vocab = self.c.llama_vocab_n_tokens(self.c.llama_model_get_vocab(self.model))
        return {"load_s": time.perf_counter() - start, "vocab": self.vocab}

    def context(self, tokens, parallel):
        p = self.runtime.context_params()
        per_sequence = (tokens + 8 + 255) // 256 * 256
        p.n_ctx, p.n_seq_max = per_sequence * parallel, parallel
        p.n_batch, p.n_ubatch = 2048, 512
        p.n_threads = p.n_threads_batch = self.threads
        context = self.c.llama_init_from_model(self.model, p)
        if not context:
            raise RuntimeError("no context of %d tokens" % p.n_ctx)
        self.batch = self.c.llama_batch_init(2048, 0, 1)
        return context

    def close(self, context):
        self.c.llama_batch_free(self.batch)
        self.c.llama_free(context)

    def run(self, context, entries):
        """entries: (token, position, sequence, wants logits)."""
        b = self.batch
        b.n_tokens = len(entries)
        for i, (token, position, sequence, logits) in enumerate(entries):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, position, 1, logits
            b.seq_id[i][0] = sequence
        if self.c.llama_decode(context, b) != 0:
            raise RuntimeError("llama_decode failed")

    def feed(self, context, ids, first, sequence, logits):
        for at in range(0, len(ids), 2048):
            part = ids[at:at + 2048]
            self.run(context, [(t, first + at + i, sequence, int(logits and at + i + 1 == len(ids)))
                               for i, t in enumerate(part)])
        if logits:
            return self.c.llama_get_logits_ith(context, -1)[0]

    def warm(self, context):
        self.feed(context, draw_ids(2, self.vocab), 0, 0, True)
        self.feed(context, draw_ids(1, self.vocab), 2, 0, True)
        self.runtime.clear(context)

    def first_token(self, prompt):
        start = time.perf_counter()
        context = self.context(prompt, 1)
        self.feed(context, draw_ids(prompt, self.vocab), 0, 0, True)
        seconds = time.perf_counter() - start
        self.close(context)
        return {"s": seconds}

    def prefill(self, prompt, depth):
        context = self.context(prompt + depth, 1)
        self.warm(context)
        self.feed(context, draw_ids(depth, self.vocab), 0, 0, False)
        ids = draw_ids(prompt, self.vocab)
        start = time.perf_counter()
        self.feed(context, ids, depth, 0, True)
        seconds = time.perf_counter() - start
        self.close(context)
        return {"tok_s": prompt / seconds}

    def decode(self, gen, depth, parallel):
        context = self.context(gen + depth, parallel)
        self.warm(context)
        for s in range(parallel):
            self.feed(context, draw_ids(depth, self.vocab), 0, s, False)
        ids = draw_ids(gen, self.vocab)
        start = time.perf_counter()
        for t in range(gen):
            self.run(context, [(ids[(t + s * 7) % gen], depth + t, s, 1) for s in range(parallel)])
            self.c.llama_get_logits_ith(context, parallel - 1)[0]
        seconds = time.perf_counter() - start
        self.close(context)
        return {"tok_s": gen * parallel / seconds}

    def eval(self, ids, top):
        context = self.context(len(ids), 1)
        self.run(context, [(t, i, 0, 1) for i, t in enumerate(ids)])
        rows = []
        for i in range(len(ids)):
            logits = numpy.ctypeslib.as_array(self.c.llama_get_logits_ith(context, i), (self.vocab,)).astype(numpy.float64)
            logits -= logits.max()
            logits -= numpy.log(numpy.exp(logits).sum())
            order = numpy.argsort(-logits)[:top]
            rows.append([[int(k), float(logits[k])] for k in order])
        self.close(context)
        return {"rows": rows}

    def rss(self):
        return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the runtimes print is talk
    peer = Peer(RUNTIMES[sys.argv[1]]())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(peer, request.pop("op"))(**request)
        except (RuntimeError, ValueError, OSError) as e:
            answer = {"error": str(e)}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
