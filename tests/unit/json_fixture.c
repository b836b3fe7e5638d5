/* json_fixture.c - see json_fixture.h. */
#include "json_fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct directory d, d2;

void start(void)
{
    setup();
    memset(&d, 0, sizeof d);
    memset(&d2, 0, sizeof d2);
}

void stop(void)
{
    directory_close(&d);
    directory_close(&d2);
    teardown();
}

void file(const char *name, const char *text)
{
    directory_add(&d, name, text, strlen(text));
}

struct tenon_tokenizer_object *open_from(struct directory *from)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_tokenizer_object *tok = NULL;
    int32_t status = table->open(NULL, directory_meta(from, &meta), &from->table, &tok, &err);
    ck_assert_msg(status == 0, "open: %d %s", status, err.message);
    return tok;
}

struct tenon_tokenizer_object *open_directory(void)
{
    return open_from(&d);
}

struct tenon_tokenizer_object *open_text(const char *text)
{
    file("tokenizer.json", text);
    return open_directory();
}

void bad(const char *text, int32_t status, const char *part)
{
    struct tenon_err err = TENON_ERR_INIT;
    struct tenon_tokenizer_object *tok = NULL;
    file("tokenizer.json", text);
    ck_assert_int_eq(table->open(NULL, directory_meta(&d, &meta), &d.table, &tok, &err), status);
    ck_assert_ptr_null(tok);
    ck_assert_msg(strstr(err.message, part) != NULL, "\"%s\" does not say \"%s\"", err.message, part);
}

char *byte_file(const char *normalizer, const char *split, const char *added)
{
    size_t capacity = 1 << 16, n;
    char *text = malloc(capacity);
    n = (size_t)snprintf(text, capacity, "{\"added_tokens\":[%s],\"normalizer\":%s,\"pre_tokenizer\":{\"type\":\"Sequence\","
                         "\"pretokenizers\":[%s{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":%s}]},"
                         "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{",
                         added, normalizer, split, split[0] == '\0' ? "true" : "false");
    for (unsigned c = 33, id = 0; c < 256 + 68; c++)
        if ((c <= 126 || c >= 161) && c != 173)
            n += (size_t)snprintf(text + n, capacity - n, "\"\\u%04x\":%u,", c, id++);
    snprintf(text + n, capacity - n, "\"aa\":256,\"aaaa\":257,\"\\u0120a\":258},\"merges\":[\"a a\",[\"aa\",\"aa\"],[\"\\u0120\",\"a\"]]}}");
    return text;
}

struct tenon_tokenizer_object *open_bytes(const char *normalizer, const char *split)
{
    char *text = byte_file(normalizer, split, "");
    struct tenon_tokenizer_object *tok = open_text(text);
    free(text);
    return tok;
}
