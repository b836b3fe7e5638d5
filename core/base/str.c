/* str.c - small string helpers. No locale: numbers and comparison are by bytes. Any thread.
 * Contract: str.h. */
#include "core/base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "core/base/num.h"

bool tn_str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool tn_str_ends(const char *text, const char *suffix)
{
    size_t n = strlen(text);
    size_t m = strlen(suffix);
    return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

size_t tn_str_shown(const char *text, size_t n)
{
    utf8proc_int32_t cp;
    utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &cp);
    if (bytes <= 0)
        return 0;
    const utf8proc_category_t category = utf8proc_category(cp);
    const bool obeyed = category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
    const bool turns = cp == 0x61c || cp == 0x200e || cp == 0x200f || (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
    return obeyed || turns ? 0 : (size_t)bytes;
}

void tn_str_clean(char *text, size_t n)
{
    for (size_t i = 0, bytes; i < n; i += bytes > 0 ? bytes : 1) {
        bytes = tn_str_shown(text + i, n - i);
        if (bytes == 0)
            text[i] = '?';
    }
}

char *tn_str_printf(const char *fmt, ...)
{
    char *text;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    return n < 0 ? NULL : text;
}

bool tn_str_u64(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || !tn_mul_u64(value, 10, &value) ||
            !tn_add_u64(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *ret = value;
    return true;
}

bool tn_str_bool(const char *text, bool *ret)
{
    static const char *const words[2][4] = {{"no", "off", "false", "0"}, {"yes", "on", "true", "1"}};
    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 4; i++) {
            if (strcmp(text, words[value][i]) == 0) {
                *ret = value == 1;
                return true;
            }
        }
    }
    return false;
}

int32_t tn_strlist_addn(struct tn_strlist *list, const char *text, size_t size)
{
    if (list->n == list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 4;
        size_t bytes;
        if (capacity < list->capacity || !tn_mul_size(capacity, sizeof *list->items, &bytes))
            return TENON_E_RESOURCE_EXHAUSTED;
        char **items = realloc(list->items, bytes);
        if (items == NULL)
            return TENON_E_RESOURCE_EXHAUSTED;
        list->items = items;
        list->capacity = capacity;
    }
    char *copy = strndup(text, size);
    if (copy == NULL)
        return TENON_E_RESOURCE_EXHAUSTED;
    list->items[list->n++] = copy;
    return TENON_OK;
}

int32_t tn_strlist_add(struct tn_strlist *list, const char *text)
{
    return tn_strlist_addn(list, text, strlen(text));
}

static void cut_to(struct tn_strlist *list, uint32_t n)
{
    while (list->n > n)
        free(list->items[--list->n]);
}

int32_t tn_strlist_split(struct tn_strlist *list, const char *text, const char *separators)
{
    uint32_t before = list->n;
    for (;;) {
        text += strspn(text, separators);
        size_t n = strcspn(text, separators);
        if (n == 0)
            return TENON_OK;
        if (tn_strlist_addn(list, text, n) != TENON_OK) {
            cut_to(list, before);
            return TENON_E_RESOURCE_EXHAUSTED;
        }
        text += n;
    }
}

bool tn_strlist_has(const struct tn_strlist *list, const char *text)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void tn_strlist_sort(struct tn_strlist *list)
{
    if (list->n > 1)
        qsort(list->items, list->n, sizeof *list->items, by_bytes);
}

void tn_strlist_finish(struct tn_strlist *list)
{
    cut_to(list, 0);
    free(list->items);
    *list = (struct tn_strlist){0};
}
