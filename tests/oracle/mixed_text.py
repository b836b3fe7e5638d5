"""A deterministic text of any size that is hard on tokenizers.

mixed_text(n_bytes, seed) strings together sentences of two dozen languages, code, emoji,
combining marks, odd white space, numbers, control characters and over-long words, picked
by a generator of its own (splitmix64) so that every Python version makes the same bytes.
Random characters come from blocks that have been fully assigned for long, so that
libraries of different Unicode versions agree on their categories.
"""

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, doesn't it? They're sure we'd say it's fine; I'll bet you've 'seen' it.",
    "HE'S SHOUTING: WE'LL SEE, THEY'VE GONE, I'M NOT, YOU'RE NOT, IT'D WORK! O'Brien's rock'n'roll ’tis ’s.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Straße, Maß, ÄÖÜ äöü ß.",
    "Dès Noël, où un zéphyr haï me vêt de glaçons würmiens, je dîne d’exquis rôtis de bœuf à l’aÿ d’âge mûr & cætera !",
    "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío; añoraba a su querido cachorro. ¿Qué? ¡Sí!",
    "À noite, vovô Kowalsky vê o ímã cair no pé do pinguim queixoso e vovó põe açúcar no chá de tâmaras do jabuti feliz.",
    "Quel vituperabile xenofobo zelante assaggia il whisky ed esclama: alleluja! Perché? È così.",
    "Pchnąć w tę łódź jeża lub ośm skrzyń fig. Zażółć gęślą jaźń.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Pijamalı hasta yağız şoföre çabucak güvendi. İstanbul'da ıslak ışık.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. В 2024 году — 150 рублей.",
    "Жебракують філософи при ґанку церкви в Гадячі, ще й шатро їхнє п’яне знаємо.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Τι κάνεις;",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה. שָׁלוֹם עֲלֵיכֶם",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر. السَّلَامُ عَلَيْكُمْ ١٢٣٤٥",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश। नमस्ते १२३ क्ष त्र ज्ञ",
    "আমি বাংলায় গান গাই। কৃষ্ণচূড়া ফুটেছে ৪৫৬",
    "யாமறிந்த மொழிகளிலே தமிழ்மொழி போல் இனிதாவது எங்கும் காணோம்",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ๑๒๓",
    "កាន់តែពិសេសអាចខលចេញ ភាសាខ្មែរ",
    "Trăm năm trong cõi người ta, chữ tài chữ mệnh khéo là ghét nhau. Đường phố ướt.",
    "視野無限廣,窗外有藍天。天地玄黃,宇宙洪荒。“你好”,他说:今天3月5日,气温12度。",
    "いろはにほへと ちりぬるを。カタカナとひらがな、漢字が混ざる文章です。ﾊﾝｶｸ ＡＢＣ１２３",
    "다람쥐 헌 쳇바퀴에 타고파. 키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 각힣",
    "საქართველო ლამაზი ქვეყანაა. Հայաստանը գեղեցիկ է։ አማርኛ ቋንቋ ነው።",
    "Flygande bäckasiner söka hwila på mjuka tuvor. Høj bly gom vandt fræk sexquiz på wc. Kæmi ný öxi hér.",
    "我想在apple工作1314151天～ w048 7tuijk dsdfhu ied 4 ½ months",
]

CODE = [
    "int main(void)\n{\n    for (int i = 0; i < 10; i++)\n        printf(\"%d\\n\", a[i] << 2);\n\treturn 0;\n}\n",
    "def f(x, *args, **kw):\n    \"\"\"Doc.\"\"\"\n    return [y**2 for y in x if y != 0x7fff_ffff] or {'a': 1.5e-10}\n\n\n",
    "const g = async (a) => { await fetch(`https://example.org/?q=${a?.b ?? 'none'}&n=1#top`); };\r\n",
    "<!DOCTYPE html>\n<p class=\"x y\">a&nbsp;b&#x2014;c</p>\n<!-- --><br/>\n",
    "SELECT count(*) FROM t1 LEFT JOIN t2 USING (id) WHERE name LIKE '%o''neil%' -- note\n;",
    "{\"k\": [1, -2.0, 3e8, null, true], \"s\": \"\\u00e9\\n\\\"\"}",
    "#!/bin/sh\nset -eu; for f in *.c; do echo \"$f\" | sed 's/\\.c$/.o/' >> out; done # 100%\n",
    "\\begin{equation} \\sum_{i=0}^{n} x_i^2 = \\frac{1}{2} \\end{equation}",
    "0xDEADBEEF 1,234,567.89 3.14159265358979 10^100 +49 (0)30 123456 2024-02-29T12:00:00Z 192.168.0.1 v1.2.3-rc4",
    "if(a&&b||!c){x+=1;y-=2;z*=3;}else{--w;}//////// ======== -------- ******** ........ !!!!!!!! ????",
    "func (r *Ring) Push(v int) error { r.buf[r.head%len(r.buf)] = v }\nfn main() -> Result<(), Box<dyn Error>> { let x = &'a str; }\n",
]

