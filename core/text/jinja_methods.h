/* Private to core/text: method tables, and string methods that filters use. */
#ifndef TN_TEXT_JINJA_METHODS_H
#define TN_TEXT_JINJA_METHODS_H

#include "jinja_value.h"

/* A method: r the run, self the object, a the arguments, *ret the result. */
#define METHOD(name) static int32_t name(struct jrun *r, struct jv self, const struct jargs *a, struct jv *ret)

/* The methods of str, by file; NULL-named at the end. */
extern const struct jmethod tn_j_str_methods[], tn_j_split_methods[], tn_j_class_methods[];

int32_t tn_j_str_replace(struct jrun *r, struct jv s, struct jv old, struct jv new, int64_t count, struct jv *ret);
int32_t tn_j_str_center(struct jrun *r, struct jv s, int64_t width, struct jv *ret);
int32_t tn_j_splitlines(struct jrun *r, struct jv s, bool keep, struct jv *ret);
bool tn_j_str_is_case(const struct jstr *s, bool upper); /* str.isupper, str.islower */

#endif
