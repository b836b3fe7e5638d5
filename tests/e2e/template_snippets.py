#!/usr/bin/env python3
"""Renders hundreds of small templates by Jinja2 and by Tenon and compares byte for byte; where Jinja2
refuses, tenon must too. Each checks one corner of the language. Exit 1 on any difference.

    template_snippets.py [--renderer DIR/tests/render_templates]
"""
import argparse
import json
import os
import sys
import tempfile

import template_diff
from template_diff import template_jinja

VARIABLES = {
    "i": 42, "neg": -7, "f": 2.5, "big": 12345678901234567890123, "zero": 0, "one": 1.0, "s": "Hello, World",
    "u": "Ünïcödé 🌧 ß ŉ ΑΣ", "e": "", "t": True, "n": None, "ws": " \t x y \n ", "multi": "a\nb\n\nc\r\nd",
    "l": [3, 1, 2], "ls": ["b", "A", "c", "B"], "lm": [1, "a", None, 2.5, [1], {"k": 1}], "el": [],
    "d": {"b": 1, "a": {"x": [1, 2]}, "C": None, "items": 5, "1": "one"}, "ed": {},
    "us": [{"name": "ann", "age": 30, "tags": ["x"]}, {"name": "Bob", "age": 25}, {"name": "cid", "age": 30, "tags": []}],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}],
    "html": "<a href=\"x\">it's & <b>bold</b></a> <!-- no --> &amp;",
    "floats": [0.1, 1e16, 1e15, 1e-4, 1e-5, 123456789.123, 1.5e300, -0.0, 3.0, 1e22, 5e-324, 0.30000000000000004],
}

