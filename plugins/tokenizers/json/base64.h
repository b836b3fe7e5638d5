/* base64.h - js_base64(text, out, &n): the bytes that base64 stands for; false when it is none. out [text.size]. Pure. */
#ifndef JS_BASE64_H
#define JS_BASE64_H

#include "reader.h"

static inline int js_base64_digit(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52
         : c == '+' ? 62 : c == '/' ? 63 : -1;
}

static inline bool js_base64(struct tenon_str text, char *out, size_t *ret_n)
{
    uint32_t bits = 0, have = 0;
    size_t n = 0, size = (size_t)text.size;
    while (size > 0 && text.data[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++) {
        int digit = js_base64_digit(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have & 0xff);
        }
    }
    *ret_n = n;
    return true;
}

#endif
