#!/usr/bin/env python3
"""Renders every template of $TENON_SHARED/data/chat-templates (default: ../shared beside the source tree), and any
given as arguments, with many inputs by Jinja2 and by Tenon, and compares byte for byte. Where one of them
refuses an input the other must too. Exit 1 on any difference.

    template_diff.py [--renderer DIR/tests/render_templates] [--every N] [FILE.jinja ...]
"""
import argparse
import glob
import itertools
import json
import os
import subprocess
import sys
import tempfile

try:
    import template_jinja
except ImportError as e:
    print(f"SKIPPED: {e}: install the Python package Jinja2", file=sys.stderr)
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the \"current\" weather <now> & here.\nSecond line.",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "City, e.g. Zürich 🌧"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 18446744073709551615},
                "scale": {"type": "number", "default": 1.0},
                "where": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}},
                          "required": ["lat"]},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["location"],
        },
        "return": {"type": "string"},
    },
}
NOW = {"type": "function", "function": {"name": "now", "description": "The time.",
                                        "parameters": {"type": "object", "properties": {}}}}

USER = {"role": "user", "content": "  What is the capital of France? \n"}
SYSTEM = {"role": "system", "content": "You are a pirate.\n\nAnswer briefly: {{ not a tag }} <|im_end|>"}
ANSWER = {"role": "assistant", "content": "The capital of France is Paris."}
THINKING = {"role": "assistant", "content": "<think>\nIt is a city.\n</think>\n\nParis."}
REASONING = {"role": "assistant", "content": "Paris.", "reasoning_content": "Let me see.\nIt is a city."}
PARTS = {"role": "user", "content": [{"type": "text", "text": "Look at "}, {"type": "text", "text": "this: ünïcödé"}]}
IMAGE = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}


def call(arguments, ident="abcdef123", content=""):
    return {"role": "assistant", "content": content, "tool_calls": [
        {"id": ident, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}]}


ARGS = {"location": "Paris \"x\"", "days": 3, "scale": 0.5, "flag": True, "none": None, "tags": ["a", "b"],
        "where": {"lat": 1.25, "lon": -7}}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": "{\"temp\": 21.5}"}
RESULT_OBJECT = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": {"temp": 21.5, "ok": True}}
TWO_CALLS = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": ARGS}},
    {"id": "call00002", "type": "function", "function": {"name": "now", "arguments": {}}}]}

CONVERSATIONS = {
    "user": [USER],
    "system": [SYSTEM, USER],
    "developer": [{"role": "developer", "content": "Be short."}, USER],
    "turns": [USER, ANSWER, {"role": "user", "content": "And of Spain?"}],
    "system-turns": [SYSTEM, USER, ANSWER, {"role": "user", "content": "And Spain?"}, ANSWER],
    "answered": [USER, ANSWER],
    "thinking": [USER, THINKING, USER, THINKING],
    "reasoning": [SYSTEM, USER, REASONING, USER],
    "parts": [PARTS],
    "parts-system": [{"role": "system", "content": [{"type": "text", "text": "Sys."}]}, PARTS, ANSWER, PARTS],
    "image": [IMAGE],
    "call": [USER, call(ARGS)],
    "call-text": [USER, call(json.dumps(ARGS), content="Let me look.")],
    "result": [SYSTEM, USER, call(ARGS), RESULT],
    "result-no-system": [USER, call(ARGS), RESULT, ANSWER, USER],
    "result-text-args": [USER, call(json.dumps(ARGS)), RESULT, ANSWER],
    "result-object": [USER, call(ARGS), RESULT_OBJECT],
    "two-calls": [USER, TWO_CALLS, RESULT, {**RESULT, "content": "12:00", "name": "now", "tool_call_id": "call00002"}],
    "call-reasoning": [USER, {**call(ARGS), "reasoning_content": "Hm.", "reasoning": "Hm.", "thinking": "Hm."}, RESULT],
    "short-id": [USER, call(ARGS, ident="x"), {**RESULT, "tool_call_id": "x"}],
    "two-users": [USER, USER],
    "two-systems": [SYSTEM, SYSTEM, USER],
    "assistant-first": [ANSWER, USER],
    "system-last": [USER, SYSTEM],
    "odd-role": [{"role": "critic", "content": "Hm."}, USER],
    "none-content": [USER, {"role": "assistant", "content": None}],
    "no-content": [USER, {"role": "assistant"}],
    "empty": [],
    "empty-content": [{"role": "user", "content": ""}],
    "long": [SYSTEM] + [USER, ANSWER] * 20 + [USER],
}
EXTRAS = {
    "plain": {},
    "generate": {"add_generation_prompt": True},
    "no-generate": {"add_generation_prompt": False},
    "tools": {"tools": [WEATHER, NOW], "add_generation_prompt": True},
    "tools-flat": {"tools": [WEATHER["function"]], "add_generation_prompt": True},
    "no-tools": {"tools": None, "documents": None, "add_generation_prompt": True},
    "empty-tools": {"tools": [], "add_generation_prompt": True},
    "think": {"enable_thinking": True, "thinking": True, "add_generation_prompt": True},
    "no-think": {"enable_thinking": False, "thinking": False, "add_generation_prompt": True},
    "no-think-tools": {"enable_thinking": False, "tools": [WEATHER], "add_generation_prompt": True},
    "dated": {"date_string": "01 Jan 2025", "add_generation_prompt": True, "tools_in_user_message": False,
              "tools": [WEATHER], "builtin_tools": ["python", "wolfram_alpha", "code_interpreter"]},
    "documents": {"documents": [{"title": "T", "text": "Text."}, {"title": "U", "text": "More."}],
                  "add_generation_prompt": True, "citations": True, "controls": {"length": "long"}},
    "efforts": {"reasoning_effort": "high", "model_identity": "You are Tenon.", "add_generation_prompt": True,
                "builtin_tools": ["browser", "python"], "thinking_budget": 512, "clear_thinking": False,
                "preserve_thinking": True, "keep_past_thinking": True},
    "continue": {"continue_final_message": True, "add_generation_prompt": False, "add_bos_token": True},
}