# Expressions: each is printed by itself.
EXPRESSIONS = r"""
i + 1 | i - 50 | i * f | i / 7 | i // 5 | neg // 2 | neg % 3 | neg % -3 | i % neg | f // 1 | -f // 1 | -f % 1 | 2 ** 10
2 ** -1 | 2 ** 0.5 | -2 ** 2 | (-2) ** 2 | 2 ** 3 ** 2 | 7.5 % 2 | -7.5 % 2 | 7.5 % -2 | 1 / 3 | 10 / 5 | 1e3 | 1_000 | 0x1F
0b101 | 0o17 | 1.5e-7 | 007 | i / 0 | i // 0 | i % 0 | f / 0 | 9223372036854775807 | 9223372036854775807 + 0
-i | +i | -t | - - 3 | not i | not not e | -f | --f | t + t | t * 3 | f + t | n + 1 | s + 1 | 1 + s | l + 1 | undefinedvar + 1
s + "!" | s * 2 | 2 * s | s * 0 | s * -1 | l * 2 | l + [9] | (1, 2) + (3,) | l + (1,) | "a" "b" 'c' | s ~ i ~ f ~ n ~ t ~ l
1 < 2 | 1 < 2 < 3 | 1 < 3 < 2 | 1 == 1.0 | t == 1 | "a" < "b" | "a" < 1 | [1, 2] < [1, 3] | [1] < [1, 0] | (1,) == [1] | n == e
n is none | n == none | 1 != 2 != 1 | 3 > 2 >= 2 | l == [3, 1, 2] | d == d | ed == {} | {"a": 1} == {"a": 1.0} | n < 1 | {} < {}
1 in l | 9 not in l | "ell" in s | "" in e | 1 in s | "b" in d | "zz" in d | 1 in d | n in lm | [1] in lm | [] in ed | 1 in 5
t and i | e or "x" | n and 1 / 0 | t or 1 / 0 | not e and t | e or n or 0 or "last" | t and e | 1 if t else 2 | 1 if e else 2
1 if e | (1 if e) is defined | 1 if t else 2 if t else 3 | "a" if e else "b" if n else "c" | (i) | (i,) | () | (1, 2) | 1, 2
s[0] | s[-1] | s[99] | s[1:4] | s[:3] | s[3:] | s[::-1] | s[::2] | s[-3:] | s[:-3] | s[5:1] | s[1:8:3] | s[8:1:-2] | s[-100:100]
u[0] | u[2:7] | u[::-1] | u | u[-3:] | u[::3] | u | length | l[0] | l[-1] | l[3] | l[-4] | l[1:] | l[::-1] | l[::0] | l["a"]
l.0 | l.1 | d.b | d["b"] | d.zz | d["zz"] | d.a.x.1 | d["a"]["x"][0] | d.zz.y | d.items | d["items"] | d["1"] | d.1 | d[1]
d.get("b") | d.get("zz") | d.get("zz", 5) | d.get() | d.keys() | d.values() | d.items() | d.keys() | list | d.copy() | d.get("a").get("x")
s.upper() | s.lower() | s.title() | "they're bill's".title() | s.capitalize() | s.swapcase() | u.upper() | u.lower() | u.title()
u.capitalize() | u.casefold() | "ΑΣ ΑΣΑ Σ".lower() | "ﬁn".upper() | "İ".lower() | "ǆ".title() | "ʼn".upper() | s.find("o") | s.find("zz")
s.rfind("o") | s.find("o", 5) | s.find("o", 5, 8) | s.find("", 99) | s.index("zz") | s.index("W") | s.count("l") | s.count("") | "aaa".count("aa")
u.find("ö") | u.rfind("ï") | s.startswith("Hell") | s.startswith(("x", "H")) | s.startswith("e", 1) | s.endswith("ld") | s.endswith("") | s.endswith("l", 0, 4)
s.startswith(1) | s.startswith("", 13) | s.replace("l", "L") | s.replace("l", "L", 2) | s.replace("", "-") | "".replace("", "x") | s.replace("o", "")
ws.strip() | ws.lstrip() | ws.rstrip() | "xxaxx".strip("x") | "xyaxy".lstrip("yx") | "xyaxy".rstrip("yx") | "\u3000a\u00a0".strip() | s.strip(n) | s.strip("")
s.split() | s.split(",") | s.split("l") | s.split("l", 1) | s.split("zz") | s.split("") | e.split() | e.split(",") | ws.split() | ws.split(n, 1)
"  a b  c ".split(n, 1) | "a,b,c".split(",", maxsplit=1) | s.rsplit("l", 1) | "a b c".rsplit(n, 1) | " a b c ".rsplit() | "a,b".rsplit(",") | multi.splitlines()
multi.splitlines(true) | "a\n".splitlines() | e.splitlines() | s.partition(", ") | s.partition("zz") | s.rpartition("o") | s.rpartition("zz") | ", ".join(ls)
", ".join(l) | "".join(s) | "-".join("abc") | "-".join(d) | "x".center(6) | "x".center(5, "*") | "xx".center(5, "*") | "x".ljust(4) + "|" | "x".rjust(4, "0")
"42".zfill(5) | "-42".zfill(5) | "x".center(4, "") | "a\tb".expandtabs() | "a\tb".expandtabs(3) | "abc".removeprefix("a") | "abc".removesuffix("bc") | "abc".removeprefix("")
"abc".isalpha() | "ab1".isalnum() | "12".isdigit() | "²".isdigit() | "½".isnumeric() | "12".isdecimal() | " ".isspace() | "Ab".istitle() | "AB".isupper() | "ab".islower()
"a1".isidentifier() | "1a".isidentifier() | "é".isascii() | "".isascii() | "".isalpha() | "a\n".isprintable() | "".isprintable() | "AB1".isupper() | "1".isupper()
"{} {}".format(1, "a") | "{1} {0}".format(1, "a") | "{x} {y!r}".format(x=1, y="q") | "{:>5}|{:<5}|{:^5}".format(1, "a", "b") | "{:05d}".format(42) | "{:.2f}".format(f)
"{:,}".format(1234567) | "{:+d} {: d}".format(1, 2) | "{:x} {:X} {:o} {:b} {:#x}".format(255, 255, 8, 5, 255) | "{:e} {:g} {:%}".format(12345.678, 0.0001, 0.25) | "{{}}".format()
"{0[b]} {0[a][x]}".format(d) | "{0.b}".format(d) | "{}".format() | "{".format() | "}".format() | "{:{}}".format("a", 5) | "{:*^9}".format("mid") | "{:_}".format(1234567) | "{:.3}".format("abcdef")
"{}{}".format(t, n) | "{:d}".format(t) | "{:>6}".format(t) | "{:s}".format(1) | "{:5}".format(n) | "{!s:>4}".format(n) | "{:.1f}".format(2) | "{:10.3f}|".format(3.14159) | "{:,.2f}".format(1234567.891)
"%s %s" % (1, "a") | "%d" % 3.7 | "%5d|%-5d|%05d" % (1, 2, 3) | "%.2f" % f | "%x %X %o" % (255, 255, 8) | "%r" % "q" | "%s" % n | "%s" % l | "%(b)s" % d | "%%" % ()
"%s" % () | "%s %s" % 1 | "x" % 1 | "x" % d | "%d" % "a" | "%c%c" % (65, "b") | "%e" % 12345.678 | "%g" % 1e-10 | "%+d" % 5 | "% d" % 5 | "%5s|%-5s|" % ("a", "b") | "%.3s" % "abcdef" | "%*d" % (5, 1)
"%s" % (1,) | "%i" % 5 | "%#x" % 255 | "%q" % 1 | "%" % 1 | "%.3d" % 5
floats | floats | join(" ") | floats | map("int") | list | 1e100 | 100000000000000000000.0 | 1.0 | 1e-7 | 0.1 + 0.2 | 1/3*3 | 2.0 ** 70 | 1e308 * 10 | -1e308 * 10 | 5 // 0.3 | -5 // 0.3
lm | d | ed | el | (1,) | ((1, 2), [3]) | {"a": 'it\'s', "b": "q\"", "c": 'both\'"'} | [u] | ["\n\t\\ \x00 \x7f é 🌧 \u200b \ud7ff"] | [n, t, f, i] | {1: 2, n: 3, t: 4, 2.5: 5, (1, 2): 6} | {1: "a", true: "b", 1.0: "c"}
[undefinedvar] | big | [big] | big | tojson | big == big | big + 1 | i | string | n | string | undefinedvar | undefinedvar.x | undefinedvar["x"] | undefinedvar() | undefinedvar[1:] | undefinedvar ~ "x" | undefinedvar == undefinedvar2
undefinedvar is defined | undefinedvar | default("x") | undefinedvar | default | n | default("x") | n | default("x", true) | e | d("x", boolean=true) | d.zz | default("no") | undefinedvar | length | undefinedvar | list | undefinedvar | upper | undefinedvar | int
undefinedvar | tojson | undefinedvar in l | l in undefinedvar | 1 in undefinedvar | not undefinedvar | undefinedvar < 1 | undefinedvar and 1 | undefinedvar | join | undefinedvar | first | undefinedvar | last | undefinedvar | items | list | undefinedvar | string | -undefinedvar
i is number | t is number | f is integer | i is integer | t is integer | f is float | s is string | s is sequence | d is sequence | d is mapping | l is mapping | l is iterable | i is iterable | s is iterable | d is iterable | n is none
t is true | 1 is true | false is false | t is boolean | i is odd | i is even | i is divisibleby 7 | i is divisibleby(5) | i is eq 42 | i is equalto(42) | i is == 42 | i is sameas 42 | n is sameas none | l is sameas l | l is sameas [3, 1, 2] | i is ne 1 | i is gt 1 | i is lt 1
i is ge 42 | i is le 41 | 1 is in l | 1 is not in l | s is upper | "AB" is upper | "ab" is lower | range is callable | s.upper is callable | i is callable | "upper" is filter | "zz" is filter | "odd" is test | undefinedvar is callable | undefinedvar is iterable | undefinedvar is string | undefinedvar is none
s is string and i is number | i is not number | not i is number | s is defined and not n is defined | i is odd or i is even | s is nosuchtest | i | nosuchfilter | f is odd | s is odd | n is lower | "a" is in s | i is number is number | undefinedvar is sequence | undefinedvar is mapping | d.keys() is sequence | d.items() is iterable
s | upper | s | lower | "hello wORLD-foo (bar) it's" | title | "a b" | title | u | title | s | capitalize | "ABC" | capitalize | ws | trim | "xxaxx" | trim("x") | n | trim | i | trim | s | length | l | count | d | length | i | length | s | replace("l", "L", 1) | i | replace(4, 5) | s | reverse | l | reverse | list
s | first | s | last | l | first | l | last | el | first | el | last | d | first | d | last | l | sort | l | sort(reverse=true) | ls | sort | ls | sort(case_sensitive=true) | ls | sort(true) | lm | sort | us | sort(attribute="name") | map(attribute="name") | list | us | sort(attribute="age,name") | map(attribute="name") | join(",")
us | sort(attribute="age", reverse=true) | map(attribute="name") | join(",") | s | sort | d | sort | (3, 1) | sort | l | min | l | max | ls | min | ls | max | ls | max(case_sensitive=true) | el | max | us | min(attribute="age") | us | max(attribute="name") | l | sum | us | sum(attribute="age") | us | sum("age", 5) | el | sum | ls | sum | floats | sum
ls | unique | list | ls | unique(case_sensitive=true) | list | us | unique(attribute="age") | map(attribute="name") | list | [1, 1.0, true, "1"] | unique | list | l | join | l | join(", ") | us | join(", ", attribute="name") | us | join(attribute="name") | lm | join("-") | s | join("-") | d | join | i | join
us | map(attribute="name") | list | us | map(attribute="tags") | list | us | map(attribute="tags", default=0) | list | us | map(attribute="tags.0") | list | us | map(attribute="tags.0", default="none") | list | ls | map("upper") | list | ls | map("replace", "b", "X") | join | l | map("string") | join | ls | map("nosuch") | list | el | map("nosuch") | list | ls | map | list | n | map("upper") | list | ls | map("default", "x") | list
l | select("odd") | list | l | select | list | lm | select | list | l | reject("odd") | list | l | select("gt", 1) | list | l | select(">", 1) | list | l | select("in", [1, 2]) | list | us | selectattr("tags") | list | length | us | selectattr("age", "eq", 30) | map(attribute="name") | list | us | rejectattr("age", "equalto", 30) | map(attribute="name") | list | us | selectattr("tags", "defined") | list | length
us | selectattr("zz", "undefined") | list | length | us | selectattr | list | us | rejectattr("tags") | map(attribute="name") | list | us | selectattr("name", "nosuch") | list | us | selectattr("age", "gt", 26) | list | length | l | select("divisibleby", 3) | list | n | selectattr("x") | list | i | select | list | us | groupby("age") | us | groupby("age") | map(attribute="grouper") | list | us | groupby("age") | map(attribute="list") | map("length") | list
us | groupby("nope", default="z") | map("first") | list | ls | groupby(0) | map("first") | list | us | groupby("name") | map("first") | list | d | dictsort | d | dictsort(true) | {"b": 1, "A": 3} | dictsort(by="value") | {"b": 1, "A": 3} | dictsort(reverse=true) | d | dictsort(by="zz") | {"b": 1, "A": "x"} | dictsort(false, "value") | l | dictsort | d | items | list | l | items | list | ed | items | list
[1,2,3,4,5] | batch(2) | list | [1,2,3,4,5] | batch(2, 0) | list | [1,2,3,4,5,6,7] | slice(3) | list | [1,2,3,4,5,6,7] | slice(3, "x") | list | el | batch(2) | list | el | slice(2) | list | l | slice(0) | list | [1,2,3] | batch(0) | list | [1,2,3] | batch(0,9) | list | d | tojson | lm | tojson | u | tojson | u | tojson(ensure_ascii=true) | d | tojson(indent=2) | d | tojson(indent=0) | lm | tojson(indent=4) | el | tojson(indent=2) | ed | tojson(indent=2)
d | tojson(separators=(",", ":")) | d | tojson(sort_keys=true) | d | tojson(indent="\t") | {1: 2, n: 3, t: 4, 2.5: 5} | tojson | {(1,): 1} | tojson | (1, 2) | tojson | "\x00\x1f\x7f\"\\/\b\f\n\r\t\u2028" | tojson | "🌧\x7f" | tojson(true) | floats | tojson | n | tojson | html | tojson | range(3) | tojson | d.keys() | tojson | 1e400 | tojson | {"b": 1, "a": 2} | tojson(sort_keys=true, indent=1) | {"a": 1, 2: 1} | tojson(sort_keys=true) | [[], {}, [[]]] | tojson(indent=1)
"42" | int | "4.7" | int | "x" | int | "x" | int(-1) | "0x1f" | int(base=16) | "1f" | int(0, 16) | " 42 " | int | "1_000" | int | "1__0" | int | "-5" | int | f | int | -2.7 | int | n | int | t | int | l | int | "1e3" | int | "inf" | int | "nan" | int(3) | "" | int | "0b11" | int(base=2) | "0x1f" | int(base=0) | "12" | int(base=3) | "z" | int(base=36)
"4.5" | float | "x" | float | "x" | float(1.5) | i | float | n | float | "inf" | float | "-Infinity" | float | "nan" | float | " 1.5 " | float | "1_0.5" | float | "0x10" | float | "1e5" | float | "." | float | t | float | l | float | f | round | 2.5 | round | 3.5 | round | 2.675 | round(2) | 1234.5 | round(-2) | i | round | i | round(2) | 15 | round(-1) | 25 | round(-1) | -15 | round(-1)
2.4 | round(method="ceil") | 2.6 | round(0, "floor") | 2.449 | round(1, "ceil") | 42.55 | round(1, "floor") | i | round(1, "floor") | s | round | 2.5 | round(method="x") | -2.5 | round | 0.5 | round | 1e20 | round | neg | abs | -2.5 | abs | s | abs | t | abs | "a%s" | format("b") | "%(x)s" | format(x=1) | "%s-%s" | format(1, 2) | "%s" | format(1, x=2)
multi | indent | multi | indent(2) | multi | indent(2, true) | multi | indent(2, blank=true) | multi | indent("> ") | e | indent | i | indent | "a\n" | indent | "foo bar baz qux" | truncate(9) | "foo bar baz qux" | truncate(9, true) | "foo bar baz qux" | truncate(11) | "foo bar baz qux" | truncate(11, false, "...", 0) | s | truncate(2) | "foo bar baz qux" | truncate(5, end="") | "foobarbazqux" | truncate(5, leeway=0) | u | truncate(5, leeway=0)
s | wordcount | "a_b c-d 1 é" | wordcount | e | wordcount | "x" | center(5) ~ "|" | "x" | center ~ "|" | html | escape | html | e | e | html | safe | html | forceescape | html | striptags | i | escape | n | e | html | escape + "<" | "<" ~ (html | escape) | "a b&c/ü?" | urlencode | {"a b": "c/d", "é": 1} | urlencode | [("a", 1)] | urlencode | i | urlencode | {"class": "x<y", "id": none, "n": 1} | xmlattr | {"a b": 1} | xmlattr | {} | xmlattr | {"a": 1} | xmlattr(false)
1000 | filesizeformat | 1 | filesizeformat | 999 | filesizeformat | 1024 | filesizeformat(true) | 123456789 | filesizeformat | "1500" | filesizeformat | 1e30 | filesizeformat | range(5) | range(5) | list | range(2, 8, 3) | list | range(5, 0, -2) | list | range(3)[1] | range(3)[-1] | range(3)[5] | range(3) | length | range(0) | list | range(1, 2, 0) | range(100001) | range(1.5) | 3 in range(5) | range(5) | sum | range(3) | join | range(10)[2:4] | list
dict(a=1, b=2) | dict([("a", 1), ["b", 2]]) | dict({"x": 1}, y=2) | dict(1) | namespace(a=1) | namespace(a=1).a | namespace().x | namespace({"q": 2}).q | [namespace(a=1)] | s.nosuch | s.nosuch() | s.__class__ | s["__class__"] | s.__class__.__mro__ | "".__class__ is defined | l.append | l.append(1) | d.pop("b") | d.update({}) | d.setdefault | l.sort() | l.pop is defined | d.clear() | l.count(1) | l.index(2) | l.index(99) | (1, 2).index(2) | (1, 1).count(1) | l.copy()
us | attr("x") | s | attr("upper") is callable | d | attr("b") | d | attr("get") is callable | {"a": 1}.a | {"get": 1}.get is callable | {"get": 1}["get"] | [1, 2].__len__ | raise_exception("no") | cycler(1, 2).next() | cycler(1, 2).current | cycler() | joiner()() | joiner("x") is callable | lipsum is undefined | s.upper | length | s.upper(1) | upper(s) | s() | i() | f.is_integer() | 3.0.is_integer() | 5.bit_length() | i.bit_length()
[1, 2,] | (1, 2,) | {"a": 1,} | {"a": 1}["a"] | {} | [] | [[1], [2]][1][0] | "a"[0][0] | {"a": [1, {"b": 2}]}.a[1].b | d["a"].x | [1, 2, 3][-2:] | [1, 2, 3][:2][0] | (1, 2, 3)[1:] | s[i:] | s[n:3] | s["a":] | l[1.0] | l[t] | d[l] | d[n] | i[0] | n.x | n["x"] | n[0] | t.x | f["x"] is defined | i.real | l[1, 2] | {}[1, 2] | s[0:n]
"\x41\u00e9\U0001F327\101\q\'" | 'a\
b' | "a\\nb" | "\N{DASH}" | "\u12" | s.split(",")[0] | s.split(", ") | last | s | upper | lower | -s | length | -1 | abs | 1 + 2 | string ~ 3 | 2 * 3 | float | not s | length | s | replace("H", "J") | length > 5 | l | first + l | last | s[0] | lower | (s | lower).strip() | s | lower | trim | l | map("abs") | sum / 2
1 == 1 and 2 == 2 | 1 + 1 == 2 | not 1 == 2 | 1 in [1] and 2 in [2] | 1 not in [1] or t | 5 // 2 * 2 | 2 + 3 * 4 | (2 + 3) * 4 | 10 - 4 - 3 | 100 / 10 / 2 | 2 ~ 3 + 1 | 1 + 2 ~ 3 | "a" ~ 1 + 1 | 7 % 4 * 2 | 1 - -1 | 1 if 0 else 2 ~ 3 | [x for x in l] | lambda x: 1 | a = 1 | 1 = 1 | i++ | `x` | i ? 1 : 2 | i && t | s $ | . | 1.. | |upper | s| | s|upper( | (1 | [1 | {1} | {1: } | {"a" 1}
s.upper().lower()[0:3] | s.upper | string is string | caller is defined | loop is defined | kwargs is defined | varargs is defined | self is defined | true ~ True | none ~ None | false | False | null | NULL | nil | "a" in ["a"] | (1, 2)[0] | ((1))| 1.5.x | "a".upper() if t | d.items() | list | length | d.items() | first | d.values() | list | d.keys() | first | d | list | s | list | i | list | t | list | n | list | u | list
strftime_now("%Y-%m-%d") | strftime_now("") | strftime_now("%%d %H") | strftime_now("x%Zy%zz") | strftime_now(1) | strftime_now("%B %A %j %-d %b") | strftime_now() | dict | string | length > 3 | "%s" | format | s | batch(5) | map("join") | list | l | batch(2) | map("first") | list | s | select("in", "lo") | join | (l | map("string") | list) == ["3", "1", "2"] | l | map("string") == 1 | l | map("string") | length | l | map("string") | first | (l | map("string"))[0] is defined | l | map("string") | last
[] + [] == [] | {"a": {"b": {}}} | (()) | [()] | ("a",) | ("a", "b") | tojson | "a" * 3 ~ "b" | l is not sameas l | "1" == 1 | 1.0 is integer | 1 is float | t is integer | big is integer | big is number | "x" is boolean | s | select | list | length | us[0]["name"] | us[0].name[0] | us[-1].tags | us[0].tags[0] | us[1].tags is defined | us[1].tags | default([]) | us | map("items") | map("list") | list | length | us | map(attribute="name", default="x", foo=1) | list
"abc" | map("upper") | join | "abc" | reverse | upper | "a,b" | replace(",", "\n") | 'a' in 'abc' in ['abc'] | 1 < 2 == 2 | not not t | t is not none | n is not defined | "é" | length | "é" | urlencode | "é".encode() | s.translate({}) | "a".join | string is string | "".join([]) | "".join([1]) | 0.1 | 1e5 | 1E5 | 12e-1 | 1.e5 | .5 | 5. | 0xg | 0b2 | 1__0 | 1_0 | 0_0 | 00 | 01
"""

