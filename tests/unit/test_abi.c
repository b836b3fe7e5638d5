/* test_abi.c - the ABI's tables (sdk/abi) hold for this compiler, and the two widths tell the same story.
 *
 * The assertions are static: a member that moved is a failed build of this file. That the tables are complete is checked by
 * tools/abi-offsets --check, which reads the headers; a compiler cannot list members.
 */
#include <check.h>
#include <stdint.h>
#include <stdio.h>

#include <tenon/backend.h>
#include <tenon/encoding.h>
#include <tenon/engine.h>
#include <tenon/frontend.h>
#include <tenon/graph.h>
#include <tenon/model.h>
#include <tenon/ops.h>
#include <tenon/plugin.h>
#include <tenon/quantizer.h>
#include <tenon/tokenizer.h>
#include <tenon/weights.h>

#include "suite.h"

/* ---- static ------------------------------------------------------------------------------------------------- */

/* The tables are for an 8-byte alignment of uint64_t. i386 has 4 there and thus a layout of its own: nothing to assert. */
#define HAS_TABLE (_Alignof(uint64_t) == 8)

#define TENON_ABI_SIZE(s, size) \
    _Static_assert(!HAS_TABLE || sizeof(struct s) == (size), "struct " #s " changed its size: see sdk/abi/README.md");
#define TENON_ABI_OFFSET(s, member, offset) \
    _Static_assert(!HAS_TABLE || offsetof(struct s, member) == (offset), #s "." #member " moved: see sdk/abi/README.md");
#if UINTPTR_MAX == UINT64_MAX
#include "sdk/abi/offsets64.h"
#elif UINTPTR_MAX == UINT32_MAX
#include "sdk/abi/offsets32.h"
#else
#error "the ABI has no table for this width of pointers"
#endif
#undef TENON_ABI_SIZE
#undef TENON_ABI_OFFSET

/* ---- the tables as data ------------------------------------------------------------------------------------- */

struct entry {
    const char *name;   /* of the struct */
    const char *member; /* NULL: the entry is the struct's size */
    uint32_t number;    /* bytes */
};

#define TENON_ABI_SIZE(s, size) {#s, NULL, size},
#define TENON_ABI_OFFSET(s, member, offset) {#s, #member, offset},
static const struct entry table64[] = {
#include "sdk/abi/offsets64.h"
};
static const struct entry table32[] = {
#include "sdk/abi/offsets32.h"
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

START_TEST(both_widths_list_the_same_members)
{
    ck_assert_uint_eq(COUNT(table64), COUNT(table32));
    for (size_t i = 0; i < COUNT(table64); i++) {
        ck_assert_str_eq(table64[i].name, table32[i].name);
        ck_assert_pstr_eq(table64[i].member, table32[i].member);
        ck_assert_msg(table32[i].number <= table64[i].number, "%s.%s: %u with short pointers, %u with long ones", table64[i].name,
                      table64[i].member != NULL ? table64[i].member : "(size)", table32[i].number, table64[i].number);
    }
}
END_TEST

/* A struct's entries are its size, then its members: the first at 0, each after the one before it, all inside. */
static uint32_t check_order(const struct entry *table, size_t n)
{
    uint32_t structs = 0, size = 0, least = 0;
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = &table[i];
        if (e->member == NULL) {
            structs++;
            size = e->number;
            least = 0;
            ck_assert_msg(i + 1 < n && table[i + 1].number == 0, "struct %s does not begin at 0", e->name);
            continue;
        }
        ck_assert_msg(structs > 0 && e->number >= least && e->number < size, "%s.%s stands at %u", e->name, e->member, e->number);
        least = e->number + 1;
    }
    return structs;
}

START_TEST(members_stand_in_order)
{
    uint32_t structs = check_order(table64, COUNT(table64));
    ck_assert_uint_eq(structs, check_order(table32, COUNT(table32)));
    printf("%u structs, %zu members; asserted for this compiler: %s\n", structs, COUNT(table64) - structs,
           HAS_TABLE ? "all" : "NONE, it aligns uint64_t to less than 8 bytes");
    ck_assert_uint_ge(structs, 50); /* an emptied table must not pass */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("abi");
    TCase *tests = tcase_create("abi");
    tcase_add_test(tests, both_widths_list_the_same_members);
    tcase_add_test(tests, members_stand_in_order);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