SYMBOLS = [
    "😀 😶‍🌫️ 👩‍👩‍👧‍👦 👋🏽 🏳️‍🌈 🇩🇪🇫🇷🇯🇵 1️⃣2️⃣ ❤️ ✅ 🚀 ☕ ©®™ 🦙.cpp",
    "e\u0301 n\u0303 A\u030a o\u0308\u0323 \u1e69 s\u0323\u0307 s\u0307\u0323 Z\u0351\u036b\u0343a\u0334\u0321l\u0337g\u0338o\u0336",
    "\u1100\u1161\u11a8 \u1112\u1175\u11c2 \u0915\u094d\u0937 \u0e33 \u0f68\u0f7c\u0f42",
    "½ ² ³ ¹ ① ⑳ Ⅷ ⅻ ㊿ ٣٤٥ १२३ １２３ 𝟙𝟚𝟛 ៣ 〇 一二三",
    "→ ≠ ∑ ∞ √2 ≈ 1.414 € £ ¥ ₽ ° § ¶ † … — – « » „ “ ” ‹ › ¿ ¡",
    "𝕳𝖊𝖑𝖑𝖔 𝓌𝑜𝓇𝓁𝒹 𐍈 𒀀 𠀀𠮷 𐐷",
    "<|im_start|>user\n<|im_end|> <|endoftext|><s></s> <fim_prefix> <|User|> [PAD32022] <repo_name>",
    "õ ÷ Á ý À ÿ ø ú þ ü ù ö û",
    "\ufeff\ufffd\u200b\u200c\u200d\u200e\u2060\u00ad\ue000\uf8ff\uffff\U0010ffff\U000e0041",
]

# Unicode white space, and U+180E and U+200B, which only look like it.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2003\u2009\u2028\u2029\u202f\u205f\u3000\u180e\u200b"
CONTROLS = "".join(map(chr, list(range(32)) + list(range(127, 160))))
ALNUM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
BLOCKS = [  # first and last code point
    (0x21, 0x7e), (0xa1, 0xff), (0x100, 0x17f), (0x300, 0x36f), (0x391, 0x3a1), (0x400, 0x45f),
    (0x5d0, 0x5ea), (0x621, 0x63a), (0x64b, 0x652), (0x905, 0x94d), (0xe01, 0xe3a), (0x10d0, 0x10f0),
    (0x1e00, 0x1eff), (0x2010, 0x2027), (0x2190, 0x22ff), (0x2460, 0x249b), (0x2500, 0x257f),
    (0x2800, 0x28ff), (0x3041, 0x3096), (0x30a1, 0x30fa), (0x4e00, 0x9fa5), (0xac00, 0xd7a3),
    (0xe000, 0xe0ff), (0xfe00, 0xfe0f), (0xff01, 0xff5e), (0x10000, 0x1000b), (0x1d400, 0x1d454),
    (0x1f300, 0x1f320), (0x1f600, 0x1f640), (0x20000, 0x2a6d6),
]
MASK = (1 << 64) - 1


class Rng:
    """splitmix64"""

    def __init__(self, seed):
        self.state = seed & MASK

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % n

    def pick(self, items):
        return items[self.below(len(items))]

    def length(self, log2_max):
        """Mostly short, now and then up to 2^log2_max."""
        return 1 + self.below(1 << (1 + self.below(log2_max)))

    def string(self, alphabet, log2_max):
        return "".join(self.pick(alphabet) for _ in range(self.length(log2_max)))

    def characters(self):
        first, last = self.pick(BLOCKS)
        return "".join(chr(first + self.below(last - first + 1)) for _ in range(self.length(5)))


def cut(rng, text):
    """A stretch of text that may begin or end in the middle of a word."""
    start = rng.below(len(text))
    return text[start:start + 1 + rng.below(len(text) - start)]


# (weight, maker): what a piece of the text may be.
MAKERS = [
    (30, lambda r: r.pick(SENTENCES)),
    (14, lambda r: cut(r, r.pick(SENTENCES))),
    (14, lambda r: r.pick(CODE)),
    (8, lambda r: cut(r, r.pick(CODE))),
    (8, lambda r: r.pick(SYMBOLS)),
    (6, lambda r: cut(r, r.pick(SYMBOLS))),
    (8, lambda r: r.characters()),
    (3, lambda r: r.string(ALNUM, 6)),
    (3, lambda r: r.string("0123456789", 6)),
    (3, lambda r: r.string(PUNCTUATION, 5)),
    (2, lambda r: r.pick(PUNCTUATION) * r.length(8)),
    (2, lambda r: r.string(CONTROLS, 3)),
    (4, lambda r: r.string(SPACES, 4)),
    (3, lambda r: r.pick(" \t\n") * r.length(9)),
    (2, lambda r: "\r\n" * r.length(4)),
    (2, lambda r: "'" + r.pick(["s", "S", "t", "LL", "ve", "Re", "d", "M", "x", " s"])),
]
JOINTS = ["", " ", " ", " ", "\n", "\n\n", ", ", "  ", "\r\n", "\t"]


def overlong(rng):
    """Words and runs that a quadratic merge loop would hang on; once each per text."""
    return [
        "a" * 20000, "ab" * 5000, " " * 100000, "\n" * 3000, "=" * 5000, "7" * 5000,
        "".join(rng.pick(ALNUM[:26]) for _ in range(20000)),
        "".join(chr(0x4e00 + rng.below(0x51a5)) for _ in range(5000)),
        "".join(chr(0x430 + rng.below(32)) for _ in range(5000)),
        "x" + "\u0301" * 2000, "y" + "\u0315\u0300\u0323" * 2000, "👍🏽" * 1000, " \t" * 2000,
    ]


def mixed_text(n_bytes, seed=1):
    """A str whose UTF-8 form has n_bytes bytes, or up to 3 fewer."""
    rng = Rng(seed)
    wheel = [maker for weight, maker in MAKERS for _ in range(weight)]
    parts, size = [], 0
    long_words = overlong(rng) if n_bytes >= 500000 else []
    for word in long_words:
        parts.append(word)
        size += len(word.encode())
    while size < n_bytes:
        part = rng.pick(wheel)(rng) + rng.pick(JOINTS)
        # The long words stand among the rest, not in a row before it.
        parts.insert(len(parts) - rng.below(len(parts) + 1), part)
        size += len(part.encode())
    return "".join(parts).encode()[:n_bytes].decode("utf-8", "ignore")