# Whole templates: whitespace, statements, scopes.
TEMPLATES = r"""
a
  {% if t %}
  b
  {% endif %}
c
=====
a {%- if t -%} b {%- endif -%} c
=====
a {%+ if t +%} b {%+ endif +%}
c
=====
  {#- comment -#}  x {# a #}
y
  {# alone #}
z
=====
{% raw %}{{ x }} {% if %}{% endraw %} after
=====
{%- raw -%}  {{ x }}  {%- endraw -%}  after
=====
  {% raw %}
 a
  {% endraw %}
b
=====
{{ i }}
{{- i }}
{{ i -}}
 x
{{+ i }}
=====
x   {{ i }}   
   {{- f -}}   
y
=====
	{% if t %}tab{% endif %}	
end
=====
a{% if t %} b{% endif %}

c

=====
{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}
=====
{% for x in l -%}
  {{ x }}
{%- endfor %}
=====
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
=====
{% for x in el %}{{ x }}{% else %}none{% endfor %}
=====
{% for x in l %}{% break %}{% else %}none{% endfor %}
=====
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% else %}none{% endfor %}
=====
{% for x in [1] %}{% continue %}{% else %}none{% endfor %}
=====
{% for x in range(10) if x is odd %}{{ x }}:{{ loop.length }}{% if loop.last %}!{% endif %} {% endfor %}
=====
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}
=====
{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}
=====
{% for a, (b, c) in [(1, (2, 3)), (4, [5, 6])] %}{{ a }}{{ b }}{{ c }};{% endfor %}
=====
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
=====
{% for a, b in [1] %}{{ a }}{% endfor %}
=====
{% for x in 5 %}{% endfor %}
=====
{% for x in none %}{% endfor %}
=====
{% for x in undefinedvar %}x{% else %}empty{% endfor %}
=====
{% for c in "aü🌧" %}[{{ c }}]{% endfor %}
=====
{% for n in tree recursive %}{{ n.v }}@{{ loop.depth }}{% if n.c %}({{ loop(n.c) }}){% endif %}{% endfor %}
=====
{% for x in l %}{{ loop(l) }}{% endfor %}
=====
{% for x in [1,1,2,2,1] %}{% if loop.changed(x) %}{{ x }}{% endif %}{{ loop.cycle("a", "b") }} {% endfor %}
=====
{% for x in [1,2] %}{% for y in [3,4] %}{{ loop.index }}{{ x }}{{ y }} {% endfor %}{{ loop.index }}{% endfor %}
=====
{% for x in [1,2] %}{% set outer = loop %}{% for y in [3] %}{{ outer.index }}{{ loop.index }}{% endfor %}{% endfor %}
=====
{{ loop }}{% for x in [1] %}{{ loop }}{% endfor %}
=====
{% set x = 1 %}{% for y in [1,2] %}{{ x }}{% set x = x + y %}{{ x }} {% endfor %}{{ x }}
=====
{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}
=====
{% if e %}{% set x = 2 %}{% endif %}{{ x is defined }}{{ x }}
=====
{% if e %}{% set s = 2 %}{% endif %}{{ s }}
=====
{% for y in [1] %}{{ s }}{% set s = 5 %}{{ s }}{% endfor %}{{ s }}
=====
{% for y in [1] %}{{ i }}{% endfor %}{% set i = 5 %}{{ i }}
=====
{% set ns = namespace(x=1, found=false) %}{% for y in l %}{% set ns.x = ns.x + y %}{% if y == 1 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.x }}{{ ns.found }}{{ ns.nope is defined }}{{ ns }}
=====
{% set d.b = 1 %}
=====
{% set nope.b = 1 %}
=====
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}
=====
{% set a = 1, 2 %}{{ a }}{% set (b, c) = a %}{{ b }}{{ c }}
=====
{% set a, b = 1 %}
=====
{% set 1 = 2 %}
=====
{% set true = 2 %}
=====
{% set x %}a{{ i }}
  b{% endset %}[{{ x }}]{{ x|length }}
=====
{% set x | upper | trim %} abc {% endset %}[{{ x }}]
=====
{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y is defined }}
=====
{% set ns = namespace() %}{% set ns.t %}hi{% endset %}{{ ns.t }}
=====
{% filter upper %}abc {{ s }}{% endfilter %}{% filter replace("a", "b") | upper %}aaa{% endfilter %}
=====
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z is defined }}
=====
{% with a = i, b = a %}{{ b }}{% endwith %}
=====
{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=9) }}{{ m(b=5, a=4) }}{{ m() }}
=====
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
=====
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=1) }}
=====
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=1) }}
=====
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}{{ m(*[1, 2], **{"y": 1}) }}{{ m(1, *[5], k=2, **{"z": 3}) }}
=====
{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}body {{ i }}{% endcall %}
=====
{% macro m() %}{% for x in l %}{{ caller(x, k=1) }}{% endfor %}{% endmacro %}{% call(x, k) m() %}<{{ x }}{{ k }}>{% endcall %}
=====
{% macro m() %}x{% endmacro %}{% call m() %}body{% endcall %}
=====
{% macro m() %}{{ caller is defined }}{{ caller() }}{% endmacro %}{{ m() }}
=====
{% macro m(caller=none) %}{{ caller }}{% endmacro %}{{ m() }}
=====
{% macro m(caller) %}{{ caller }}{% endmacro %}{{ m() }}
=====
{% macro m(a, b=1, c) %}{% endmacro %}
=====
{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}{{ f.name }}{{ f.arguments }}{{ f }}
=====
{% macro f() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ f() }}{% set x = 2 %}{{ f() }}
=====
{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% set i = 2 %}{{ f() }}
=====
{% macro f() %}{% set q = 1 %}{{ q }}{% endmacro %}{{ f() }}{{ q is defined }}
=====
{% for x in l %}{% macro f() %}{{ x }}{% endmacro %}{{ f() }}{% endfor %}
=====
{% macro f() %}a{% endmacro %}{{ f() | upper }}{{ f() ~ "b" }}{{ f() == "a" }}{{ f() is string }}
=====
{% macro f() -%}
   a
{%- endmacro %}[{{ f() }}]
=====
{% macro f(x) %}{% for y in x %}{% if y %}{% break %}{% endif %}{{ y }}{% endfor %}{% endmacro %}{{ f([0, 1, 2]) }}
=====
{% if i > 50 %}a{% elif i > 40 %}b{% elif i > 30 %}c{% else %}d{% endif %}
=====
{% if undefinedvar %}a{% elif undefinedvar.x is defined %}b{% endif %}
=====
{% if undefinedvar.x.y %}a{% endif %}
=====
{% if t: %}x{% endif %}
=====
{% if 1, %}x{% endif %}
=====
{% if t if e else f %}x{% endif %}
=====
{% generation %}a{% set gg = 1 %}{{ gg }}{% endgeneration %}{{ gg is defined }}
=====
{% block a %}x{{ i }}{% endblock %}{% block b scoped %}y{% endblock b %}
=====
{% for x in l %}{% block a %}[{{ x }}]{% endblock %}{% endfor %}
=====
{% for x in l %}{% block a scoped %}[{{ x }}]{% endblock %}{% endfor %}
=====
{% set q = 1 %}{% block a %}{{ q }}{% set q = 2 %}{% endblock %}{{ q }}
=====
{% autoescape false %}{{ html }}{% endautoescape %}
=====
{% print i, %}{% print i %}
=====
{% include "x" %}
=====
{% extends "x" %}
=====
{% import "x" as y %}
=====
{% from "x" import y %}
=====
{% do l.append(1) %}
=====
{% nosuch %}
=====
{% break %}
=====
{% for x in l %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}
=====
{% for x in l %}{% set y %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endset %}{{ y }}{% endfor %}
=====
{% if %}{% endif %}
=====
{% if t %}
=====
{% endif %}
=====
{% for x %}{% endfor %}
=====
{% for x in l %}{% endif %}
=====
{% for loop in l %}{% endfor %}
=====
{{ }}
=====
{{ i
=====
{{ i }
=====
{% raw %}
=====
{# open
=====
{{ "a }}
=====
{{ "}}" }}{{ {"a": {"b": 1}}}}{{ '%}' }}
=====
{ {% if t %}}{% endif %} } {{ "{{" }} {{ '{%' }}
=====
{{ (1 }}
=====
{{ 1) }}
=====
{{ [1) }}
=====
{% set x = {"a": 1} %}{{ x.a }}{% set y = [1, 2][0] %}{{ y }}
=====
{% set x = i if t %}{{ x }}{% set x = i if e %}{{ x }}
=====
{% set x = cycler("a", "b") %}{{ x.next() }}{{ x.next() }}{{ x.next() }}{{ x.current }}{{ x.reset() }}{{ x.next() }}
=====
{% set j = joiner("|") %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}
=====
{% set g = l | map("string") %}{{ g | list }}{{ g | list }}{% if g %}true{% endif %}
=====
{% set g = l | select("odd") %}{% for x in g %}{{ x }}{% break %}{% endfor %}{% for x in g %}{{ x }}{% endfor %}
=====
{% set g = ls | map("nosuch") %}ok
=====
{% if e %}{{ x | nosuch }}{% endif %}ok
=====
{% for x in el %}{{ x | nosuch }}{% endfor %}ok
=====
{% if e %}{% for x in l %}{{ x | nosuch }}{% endfor %}{% endif %}ok
=====
{{ x | nosuch if e else "ok" }}
=====
{% if e is nosuch %}{% endif %}ok
=====
{% for x in l if x is nosuch %}{% endfor %}ok
=====
{% set messages = us[1:] %}{{ messages | length }}{% for m in messages %}{{ m.name }}{{ m["age"] }}{{ m.tags is defined }}{% endfor %}
=====
{%- for m in us -%}
    {%- if loop.first and m.name != 'x' -%}
        {{- 'first ' -}}
    {%- endif %}
    {{- m['name'] | capitalize + ': ' + m.age | string + '\n' }}
{%- endfor -%}
{%- if add_generation_prompt %}x{% endif %}
=====
line1
{%- set x = 1 %}

line2 {{ x }}
{%- if x == 1 %}

  indented
{%- endif %}
=====
{% set x = 5 -%}

after
=====
{{ '\n' }}a{{ "\n" }}
=====
{{ 'a' 'b'
 'c' }}
=====
{#
 multi
#}
a
=====
{{ i }}{# c #}{{ i }}{#- d -#} {{ i }}
=====
{% if t %}{# c #}
x{% endif %}
=====
{{
  {
    "a": 1,
    "b": [1,
          2]
  } | tojson
}}
=====
{%for x in l%}{{x}}{%endfor%}{%-if t-%} a {%-endif-%} b
=====
{% for x in l %}{{ x }}{% endfor %}{{ x is defined }}
=====
{% set x = 1 %}{% for x in l %}{{ x }}{% endfor %}{{ x }}
=====
{% for x in l if x > y %}{% endfor %}
=====
{% set y = 1 %}{% for x in l if x > y %}{{ x }}{{ loop.index }}{% endfor %}
=====
{% for x in l if loop.first %}{% endfor %}
=====
{% set ns = namespace(stop=false) %}{% for x in [1,2,3] if not ns.stop %}{{ x }}{% if x == 2 %}{% set ns.stop = true %}{% endif %}{% endfor %}
=====
{% set ns = namespace(stop=false) %}{% for x in [1,2,3] if not ns.stop %}{{ x }}{{ loop.last }}{% if x == 2 %}{% set ns.stop = true %}{% endif %}{% endfor %}
=====
{% macro outer() %}{% macro inner() %}in{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}
=====
{{ caller }}{{ varargs }}{{ kwargs }}
=====
{{ range(3) | list }}{% set range = 5 %}{{ range }}
=====
{% for x in range(3) %}{% set range = 5 %}{{ range }}{% endfor %}
=====
{% set i = 1 %}{{ i }}{% set i = i + 1 %}{{ i }}
=====
{% for y in [1] %}{{ i }}{% endfor %}{% if e %}{% set i = 5 %}{% endif %}{{ i }}
=====
{% for y in [1] %}{{ i }}{% endfor %}{% if e %}{% set i = 5 %}{% else %}{% set i = 6 %}{% endif %}{{ i }}
=====
{% for y in [1] %}{{ i }}{% endfor %}{% if e %}{% set i = 5 %}{% elif t %}{% set i = 7 %}{% else %}{% set i = 6 %}{% endif %}{{ i }}
=====
{% for y in [1] %}{{ i }}{% endfor %}{% if i %}{% set i = 5 %}{% elif t %}{% set i = 7 %}{% else %}{% set i = 6 %}{% endif %}{{ i }}
=====
{% for y in [1] %}{% for z in [1] %}{{ i }}{% endfor %}{% set i = 5 %}{{ i }}{% endfor %}{{ i }}
=====
{% for y in [1] %}{% for z in [1] %}{{ i }}{% endfor %}{% set i = 5 %}{{ i }}{% endfor %}
=====
{% for y in [1] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% set i = 5 %}{{ m() }}{% endfor %}
=====
{% with %}{% for z in [1] %}{{ i }}{% endfor %}{% set i = 5 %}{{ i }}{% endwith %}{{ i }}
=====
{% macro m(a=i) %}{% for z in [1] %}{{ i }}{{ s }}{% endfor %}{% set i = 5 %}{% set s = 1 %}{{ i }}{% endmacro %}{{ m() }}
=====
{% set x %}{% for z in [1] %}{{ i }}{% endfor %}{% set i = 5 %}{% endset %}{{ x }}
=====
{% for z in [1] %}{{ i }}{% endfor %}{% set i %}a{{ i }}{% endset %}{{ i }}
=====
{% for z in [1] %}{{ i }}{{ f }}{% endfor %}{% set i, f = 1, i %}{{ i }}{{ f }}
=====
{% macro i() %}x{% endmacro %}{{ i() }}
=====
{% for z in [1] %}{{ i }}{% endfor %}{% macro i() %}x{% endmacro %}{{ i() }}
=====
{% for z in [1] %}{{ i }}{% else %}{% endfor %}{% for i in l %}{{ i }}{% endfor %}{{ i }}
=====
{% if t %}{% for z in [1] %}{{ i }}{% endfor %}{% set i = 4 %}{{ i }}{% endif %}{{ i }}
=====
{% set i = 3 %}{% block b %}{{ i }}{% for z in [1] %}{{ i }}{% endfor %}{% set i = 5 %}{% endblock %}{{ i }}
=====
{% block b %}{% for z in [1] %}{{ i }}{% endfor %}{% set i = 5 %}{{ i }}{% endblock %}{{ i }}
=====
{% raw %}
{#
=====
{#
=====
{% set g = namespace(a=1) %}{% for x in l %}{% set g.a = g.a + x %}{% endfor %}{{ g.a }}{% set g = 1 %}
=====
{% print %}{% print 1, 2 %}
=====
{{ " a b c ".rsplit(none, 1) }}{{ range(10)[::-2] }}{{ range(5, 0, -1)[1:3] }}
=====
{% call upper("x") %}{% endcall %}
=====
{% call 5 %}{% endcall %}
=====
{% filter nosuch %}{% endfilter %}
=====
{{ us | map(attribute="name") | map("upper") | join(", ") }}{{ us | selectattr("age", ">=", 30) | map(attribute="name") | list | tojson }}
=====
{% for g in us | groupby("age") %}{{ g.grouper }}:{{ g.list | map(attribute="name") | join(",") }};{{ g[0] }}{% endfor %}{% for a, b in us | groupby("age") %}{{ a }}{{ b | length }}{% endfor %}
=====
{{ u | upper }}{{ "straße" | title }}{{ u[1:3] }}{{ u | reverse }}{{ u | length }}{{ u | list | length }}
=====
{% set x = "a" %}{% set x = x ~ "b" %}{% set x = x + "c" %}{{ x }}{% if x == "abc" and x[0] == "a" and "b" in x %}!{% endif %}
=====
{{ "a\r\nb" | length }}a
b{{ "c
d" | length }}
=====
{{ 1 }}
{% if t %}
{{ 2 }}
{% endif %}
{{ 3 }}
=====
{%- macro a() %}x{% endmacro %}
{%- macro b() %}{{ a() }}{{ a() }}{% endmacro %}
{{ b() }}
=====
{% for m in [{"role": "user", "content": "x"}, {"role": "assistant"}] %}{{ '<' ~ m.role ~ '>' }}{{ m.content or '' }}{{ m['content'] | default('none') }}{{ m.get('content', '') }}{% endfor %}
=====
{{ "%s is %d years" | format(us[0].name, us[0].age) }}{{ d | length if d is mapping else 0 }}{{ (l | sort)[0] }}{{ l | sort | first }}
"""