def inputs():
    for (cname, messages), (ename, extra) in itertools.product(CONVERSATIONS.items(), EXTRAS.items()):
        yield f"{cname}/{ename}", {"messages": messages, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                                   "pad_token": "<pad>", **extra}


def show(name, want, got, why_want, why_got):
    print(f"DIFFERENT: {name}", file=sys.stderr)
    if want is None or got is None:
        print(f"  Jinja2: {'refuses: ' + why_want if want is None else 'renders ' + repr(want[:200])}", file=sys.stderr)
        print(f"  tenon:  {'refuses: ' + why_got if got is None else 'renders ' + repr(got[:200])}", file=sys.stderr)
        return
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    print(f"  from character {at}:\n  Jinja2: {want[max(0, at - 40):at + 80]!r}\n  tenon:  {got[max(0, at - 40):at + 80]!r}",
          file=sys.stderr)


class Renderer:
    """tests/tools/render_main.c, one process for all renderings; what it says on stderr (a sanitizer, say) is ours too."""

    def __init__(self, command):
        self.p = subprocess.Popen([command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, template, path):
        """The rendering, or None and why not."""
        self.p.stdin.write(f"{template}\t{path}\n".encode())
        self.p.stdin.flush()
        head = self.p.stdout.readline().split()
        if len(head) != 2:
            raise SystemExit(f"{template}: the renderer ended with {self.p.wait()}: see above")
        data = self.p.stdout.read(int(head[1])).decode()
        return (data, "") if head[0] == b"0" else (None, data)

    def close(self):
        """Leaks are told at the end."""
        self.p.stdin.close()
        if self.p.wait() != 0:
            raise SystemExit(f"the renderer ended with {self.p.returncode}: see above")


def compare(renderer, template, scratch, every, first):
    source = open(template, encoding="utf-8", newline="").read()
    bad = count = refused = 0
    path = os.path.join(scratch, "input.json")
    for name, variables in itertools.islice(inputs(), first % every, None, every):
        text = json.dumps(variables)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        want, why_want = template_jinja.render(source, json.loads(text))
        got, why_got = renderer.run(template, path)
        count += 1
        refused += want is None
        if want != got:
            bad += 1
            if bad <= 3:
                show(f"{os.path.basename(template)}: {name}", want, got, why_want, why_got)
    print(f"{os.path.basename(template)}: {count - bad} of {count} equal ({refused} refused by Jinja2)")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderer", default=os.path.join(HERE, "../../build/tests/render_templates"))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth input (others per template)")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    files = args.files
    if not files:
        shared = os.environ.get("TENON_SHARED", os.path.join(HERE, "../../../shared"))
        files = sorted(glob.glob(os.path.join(shared, "data/chat-templates/*.jinja")))
        if not files:
            print(f"SKIPPED: no templates under {shared}/data/chat-templates: set TENON_SHARED", file=sys.stderr)
            return 77
    with tempfile.TemporaryDirectory() as scratch:
        renderer = Renderer(args.renderer)
        bad = sum(compare(renderer, f, scratch, args.every, k) for k, f in enumerate(files))
        renderer.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
