/* pre.c - the table of splits, as the models' own tokenizers have them. Patterns are PCRE2's with UTF and UCP; `\s`
 * means Unicode white space, which split.c sees to. None of them takes more than linear time, whatever the text: that
 * is checked by a test, and what a new row must keep to. What no pattern can say is not here: kimi-k2 and
 * afmoe. Contract: pre.h. */
#include "pre.h"

#include <stdio.h>
#include <string.h>

#include "patterns.h"

#define BLOOM " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"

static const struct bpe_pre splits[] = {
    {"default", 0,
     {"[\\p{P}\\$\\+<=>\\^~\\|]+",
      GPT2,
      "\\p{N}+",
      "[0-9][0-9][0-9]"}},
    {"gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de gigachat a.x-4.0 mellum modern-bert mpt olmo "
     "jais trillion granite-docling exaone4", 0,
     {GPT2_WHOLE}},
    {"roberta-bpe jina-v1-en jina-v2-code", BPE_PRE_ADD_EOS,
     {GPT2_WHOLE}},
    {"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", 0,
     {"\\p{N}",
      GPT2_WHOLE}},
    {"falcon", 0,
     {"[\\p{P}\\$\\+<=>\\^~\\|`]+",
      GPT2_WHOLE,
      "[0-9][0-9][0-9]"}},
    {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     BPE_PRE_IGNORE_MERGES | BPE_PRE_ADD_BOS,
     {LLAMA3}},
    {"dbrx smaug-bpe chatglm-bpe", 0,
     {LLAMA3}},
    {"glm4 glm5", BPE_PRE_IGNORE_MERGES,
     {LLAMA3}},
    {"qwen2", BPE_PRE_NFC,
     {QWEN2}},
    {"deepseek-r1-qwen stablelm2 hunyuan megrez kormo f2llmv2 solar-open grok-2", 0,
     {QWEN2}},
    {"qwen35", BPE_PRE_NFC,
     {QWEN35}},
    {"minicpm5", BPE_PRE_IGNORE_MERGES,
     {"\\p{N}{1,3}",
      MINICPM5}},
    {"tekken", BPE_PRE_IGNORE_MERGES | BPE_PRE_ADD_BOS,
     {TEKKEN}},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", 0,
     {GPT4O}},
    {"tiny_aya cohere2moe", 0,
     {/* \d{1,3}(?=(?:\d{3})*\b), made linear: the look-ahead runs once per number */
      "(?<!\\d)\\d{1,3}(?=(?:\\d{3})*+\\b)|\\G(?<=\\d)\\d{3}",
      GPT4O}},
    {"deepseek-llm", 0,
     {"[\r\n]",
      "\\s?[A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}"
      "\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}"
      "\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}"
      "\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"
      "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}"
      "\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}"
      "\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}"
      "\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}"
      "\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}"
      "\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"
      "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"
      "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"
      "\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}"
      "\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}"
      "\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}]+",
      "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
      /* \s+$, made linear: tried once per run of white space */
      "(?<!\\s)\\s++$",
      CJK,
      "\\p{N}+"}},
    {"deepseek-coder", 0,
     {DEEPSEEK_CODER}},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", 0,
     {"\\p{N}{1,3}",
      "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
      "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}},
    {"bloom poro-chat gpt3-finnish", 0,
     {BLOOM}},
    {"viking", 0,
     {BLOOM,
      "\\p{N}"}},
    {"bailingmoe bailingmoe2 llada-moe", 0,
     {BAILING}},
    {"seed-coder", 0,
     {SEED_CODER}},
    {"exaone-moe", 0,
     {/* possessive here, where giving back could never help: else a long word costs a stack as long */
      APOSTROPHES "|" WORD_START
      "(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++"
      "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"superbpe", 0,
     {"\\p{N}+",
      /* (?=(\d{3})+(?!\d)) cuts before every third digit from the end of a run; made linear: a match reaches from one
       * such cut to the next, and the look-aheads run once per run of digits */
      "(?:\\G(?<=\\d)\\d{3}|\\d{3}(?=(?:\\d{3})*+(?!\\d)))(?:\\D++(?:\\d{1,2}(?=(?:\\d{3})*+(?!\\d)))?)*+"}},
    {"gemma4 granite-embed-multi-311m sarvam-moe", BPE_PRE_RAW | BPE_PRE_SPACES,
     {"[^\\n]+|[\\n]+"}},
    {"whitespace", BPE_PRE_RAW,
     {"\\S+"}},
    {"laguna", 0,
     {"[^\\n]+|[\\n]+",
      QWEN2}},
};

#define N_SPLITS (sizeof splits / sizeof splits[0])

const struct bpe_pre *bpe_pre_find(const char *name, size_t size)
{
    for (size_t i = 0; i < N_SPLITS; i++)
        for (const char *word = splits[i].names; *word != '\0';) {
            size_t length = strcspn(word, " ");
            if (length == size && memcmp(word, name, size) == 0)
                return &splits[i];
            word += length + strspn(word + length, " ");
        }
    return NULL;
}

const char *bpe_pre_names(char *out, size_t capacity)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < N_SPLITS; i++) {
        int first = (int)strcspn(splits[i].names, " "); /* one name per row says what the row is */
        if (n + (size_t)first + sizeof ", ..." > capacity)
            return out;
        n += (size_t)snprintf(out + n, capacity - n, "%s%.*s", n > 0 ? ", " : "", first, splits[i].names);
    }
    (void)snprintf(out + n, capacity - n, " ..."); /* fits: room for it was kept */
    return out;
}
