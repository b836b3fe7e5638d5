/* cursor.c - the only code that moves over the bytes of a file, and so the one place where lengths from the file meet the
 * length of the file. Bytes are put together one by one, so neither alignment nor the machine's order matters. No state
 * beside the cursor: any thread. Contract: gguf.h. */
#include "gguf.h"

uint32_t gguf_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t gguf_u64(const uint8_t *p)
{
    return gguf_u32(p) | (uint64_t)gguf_u32(p + 4) << 32;
}

int32_t gguf_take(struct gguf_cursor *c, uint64_t n, const char *what, const uint8_t **ret)
{
    if (n > c->size - c->at)
        return GGUF_FAIL(c, TENON_E_DATA_LOSS, "%s at byte %llu needs %llu bytes, %llu are left: the file is cut off or damaged",
                         what, (unsigned long long)c->at, (unsigned long long)n, (unsigned long long)(c->size - c->at));
    *ret = c->data + c->at;
    c->at += n;
    return TENON_OK;
}

int32_t gguf_take_u32(struct gguf_cursor *c, const char *what, uint32_t *ret)
{
    const uint8_t *p = NULL;
    int32_t rc = gguf_take(c, 4, what, &p);
    if (rc == TENON_OK)
        *ret = gguf_u32(p);
    return rc;
}

int32_t gguf_take_u64(struct gguf_cursor *c, const char *what, uint64_t *ret)
{
    const uint8_t *p = NULL;
    int32_t rc = gguf_take(c, 8, what, &p);
    if (rc == TENON_OK)
        *ret = gguf_u64(p);
    return rc;
}

int32_t gguf_take_string(struct gguf_cursor *c, const char *what, struct tenon_str *ret)
{
    uint64_t size = 0;
    const uint8_t *p = NULL;
    int32_t rc = gguf_take_u64(c, what, &size);
    if (rc == TENON_OK)
        rc = gguf_take(c, size, what, &p);
    if (rc == TENON_OK)
        *ret = (struct tenon_str){(const char *)p, size};
    return rc;
}
