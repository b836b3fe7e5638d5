/* The methods of strings that ask what their characters are: isalnum and its
 * kin. Registered like those of jinja_methods_str.c. One thread per run. */
#include "jinja_methods.h"

#include "jinja_str.h"

static bool cp_alnum(int32_t cp)
{
    return tn_jcp_alpha(cp) || tn_jcp_numeric(cp);
}
static bool cp_ascii(int32_t cp)
{
    return cp < 128;
}

/* Decimal digits and the super- and subscripts and circled forms. */
static bool cp_digit(int32_t cp)
{
    return tn_jcp_decimal(cp) || cp == 0xb2 || cp == 0xb3 || cp == 0xb9 || cp == 0x2070 ||
           (cp >= 0x2074 && cp <= 0x2079) || (cp >= 0x2080 && cp <= 0x2089) || (cp >= 0x2460 && cp <= 0x2468);
}

static int32_t all_are(struct jrun *r, struct jv self, bool (*is)(int32_t), bool if_empty, struct jv *ret)
{
    bool all = self.s->len > 0 || if_empty;
    for (size_t i = 0, n; all && i < self.s->len; i += n)
        all = is(tn_jstr_decode(self.s->p + i, self.s->len - i, &n));
    *ret = tn_j_bool(all);
    return tn_j_charge(r, self.s->len / 64);
}

#define CLASS(name, is, if_empty)                                                                                      \
    METHOD(name)                                                                                                       \
    {                                                                                                                  \
        (void)a; /* takes none */                                                                                      \
        return all_are(r, self, is, if_empty, ret);                                                                    \
    }
CLASS(s_isalnum, cp_alnum, false)
CLASS(s_isalpha, tn_jcp_alpha, false)
CLASS(s_isascii, cp_ascii, true)
CLASS(s_isdecimal, tn_jcp_decimal, false)
CLASS(s_isdigit, cp_digit, false)
CLASS(s_isnumeric, tn_jcp_numeric, false)
CLASS(s_isprintable, tn_jcp_printable, true)
CLASS(s_isspace, tn_jcp_space, false)

bool tn_j_str_is_case(const struct jstr *s, bool upper)
{
    bool cased = false;
    for (size_t i = 0, n; i < s->len; i += n) {
        int32_t cp = tn_jstr_decode(s->p + i, s->len - i, &n);
        if ((upper ? tn_jcp_lower(cp) : tn_jcp_upper(cp)) || tn_jcp_title(cp))
            return false;
        cased = cased || (upper ? tn_jcp_upper(cp) : tn_jcp_lower(cp));
    }
    return cased;
}

METHOD(s_islower)
{
    (void)a; /* takes none */
    *ret = tn_j_bool(tn_j_str_is_case(self.s, false));
    return tn_j_charge(r, self.s->len / 64);
}

METHOD(s_isupper)
{
    (void)a; /* takes none */
    *ret = tn_j_bool(tn_j_str_is_case(self.s, true));
    return tn_j_charge(r, self.s->len / 64);
}

METHOD(s_istitle)
{
    bool inside = false, any = false, ok = true;
    (void)a; /* takes none */
    for (size_t i = 0, n; ok && i < self.s->len; i += n) {
        int32_t cp = tn_jstr_decode(self.s->p + i, self.s->len - i, &n);
        bool up = tn_jcp_upper(cp) || tn_jcp_title(cp), low = tn_jcp_lower(cp);
        ok = !(up && inside) && !(low && !inside);
        inside = up || low;
        any = any || inside;
    }
    *ret = tn_j_bool(ok && any);
    return tn_j_charge(r, self.s->len / 64);
}

METHOD(s_isidentifier)
{
    bool ok = self.s->len > 0;
    (void)a; /* takes none */
    for (size_t i = 0, n; ok && i < self.s->len; i += n) {
        int32_t cp = tn_jstr_decode(self.s->p + i, self.s->len - i, &n);
        ok = cp == '_' || tn_jcp_alpha(cp) || (i > 0 && tn_jcp_decimal(cp));
    }
    *ret = tn_j_bool(ok);
    return tn_j_charge(r, self.s->len / 64);
}

const struct jmethod tn_j_class_methods[] = {
    {"isalnum", s_isalnum},
    {"isalpha", s_isalpha},
    {"isascii", s_isascii},
    {"isdecimal", s_isdecimal},
    {"isdigit", s_isdigit},
    {"isidentifier", s_isidentifier},
    {"islower", s_islower},
    {"isnumeric", s_isnumeric},
    {"isprintable", s_isprintable},
    {"isspace", s_isspace},
    {"istitle", s_istitle},
    {"isupper", s_isupper},
    {NULL, NULL},
};