# Where tenon does less than Jinja2 on purpose.
KNOWN = {
    '{{ floats | map("int") | list }}': "integers beyond 64 bits are carried, not computed with",
    "{{ big + 1 }}": "integers beyond 64 bits are carried, not computed with",
    "{{ lipsum is undefined }}": "no random text",
    "{{ i.real }}": "numbers have no attributes",
    "{{ self is defined }}": "no template object",
    '{{ "é".encode() }}': "no bytes",
    "{{ s.translate({}) }}": "no translation tables",
}


def snippets():
    for line in EXPRESSIONS.strip("\n").split("\n"):
        # Cells are split at " | " whatever stands there: a filter's name alone is a snippet too, and every run of
        # cells joined by "|" is a filter chain; so each line gives many.
        cells = line.split(" | ")
        for a, cell in enumerate(cells):
            yield cell
            for b in range(a + 2, min(a + 4, len(cells)) + 1):
                yield " | ".join(cells[a:b])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderer", default=os.path.join(template_diff.HERE, "../../build/tests/render_templates"))
    args = parser.parse_args()
    renderer = template_diff.Renderer(args.renderer)
    sources = ["{{ " + s + " }}" for s in dict.fromkeys(snippets())] + TEMPLATES.strip("\n").split("\n=====\n")
    bad = refused = known = 0
    with tempfile.TemporaryDirectory() as scratch:
        template, variables = os.path.join(scratch, "t.jinja"), os.path.join(scratch, "v.json")
        with open(variables, "w", encoding="utf-8") as f:
            json.dump(VARIABLES, f)
        for source in sources:
            with open(template, "w", encoding="utf-8", newline="") as f:
                f.write(source)
            want, why_want = template_jinja.render(source, VARIABLES)
            got, why_got = renderer.run(template, variables)
            refused += want is None
            if source in KNOWN or " at 0x" in (want or "") or "<class" in (want or ""):
                known += want != got
            elif want != got:
                bad += 1
                template_diff.show(repr(source), want, got, why_want, why_got)
    renderer.close()
    print(f"{len(sources) - bad - known} of {len(sources)} snippets equal ({refused} refused by Jinja2, {known} known "
          "differences)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
